/* Which operation a SOAP request calls, read so strictly that no other reader can see another one.
 * Pure. */
#ifndef NEAP_CORE_NET_SOAP_OPERATION_H
#define NEAP_CORE_NET_SOAP_OPERATION_H

#include "core/base/buf.h"

/*
 * The local name of the one child of Body, borrowed from text. False unless the text is an optional
 * XML declaration, <Envelope>, <Body>, one element, and their ends, with blanks alone between them;
 * comments, processing instructions, CDATA, document types and encodings but UTF-8 are refused too.
 */
bool soap_operation(struct bytes text, struct bytes *name_out);

#endif
