/* neap.crypto as scripts see it; the vectors are in test_digest. */
#include "tests/support/lua_values.h"

static void functions_give_text(void)
{
    static const struct lua_case cases[] = {
        {"crypto.sha256('abc')",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"crypto.hmac_sha256('Jefe', 'what do ya want for nothing?')",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"crypto.base64_encode('\\0\\1foob'), #crypto.base64_decode('AAFmb29i')", "AAFmb29i|6"},
        {"crypto.base64_decode('a')", "nil|invalid: not base64"},
        {"crypto.hex_encode('\\0\\255'), #crypto.hex_decode('00fF')", "00ff|2"},
        {"crypto.hex_decode('0')", "nil|invalid: not hex"},
        {"crypto.equal('a', 'a'), crypto.equal('a', 'b'), crypto.equal('', '')", "true|false|true"},
        {"(pcall(crypto.equal, 'a', nil))", "false"},
        {"#crypto.random_hex(5), crypto.random_hex(8) == crypto.random_hex(8)", "10|false"},
        {"(pcall(crypto.random_hex, 0)), (pcall(crypto.random_hex, 1025))", "false|false"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void randomness_follows_the_seed(void)
{
    char first[64] = "";
    for (int run = 0; run < 2; run++) {
        lua_State *L = luaL_newstate();
        struct random_source random;
        random_init(&random, 42);
        struct lx_env env = {NULL, &random, NULL};
        lx_set_env(L, &env);
        values_open(L);
        CHECK_INT(luaL_dostring(L, "return crypto.random_hex(16)"), LUA_OK);
        if (run == 0) {
            snprintf(first, sizeof(first), "%s", lua_tostring(L, -1));
        }
        CHECK_STR(lua_tostring(L, -1), first);
        lua_close(L);
    }
}

static void a_state_without_environment_raises(void)
{
    lua_State *L = luaL_newstate();
    values_open(L);
    CHECK(luaL_dostring(L, "return crypto.random_hex(1)") != LUA_OK);
    CHECK(strstr(lua_tostring(L, -1), "no clock and no randomness") != NULL);
    lua_close(L);
}

int main(void)
{
    tap_case("functions give text, bad input gives errors", functions_give_text);
    tap_case("randomness follows the seed of the job", randomness_follows_the_seed);
    tap_case("a state without environment raises", a_state_without_environment_raises);
    return tap_done();
}
