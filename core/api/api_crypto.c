/*
 * neap.crypto: digests, signatures of webhooks, text forms of bytes.
 *
 *     local crypto = require("neap.crypto")
 *     local expected = crypto.hmac_sha256(key, request.body)
 *     if not crypto.equal(expected, request.headers["x-signature"] or "") then ... end
 */
#include <string.h>

#include "core/api/api_values.h"
#include "core/base/digest.h"
#include "core/script/lx.h"

#define CRYPTO_RANDOM_BYTES 1024 /* at most, in one call */

static struct bytes check_bytes(lua_State *L, int idx)
{
    size_t size = 0;
    const char *data = luaL_checklstring(L, idx, &size);
    return bytes_of(data, size);
}

static int push_digest(lua_State *L, int rc, const unsigned char digest[DIGEST_SHA256_SIZE])
{
    if (rc != 0) {
        return luaL_error(L, "the digest could not be computed");
    }
    char hex[2 * DIGEST_SHA256_SIZE];
    hex_encode(bytes_of(digest, DIGEST_SHA256_SIZE), hex);
    lua_pushlstring(L, hex, sizeof(hex));
    return 1;
}

/* crypto.sha256(text) -> hex */
static int crypto_sha256(lua_State *L)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    int rc = digest_sha256(check_bytes(L, 1), digest);
    return push_digest(L, rc, digest);
}

/* crypto.hmac_sha256(key, text) -> hex */
static int crypto_hmac_sha256(lua_State *L)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    struct bytes key = check_bytes(L, 1);
    int rc = digest_hmac_sha256(key, check_bytes(L, 2), digest);
    return push_digest(L, rc, digest);
}

/* crypto.base64_encode(bytes) -> text */
static int crypto_base64_encode(lua_State *L)
{
    struct bytes data = check_bytes(L, 1);
    luaL_Buffer text;
    size_t size = base64_encoded_size(data.size);
    base64_encode(data, luaL_buffinitsize(L, &text, size));
    luaL_pushresultsize(&text, size);
    return 1;
}

/* crypto.base64_decode(text) -> bytes | nil, err */
static int crypto_base64_decode(lua_State *L)
{
    struct bytes text = check_bytes(L, 1);
    luaL_Buffer data;
    size_t size = 0;
    if (base64_decode(text, luaL_buffinitsize(L, &data, text.size), &size) != 0) {
        return lx_fail(L, ERROR_INVALID, "not base64");
    }
    luaL_pushresultsize(&data, size);
    return 1;
}

/* crypto.hex_encode(bytes) -> text */
static int crypto_hex_encode(lua_State *L)
{
    struct bytes data = check_bytes(L, 1);
    luaL_Buffer text;
    hex_encode(data, luaL_buffinitsize(L, &text, data.size * 2));
    luaL_pushresultsize(&text, data.size * 2);
    return 1;
}

/* crypto.hex_decode(text) -> bytes | nil, err */
static int crypto_hex_decode(lua_State *L)
{
    struct bytes text = check_bytes(L, 1);
    luaL_Buffer data;
    if (hex_decode(text, luaL_buffinitsize(L, &data, text.size)) != 0) {
        return lx_fail(L, ERROR_INVALID, "not hex");
    }
    luaL_pushresultsize(&data, text.size / 2);
    return 1;
}

/* crypto.equal(a, b) -> boolean, in a time that does not tell where they differ */
static int crypto_equal(lua_State *L)
{
    struct bytes a = check_bytes(L, 1);
    lua_pushboolean(L, digest_equal(a, check_bytes(L, 2)));
    return 1;
}

/* crypto.random_hex(bytes) -> text of twice that length, from the job's seeded randomness */
static int crypto_random_hex(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    luaL_argcheck(L, count >= 1 && count <= CRYPTO_RANDOM_BYTES, 1, "1 to 1024 bytes expected");
    struct random_source *random = lx_env(L)->random;
    char data[CRYPTO_RANDOM_BYTES];
    for (lua_Integer i = 0; i < count; i += 8) {
        uint64_t word = random_next(random);
        memcpy(data + i, &word, count - i < 8 ? (size_t)(count - i) : 8);
    }
    char hex[2 * CRYPTO_RANDOM_BYTES];
    hex_encode(bytes_of(data, (size_t)count), hex);
    lua_pushlstring(L, hex, (size_t)count * 2);
    return 1;
}

int luaopen_neap_crypto(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sha256", crypto_sha256},
        {"hmac_sha256", crypto_hmac_sha256},
        {"base64_encode", crypto_base64_encode},
        {"base64_decode", crypto_base64_decode},
        {"hex_encode", crypto_hex_encode},
        {"hex_decode", crypto_hex_decode},
        {"equal", crypto_equal},
        {"random_hex", crypto_random_hex},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
