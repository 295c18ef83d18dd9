/* Digests by libcrypto; hex and base64 are written out: libcrypto's base64 ignores malformed input.
 */
#include "core/base/digest.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

int digest_sha256(struct bytes data, unsigned char out[DIGEST_SHA256_SIZE])
{
    unsigned size = 0;
    int is_done = EVP_Digest(data.data, data.size, out, &size, EVP_sha256(), NULL);
    return is_done == 1 && size == DIGEST_SHA256_SIZE ? 0 : ERROR_LIMIT;
}

int digest_hmac_sha256(struct bytes key, struct bytes data, unsigned char out[DIGEST_SHA256_SIZE])
{
    unsigned size = 0;
    if (key.size > INT_MAX) {
        return ERROR_LIMIT;
    }
    /* A key of no bytes must still be a pointer: NULL means "the key of the last call". */
    const void *key_data = key.size == 0 ? "" : key.data;
    const unsigned char *text = (const unsigned char *)data.data;
    unsigned char *made = HMAC(EVP_sha256(), key_data, (int)key.size, text, data.size, out, &size);
    return made != NULL && size == DIGEST_SHA256_SIZE ? 0 : ERROR_LIMIT;
}

bool digest_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}

void hex_encode(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.size; i++) {
        unsigned char c = (unsigned char)data.data[i];
        *out++ = digits[c >> 4];
        *out++ = digits[c & 15];
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hex_decode(struct bytes text, char *out)
{
    if (text.size % 2 != 0) {
        return ERROR_INVALID;
    }
    for (size_t i = 0; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]);
        int low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0) {
            return ERROR_INVALID;
        }
        *out++ = (char)(high * 16 + low);
    }
    return 0;
}

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

void base64_encode(struct bytes data, char *out)
{
    const unsigned char *s = (const unsigned char *)data.data;
    for (size_t i = 0; i < data.size; i += 3) {
        size_t left = data.size - i;
        unsigned group = (unsigned)s[i] << 16;
        group |= left > 1 ? (unsigned)s[i + 1] << 8 : 0;
        group |= left > 2 ? (unsigned)s[i + 2] : 0;
        *out++ = base64_alphabet[group >> 18];
        *out++ = base64_alphabet[group >> 12 & 63];
        *out++ = left > 1 ? base64_alphabet[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_alphabet[group & 63] : '=';
    }
}

static int base64_digit(char c)
{
    const char *at = c == '\0' ? NULL : memchr(base64_alphabet, c, sizeof(base64_alphabet) - 1);
    return at == NULL ? -1 : (int)(at - base64_alphabet);
}

int base64_decode(struct bytes text, char *out, size_t *size_out)
{
    size_t used = 0;
    if (text.size % 4 != 0) {
        return ERROR_INVALID;
    }
    for (size_t i = 0; i < text.size; i += 4) {
        const char *s = text.data + i;
        bool is_last = i + 4 == text.size;
        size_t padding = !is_last || s[3] != '=' ? 0 : s[2] != '=' ? 1 : 2;
        unsigned group = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k >= 4 - padding ? 0 : base64_digit(s[k]);
            if (digit < 0) {
                return ERROR_INVALID;
            }
            group = group << 6 | (unsigned)digit;
        }
        if ((padding == 1 && (group & 0xff) != 0) || (padding == 2 && (group & 0xffff) != 0)) {
            return ERROR_INVALID;
        }
        out[used++] = (char)(group >> 16);
        if (padding < 2) {
            out[used++] = (char)(group >> 8);
        }
        if (padding < 1) {
            out[used++] = (char)group;
        }
    }
    *size_out = used;
    return 0;
}
