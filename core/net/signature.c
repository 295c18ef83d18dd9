/* One buffer for what is signed; nothing of the key is kept. */
#include "core/net/signature.h"

#include <stdio.h>

#include "core/base/digest.h"

#define PREFIX      "sha256="
#define PREFIX_SIZE (sizeof(PREFIX) - 1)

int signature_add(const struct signature *signature, int64_t wall_ms, struct http_request *request)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    char value[PREFIX_SIZE + 2 * sizeof(digest) + 1] = PREFIX;
    char seconds[24];
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(wall_ms / 1000));
    struct buf signed_text;
    buf_init(&signed_text, request->body_size + sizeof(seconds) + 1);
    buf_addf(&signed_text, "%s.", seconds);
    if (request->body_size > 0) {
        buf_add(&signed_text, request->body, request->body_size);
    }
    int rc = signed_text.has_failed
                 ? ERROR_LIMIT
                 : digest_hmac_sha256(bytes_str(signature->key), buf_bytes(&signed_text), digest);
    buf_free(&signed_text);
    if (rc != 0) {
        return rc;
    }
    hex_encode(bytes_of(digest, sizeof(digest)), value + PREFIX_SIZE);
    rc = http_headers_add(&request->headers, signature->timestamp_header, seconds);
    return rc != 0 ? rc : http_headers_add(&request->headers, signature->header, value);
}
