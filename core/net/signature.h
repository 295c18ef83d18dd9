/*
 * Signed requests: HMAC-SHA256 over "<unix seconds>.<body>" in one header, the seconds in another,
 * so that the receiver knows who speaks and that it is not an old message said again.
 */
#ifndef NEAP_CORE_NET_SIGNATURE_H
#define NEAP_CORE_NET_SIGNATURE_H

#include "core/net/http_message.h"

#define SIGNATURE_HEADER           "X-Neap-Signature"
#define SIGNATURE_TIMESTAMP_HEADER "X-Neap-Timestamp"

struct signature {                /* borrowed */
    const char *key;              /* the shared secret; NULL: no signature */
    const char *header;           /* "sha256=<hex>" */
    const char *timestamp_header; /* "1777888980" */
};

/* Adds both headers. ERROR_LIMIT: no memory. */
int signature_add(const struct signature *signature, int64_t wall_ms,
                  struct http_request *request) NEAP_MUST_USE;

#endif
