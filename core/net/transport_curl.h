/* The translator of libcurl's failures, for tests; the transport itself is made by http_server.h's
 * transport_curl_new. */
#ifndef NEAP_CORE_NET_TRANSPORT_CURL_H
#define NEAP_CORE_NET_TRANSPORT_CURL_H

#include "core/base/errors.h"

/*
 * Sets err from a CURLcode. detail is libcurl's own text or "". Every transport failure is
 * retryable: certificate problems too, because they are mended outside (renewal, settings) and the
 * connection's breaker parks the jobs meanwhile; only a request that can never work (bad URL) is
 * not.
 */
int http_error_from_curl(struct error *err, int curl_code, const char *detail, bool maybe_sent);

#endif
