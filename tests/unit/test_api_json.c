/* neap.json: strict reading that keeps values, canonical writing. */
#include <lauxlib.h>
#include <lua.h>

#include "tests/support/lua_values.h"

static void decoding_keeps_values(void)
{
    static const struct lua_case cases[] = {
        {"math.type(json.decode('1')), json.decode('1')", "integer|1"},
        {"json.decode('-0'), json.decode('1e3'), json.decode('2.50'), json.decode('1E-2')",
         "0|1000|2.5|0.01"},
        {"json.decode('9007199254740992')", "9007199254740992"},
        {"math.type(json.decode('9007199254740992'))", "integer"},
        {"math.type(json.decode('9007199254740993')), json.decode('9007199254740993')",
         "nil|9007199254740993"},
        {"json.decode('[-9007199254740993]')[1]", "-9007199254740993"},
        {"json.decode('[-9007199254740992]')[1], json.decode('999999999999999999')",
         "-9007199254740992|999999999999999999"},
        {"#json.decode('1' .. ('0'):rep(400)), json.decode('2.0'), json.decode('-1.5e-3')",
         "401|2|-0.0015"},
        {"json.encode(json.decode(' { \"a\" : [ ] , \"b\" : { } , \"c\" : [ 1 , \"\" ] } '))",
         "{\"a\":[],\"b\":{},\"c\":[1,\"\"]}"},
        {"json.decode('\"a\\\\tb\\\\u00e9\\\\\"c\"')", "a\tb\xc3\xa9\"c"},
        {"json.decode('[12345678901234567890]')[1]", "12345678901234567890"},
        {"math.type(json.decode('1e20'))", "float"},
        {"json.decode('{\"a\":{\"b\":[1,{\"c\":7}]}}').a.b[2].c", "7"},
        {"json.decode('null') == json.null, json.decode('[null]')[1] == json.null", "true|true"},
        {"json.decode('true'), json.decode('false')", "true|false"},
        {"json.decode('\"\\\\u20ac\\\\ud83d\\\\ude00\\\\/\\\\n\"') == "
         "'\xe2\x82\xac\xf0\x9f\x98\x80/\\n'",
         "true"},
        {"#json.decode('\"\\\\u0000\"')", "1"},
        {"json.decode('\xef\xbb\xbf 5')", "5"},
        {"json.is_array(json.decode('[]')), json.is_array(json.decode('{}'))", "true|false"},
        {"json.is_array(json.decode('[1]')), #json.decode('[ ]'), #json.decode('[[],[]]')",
         "true|0|2"},
        {"json.decode('{\"a\":1,\"a\":2}').a", "2"},
        {"json.encode(json.decode('{\"a\":null,\"b\":{\"c\":null,\"d\":[]},\"e\":[null]}', "
         "{without_nulls = true}))",
         "{\"b\":{\"d\":[]},\"e\":[]}"},
        {"json.encode(json.decode('[null,1,{\"a\":null},null,[2,null,3.5],null,1e3]', "
         "{without_nulls = true}))",
         "[1,{},[2,3.5],1000]"},
        {"json.decode('null', {without_nulls = true}) == json.null", "true"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void bad_text_is_an_error_value(void)
{
    static const struct lua_case cases[] = {
        {"json.decode('')", "nil|invalid: JSON: value expected at byte 1"},
        {"json.decode('[1] x')", "nil|invalid: JSON: nothing more expected at byte 5"},
        {"json.decode('[01]')", "nil|invalid: JSON: number with leading zero at byte 2"},
        {"json.decode('[-01]')", "nil|invalid: JSON: number with leading zero at byte 3"},
        {"json.decode('[1.]')", "nil|invalid: JSON: digit expected at byte 4"},
        {"json.decode('[.5]')", "nil|invalid: JSON: value expected at byte 2"},
        {"json.decode('[1e]')", "nil|invalid: JSON: digit expected at byte 4"},
        {"json.decode('[+1]')", "nil|invalid: JSON: value expected at byte 2"},
        {"json.decode('0x10')", "nil|invalid: JSON: nothing more expected at byte 2"},
        {"json.decode('NaN')", "nil|invalid: JSON: value expected at byte 1"},
        {"json.decode('-Infinity')", "nil|invalid: JSON: digit expected at byte 2"},
        {"json.decode('[1e999]')", "nil|invalid: JSON: number out of range at byte 7"},
        {"json.decode(('9'):rep(309) .. '.5')",
         "nil|invalid: JSON: number out of range at byte 312"},
        {"json.decode(('9'):rep(512))", "nil|invalid: JSON: number too long at byte 513"},
        {"json.decode('[1,]')", "nil|invalid: JSON: value expected at byte 4"},
        {"json.decode('{\"a\":1,}')", "nil|invalid: JSON: member name expected at byte 8"},
        {"json.decode('{\"a\" 1}')", "nil|invalid: JSON: ':' expected at byte 6"},
        {"json.decode('[1}')", "nil|invalid: JSON: ',' or ']' expected at byte 3"},
        {"json.decode('\"a')", "nil|invalid: JSON: string without end at byte 3"},
        {"json.decode('\"\\255\"')", "nil|invalid: JSON: invalid UTF-8 at byte 2"},
        {"json.decode('\"\\xed\\xa0\\x80\"')", "nil|invalid: JSON: invalid UTF-8 at byte 2"},
        {"json.decode('\"\\1\"')", "nil|invalid: JSON: control character in a string at byte 2"},
        {"json.decode('\"\\\\x\"')", "nil|invalid: JSON: unknown escape at byte 3"},
        {"json.decode('\"\\\\ud800\"')", "nil|invalid: JSON: half of a surrogate pair at byte 8"},
        {"json.decode('\"\\\\udc00\"')", "nil|invalid: JSON: half of a surrogate pair at byte 8"},
        {"json.decode('1 \xef\xbb\xbf')", "nil|invalid: JSON: nothing more expected at byte 3"},
        {"json.decode('1\\0')", "nil|invalid: JSON: nothing more expected at byte 2"},
        {"json.decode(('['):rep(65))", "nil|limit: JSON: deeper than 64 levels at byte 65"},
        {"json.decode('[[1]]', {max_depth = 1})",
         "nil|limit: JSON: deeper than 1 levels at byte 2"},
        {"json.decode('[1]', {max_bytes = 2})", "nil|limit: JSON: 3 bytes, at most 2 allowed"},
        {"#json.decode(('['):rep(64) .. (']'):rep(64))", "1"},
        {"json.decode('1', {depth = 1})",
         "raised: unknown option \"depth\"; known: max_depth, max_bytes, without_nulls"},
        {"(pcall(json.decode, nil))", "false"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void encoding_is_canonical(void)
{
    static const struct lua_case cases[] = {
        {"json.encode{b=1, a=2, [\"a b\"]=3}", "{\"a\":2,\"a b\":3,\"b\":1}"},
        {"json.encode{}", "{}"},
        {"json.encode(json.array{}), json.encode(json.array())", "[]|[]"},
        {"json.encode{1, {2}, 'x'}", "[1,[2],\"x\"]"},
        {"json.encode{math.mininteger, math.maxinteger}",
         "[-9223372036854775808,9223372036854775807]"},
        {"json.encode{1.0, -0.0, 0.1, 1/3, 1e300, 5e-324}",
         "[1,0,0.1,0.3333333333333333,1e+300,4.94065645841247e-324]"},
        {"json.encode{2.5, 100.0, 2^53, 19.99}", "[2.5,100,9007199254740992,19.99]"},
        {"json.encode(12456789012345601.3), json.decode('12456789012345602.0') == "
         "12456789012345602.0",
         "1.2456789012345602e+16|true"},
        {"json.encode{true, false, json.null}", "[true,false,null]"},
        {"json.encode('\"\\\\/\\b\\f\\n\\r\\t\\1\\127\xc3\xa9')",
         "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\xc3\xa9\""},
        {"json.encode(money.decimal('12.50'))", "12.50"},
        {"json.encode({a = {1}, b = {}}, {pretty = true})",
         "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"},
        {"json.encode(json.decode(text)) == text", "true"},
        {"json.encode({1, 2, 3}, {max_bytes = 6})", "nil|limit: JSON: more than 6 bytes"},
        {"json.encode({1, 2, 3}, {max_bytes = 7})", "[1,2,3]"},
        {"json.encode(many) == json.encode(json.decode(json.encode(many)))", "true"},
        {"getmetatable(json.array{})", "neap.json.array"},
        {NULL, NULL},
    };
    values_check(
        "text = '{\"a\":[],\"b\":{},\"c\":[[],{},[1,\"\xe2\x82\xac\"]],\"d\":1.5,\"n\":null}'\n"
        "many = {} for i = 1, 500 do many['k' .. i] = {v = i, l = {i}} end",
        cases);
}

static void misuse_of_encode_raises_with_the_path(void)
{
    static const struct lua_case cases[] = {
        {"json.encode{a={b={1, 2, x=3}}}",
         "raised: json.encode: a list with a named member at $.a.b.x"},
        {"json.encode{a={[3]=1}}",
         "raised: json.encode: a list with holes before its last position at $.a[3]"},
        {"json.encode{{[1.5]=1}}",
         "raised: json.encode: a key that is neither a name nor a position at $[1]"},
        {"json.encode{[true]=1}",
         "raised: json.encode: a key that is neither a name nor a position at $"},
        {"json.encode(json.array{a=1})", "raised: json.encode: a list with a named member at $.a"},
        {"json.encode{1, 0/0}", "raised: json.encode: a number that is not finite at $[2]"},
        {"json.encode{x=1/0}", "raised: json.encode: a number that is not finite at $.x"},
        {"json.encode{x='\\255'}", "raised: json.encode: invalid UTF-8 at $.x"},
        {"json.encode{x=print}", "raised: json.encode: a function at $.x"},
        {"json.encode(nil)", "raised: json.encode: a nil at $"},
        {"(select(2, pcall(json.encode, loop)):match('itself'))", "itself"},
        {"json.encode({}, {indent=1})",
         "raised: unknown option \"indent\"; known: pretty, max_bytes"},
        {"(pcall(json.array, errors.new{kind='io', message='x'}))", "false"},
        {NULL, NULL},
    };
    values_check("loop = {} loop.a = {loop}", cases);
}

static void memory_failures_stay_errors(void)
{
    values_torture("local text = '{\"a\":[1,[],{\"b\":9007199254740993}],\"c\":\"x\\\\u20ac\"}'\n"
                   "local value = json.decode(text)\n"
                   "local again = json.encode(value, {pretty=true})\n"
                   "assert(json.encode(json.decode(again)) == json.encode(value))");
}

int main(void)
{
    tap_case("decoding keeps integers, lists, nulls and text", decoding_keeps_values);
    tap_case("bad text gives an error with the byte, never a raise", bad_text_is_an_error_value);
    tap_case("encoding is canonical and exact", encoding_is_canonical);
    tap_case("misuse of encode raises and names the place", misuse_of_encode_raises_with_the_path);
    tap_case("memory running out anywhere stays a memory error", memory_failures_stay_errors);
    return tap_done();
}
