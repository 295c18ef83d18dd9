/*
 * A long XML document read piece by piece: the elements that are records, as flat fields, without
 * ever holding the document.
 *
 * field   a child without children that has text: local name and text
 * record  an element with a field of one of the names in `having`. Where it stands and how it is
 *         called does not matter, so a SOAP reply reads the same inline and in multi-reference form
 *
 * As in xml_tree.h, a document type and every entity of its own are refused.
 */
#ifndef NEAP_CORE_BASE_XML_RECORDS_H
#define NEAP_CORE_BASE_XML_RECORDS_H

#include "core/base/buf.h"

#define XML_RECORDS_MAX_DEPTH  32
#define XML_RECORDS_MAX_BYTES  ((size_t)1 << 20) /* text of the open elements, and of one piece */
#define XML_RECORDS_MAX_HAVING 8

struct xml_records;

/* Names are copied; count is 1 to XML_RECORDS_MAX_HAVING. NULL when memory is out. */
struct xml_records *xml_records_new(const char *const *having, size_t count);
void xml_records_free(struct xml_records *r); /* accepts NULL */

/* Reads one more piece (at most 1 MiB). ERROR_INVALID or ERROR_LIMIT with the line in the message;
 * nothing can be read after a failure. */
int xml_records_feed(struct xml_records *r, struct bytes piece, bool is_last,
                     struct error *err) NEAP_MUST_USE;

/* Names and values of the next record found so far, borrowed until the next call; false when there
 * is none. */
struct xml_field {
    const char *name;
    struct bytes value;
};
bool xml_records_next(struct xml_records *r, const struct xml_field **fields_out,
                      size_t *count_out);

#endif
