/* How every transfer of libcurl checks the other side's certificate: always. Private to core/net.
 */
#ifndef NEAP_CORE_NET_TRANSPORT_TLS_H
#define NEAP_CORE_NET_TRANSPORT_TLS_H

#include <curl/curl.h>

#include "core/net/transport.h"

/* The first failure of libcurl, or CURLE_OK. policy is copied. */
CURLcode transport_tls_apply(CURL *easy, const struct transport_policy *policy);

#endif
