/* Digests and text forms of bytes. The digests are libcrypto's. */
#ifndef NEAP_CORE_BASE_DIGEST_H
#define NEAP_CORE_BASE_DIGEST_H

#include "core/base/buf.h"

#define DIGEST_SHA256_SIZE 32

/* Each returns 0, or ERROR_LIMIT when libcrypto refuses (out of memory). */
int digest_sha256(struct bytes data, unsigned char out[DIGEST_SHA256_SIZE]) NEAP_MUST_USE;
int digest_hmac_sha256(struct bytes key, struct bytes data,
                       unsigned char out[DIGEST_SHA256_SIZE]) NEAP_MUST_USE;

/* Equal length and bytes, in a time that depends on the length alone. */
bool digest_equal(struct bytes a, struct bytes b);

/* Lower-case hex; out holds 2 * size bytes, no NUL. */
void hex_encode(struct bytes data, char *out);
/* out holds size / 2 bytes. ERROR_INVALID when text is no whole number of hex pairs. */
int hex_decode(struct bytes text, char *out) NEAP_MUST_USE;

/* RFC 4648 section 4, padded. out holds base64_encoded_size bytes, no NUL. */
size_t base64_encoded_size(size_t size);
void base64_encode(struct bytes data, char *out);
/* Strict: no white space, padded, no stray bits. out holds size / 4 * 3 bytes. */
int base64_decode(struct bytes text, char *out, size_t *size_out) NEAP_MUST_USE;

#endif
