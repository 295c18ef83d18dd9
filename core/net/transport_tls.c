/* The options are the same for HTTP and mail; a pinned certificate replaces the chain's check. */
#include "core/net/transport_tls.h"

#include <openssl/ssl.h>

#define CA_CACHE_SYSTEM_S 86400L /* reading the system's bundle costs milliseconds each time */
#define CA_CACHE_CUSTOM_S 60L    /* a renewed custom file must be seen soon */

/*
 * The store holds only the pinned file. The server's own certificate must be in it, byte for byte;
 * then the ordinary check (dates, signature) follows. Only the host name is not looked at.
 */
static int pinned_on_verify(X509_STORE_CTX *ctx, void *arg)
{
    (void)arg;
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    STACK_OF(X509_OBJECT) *trusted = X509_STORE_get0_objects(X509_STORE_CTX_get0_store(ctx));
    for (int i = 0; leaf != NULL && i < sk_X509_OBJECT_num(trusted); i++) {
        X509 *pinned = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
        if (pinned != NULL && X509_cmp(leaf, pinned) == 0) {
            return X509_verify_cert(ctx);
        }
    }
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

static CURLcode pinned_on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    (void)arg;
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl_ctx), X509_V_FLAG_PARTIAL_CHAIN);
    /* No argument: the context may outlive the transfer on a kept connection. */
    SSL_CTX_set_cert_verify_callback(ssl_ctx, pinned_on_verify, NULL);
    return CURLE_OK;
}

/* Collects the first failure, so that one check at the end is enough. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code = curl_easy_setopt(easy, option, value);                                 \
        if (rc == CURLE_OK) {                                                                      \
            rc = set_code;                                                                         \
        }                                                                                          \
    } while (0)

CURLcode transport_tls_apply(CURL *easy, const struct transport_policy *policy)
{
    CURLcode rc = CURLE_OK;
    const char *ca_file =
        policy->pinned_cert_file != NULL ? policy->pinned_cert_file : policy->ca_file;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, policy->pinned_cert_file != NULL ? 0L : 2L);
    /* The library's default folder would trust the system's authorities beside ours, and would
     * switch its cache of the bundle off. */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CA_CACHE_TIMEOUT, ca_file != NULL ? CA_CACHE_CUSTOM_S : CA_CACHE_SYSTEM_S);
    if (ca_file != NULL) {
        SET(CURLOPT_CAINFO, ca_file);
    }
    if (policy->pinned_key != NULL) {
        SET(CURLOPT_PINNEDPUBLICKEY, policy->pinned_key);
    }
    if (policy->pinned_cert_file != NULL) {
        SET(CURLOPT_SSL_CTX_FUNCTION, pinned_on_ssl_ctx);
    }
    return rc;
}
