/* core/base/digest against published vectors (FIPS 180, RFC 4231, RFC 4648). */
#include "core/base/digest.h"
#include "tests/support/tap.h"

static const char *hex_of(const unsigned char digest[DIGEST_SHA256_SIZE])
{
    static char text[2 * DIGEST_SHA256_SIZE + 1];
    hex_encode(bytes_of(digest, DIGEST_SHA256_SIZE), text);
    return text;
}

static void digests_match_vectors(void)
{
    unsigned char digest[DIGEST_SHA256_SIZE];
    CHECK_INT(digest_sha256(bytes_str("abc"), digest), 0);
    CHECK_STR(hex_of(digest), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_INT(digest_sha256(bytes_str(""), digest), 0);
    CHECK_STR(hex_of(digest), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_INT(
        digest_hmac_sha256(bytes_str("Jefe"), bytes_str("what do ya want for nothing?"), digest),
        0);
    CHECK_STR(hex_of(digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK_INT(digest_hmac_sha256(bytes_str(""), bytes_str(""), digest), 0);
    CHECK_STR(hex_of(digest), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void base64_goes_both_ways(void)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfb", "//77"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[16] = "";
        char back[16] = "";
        size_t size = 0;
        base64_encode(bytes_str(pairs[i][0]), text);
        CHECK_STR(text, pairs[i][1]);
        CHECK_INT(base64_decode(bytes_str(pairs[i][1]), back, &size), 0);
        CHECK(bytes_equal(bytes_of(back, size), bytes_str(pairs[i][0])));
    }
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",   "Zh==",   "Zm9=", "====",
                                      "Z===", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm9-", "=m9v"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char back[16];
        size_t size = 0;
        CHECK_INT(base64_decode(bytes_str(bad[i]), back, &size), ERROR_INVALID);
    }
}

static void hex_goes_both_ways(void)
{
    char back[8] = "";
    CHECK_INT(hex_decode(bytes_str("00fFa5"), back), 0);
    CHECK(memcmp(back, "\x00\xff\xa5", 3) == 0);
    CHECK_INT(hex_decode(bytes_str("abc"), back), ERROR_INVALID);
    CHECK_INT(hex_decode(bytes_str("0g"), back), ERROR_INVALID);
    CHECK(digest_equal(bytes_str("abc"), bytes_str("abc")));
    CHECK(!digest_equal(bytes_str("abc"), bytes_str("abd")));
    CHECK(!digest_equal(bytes_str("abc"), bytes_str("ab")));
    CHECK(digest_equal(bytes_str(""), bytes_str("")));
}

int main(void)
{
    tap_case("digests match the published vectors", digests_match_vectors);
    tap_case("base64 goes both ways and takes nothing malformed", base64_goes_both_ways);
    tap_case("hex goes both ways, comparison is by length and bytes", hex_goes_both_ways);
    return tap_done();
}
