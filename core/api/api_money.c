/*
 * neap.money: exact decimals, minor units and currencies. No float holds money.
 *
 *     local money = require("neap.money")
 *     local net = money.decimal("19.99"):div(money.decimal("1.2"), 4, "half_even")
 *     local pence = net:round(2, "half_away"):to_minor("GBP")
 *     local shares = money.split(1000, {1, 1, 1})       -- 334, 333, 333
 *
 * Integers mix with decimals in operators; a Lua float raises, as does a result that does not fit
 * (an error object of kind limit). The arithmetic is core/base/decimal.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_values.h"
#include "core/base/decimal.h"
#include "core/script/lx.h"

#define FLOAT_TOO_LARGE 9.2e18 /* about 2^63: beyond it the digits before the point do not fit */

/* ---- values ---- */

static int push_decimal(lua_State *L, struct decimal value)
{
    struct decimal *box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = value;
    lua_pushvalue(L, lua_upvalueindex(1)); /* the metatable */
    lua_setmetatable(L, -2);
    return 1;
}

static struct decimal *test_decimal(lua_State *L, int idx)
{
    void *box = lua_touserdata(L, idx);
    if (box == NULL || !lua_getmetatable(L, idx)) {
        return NULL;
    }
    bool is_ours = lua_rawequal(L, -1, lua_upvalueindex(1)) != 0;
    lua_pop(L, 1);
    return is_ours ? box : NULL;
}

/* A decimal or an integer as a value; anything else, a float above all, raises. */
static struct decimal check_decimal(lua_State *L, int idx)
{
    const struct decimal *box = test_decimal(L, idx);
    if (box != NULL) {
        return *box;
    }
    struct decimal value = {0, 0};
    if (lua_isinteger(L, idx)) {
        value.coefficient = lua_tointeger(L, idx);
    } else if (lua_type(L, idx) == LUA_TNUMBER) {
        luaL_argerror(L, idx,
                      "decimal or integer expected, got a float (money.from_number reads one)");
    } else {
        luaL_typeerror(L, idx, "decimal or integer");
    }
    return value;
}

static int check_scale(lua_State *L, int idx)
{
    lua_Integer scale = luaL_checkinteger(L, idx);
    luaL_argcheck(L, scale >= 0 && scale <= DECIMAL_MAX_SCALE, idx, "0 to 12 decimals expected");
    return (int)scale;
}

static enum decimal_rounding check_rounding(lua_State *L, int idx)
{
    static const char known[] = "one of"
#define DECIMAL_ROUNDING_TEXT(symbol, name) " \"" name "\""
        DECIMAL_ROUNDING_LIST(DECIMAL_ROUNDING_TEXT)
#undef DECIMAL_ROUNDING_TEXT
            " expected";
    int mode = decimal_rounding_find(luaL_checkstring(L, idx));
    luaL_argcheck(L, mode >= 0, idx, known);
    return (enum decimal_rounding)mode;
}

/* Pushes the result of an operation, or raises what went wrong with it. */
static int finish(lua_State *L, int rc, struct decimal result, const char *operation)
{
    if (rc == 0) {
        return push_decimal(L, result);
    }
    struct error err;
    error_set(&err, rc, "%s: %s", operation,
              rc == ERROR_LIMIT ? "the result does not fit a decimal (19 digits, 12 decimals)"
                                : "no exact result");
    return lx_raise(L, &err);
}

/* ---- operators ---- */

typedef int (*decimal_binary_fn)(struct decimal a, struct decimal b, struct decimal *out);

static int binary(lua_State *L, decimal_binary_fn apply, const char *name)
{
    struct decimal a = check_decimal(L, 1);
    struct decimal b = check_decimal(L, 2);
    struct decimal result = {0, 0};
    return finish(L, apply(a, b, &result), result, name);
}

static int decimal_mt_add(lua_State *L)
{
    return binary(L, decimal_add, "addition");
}

static int decimal_mt_sub(lua_State *L)
{
    return binary(L, decimal_subtract, "subtraction");
}

static int decimal_mt_mul(lua_State *L)
{
    return binary(L, decimal_multiply, "multiplication");
}

static int decimal_mt_div(lua_State *L)
{
    return luaL_error(L, "a division must name its rule: a:div(b, scale, \"half_even\")");
}

static int decimal_mt_unm(lua_State *L)
{
    struct decimal result = {0, 0};
    return finish(L, decimal_negate(check_decimal(L, 1), &result), result, "negation");
}

static int decimal_mt_eq(lua_State *L)
{
    const struct decimal *a = test_decimal(L, 1);
    const struct decimal *b = test_decimal(L, 2);
    lua_pushboolean(L, a != NULL && b != NULL && decimal_compare(*a, *b) == 0);
    return 1;
}

static int decimal_mt_lt(lua_State *L)
{
    lua_pushboolean(L, decimal_compare(check_decimal(L, 1), check_decimal(L, 2)) < 0);
    return 1;
}

static int decimal_mt_le(lua_State *L)
{
    lua_pushboolean(L, decimal_compare(check_decimal(L, 1), check_decimal(L, 2)) <= 0);
    return 1;
}

static int decimal_mt_tostring(lua_State *L)
{
    char text[DECIMAL_TEXT_SIZE];
    size_t size = decimal_format(check_decimal(L, 1), text);
    lua_pushlstring(L, text, size);
    return 1;
}

static int decimal_mt_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

/* ---- methods ---- */

/* d:div(other, scale, mode) */
static int decimal_m_div(lua_State *L)
{
    struct decimal a = check_decimal(L, 1);
    struct decimal b = check_decimal(L, 2);
    int scale = check_scale(L, 3);
    enum decimal_rounding mode = check_rounding(L, 4);
    if (b.coefficient == 0) {
        return luaL_error(L, "division by zero");
    }
    struct decimal result = {0, 0};
    return finish(L, decimal_divide(a, b, scale, mode, &result), result, "division");
}

/* d:round(scale, mode) */
static int decimal_m_round(lua_State *L)
{
    struct decimal a = check_decimal(L, 1);
    int scale = check_scale(L, 2);
    struct decimal result = {0, 0};
    return finish(L, decimal_round(a, scale, check_rounding(L, 3), &result), result, "rounding");
}

/* d:rescale(scale): exact, or it raises */
static int decimal_m_rescale(lua_State *L)
{
    struct decimal a = check_decimal(L, 1);
    struct decimal result = {0, 0};
    return finish(L, decimal_rescale(a, check_scale(L, 2), &result), result, "rescale");
}

static int decimal_m_trim(lua_State *L)
{
    return push_decimal(L, decimal_trim(check_decimal(L, 1)));
}

static int decimal_m_scale(lua_State *L)
{
    lua_pushinteger(L, check_decimal(L, 1).scale);
    return 1;
}

static int decimal_m_sign(lua_State *L)
{
    int64_t c = check_decimal(L, 1).coefficient;
    lua_pushinteger(L, (c > 0) - (c < 0));
    return 1;
}

static int decimal_m_is_zero(lua_State *L)
{
    lua_pushboolean(L, check_decimal(L, 1).coefficient == 0);
    return 1;
}

static int decimal_m_abs(lua_State *L)
{
    struct decimal a = check_decimal(L, 1);
    struct decimal result = a;
    int rc = a.coefficient < 0 ? decimal_negate(a, &result) : 0;
    return finish(L, rc, result, "abs");
}

/* d:compare(other) -> -1, 0 or 1; unlike ==, other may be an integer */
static int decimal_m_compare(lua_State *L)
{
    lua_pushinteger(L, decimal_compare(check_decimal(L, 1), check_decimal(L, 2)));
    return 1;
}

static int decimal_m_to_integer(lua_State *L)
{
    struct decimal result = {0, 0};
    int rc = decimal_rescale(check_decimal(L, 1), 0, &result);
    if (rc != 0) {
        return finish(L, rc, result, "to_integer");
    }
    lua_pushinteger(L, result.coefficient);
    return 1;
}

/* ---- currencies ---- */

/* ISO 4217 by number of minor digits. Codes without minor units (metals, test codes) are absent. */
static const char currencies_0[] =
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF ";
static const char currencies_2[] =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP "
    "GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT "
    "LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS "
    "SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "YER ZAR ZMW ZWL ";
static const char currencies_3[] = "BHD IQD JOD KWD LYD OMR TND ";
static const char currencies_4[] = "CLF UYW ";

static bool has_currency(const char *list, const char *code)
{
    for (; *list != '\0'; list += 4) {
        if (memcmp(list, code, 3) == 0) {
            return true;
        }
    }
    return false;
}

/* The minor digits of a currency, -1 when it is unknown. */
static int find_digits(const char *code, size_t size)
{
    if (size != 3) {
        return -1;
    }
    static const struct {
        const char *list;
        int digits;
    } lists[] = {{currencies_2, 2}, {currencies_0, 0}, {currencies_3, 3}, {currencies_4, 4}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (has_currency(lists[i].list, code)) {
            return lists[i].digits;
        }
    }
    return -1;
}

/* The minor digits of the currency at idx; -1 after pushing nil, err. */
static int read_digits(lua_State *L, int idx)
{
    size_t size = 0;
    const char *code = luaL_checklstring(L, idx, &size);
    int digits = find_digits(code, size);
    if (digits < 0) {
        lx_fail(L, ERROR_INVALID, "unknown currency \"%.20s\"", code);
    }
    return digits;
}

/* d:to_minor(digits or currency) -> integer | nil, err */
static int decimal_m_to_minor(lua_State *L)
{
    struct decimal a = check_decimal(L, 1);
    int digits = lua_type(L, 2) == LUA_TSTRING ? read_digits(L, 2) : check_scale(L, 2);
    if (digits < 0) {
        return 2;
    }
    struct decimal result = {0, 0};
    int rc = decimal_rescale(a, digits, &result);
    if (rc != 0) {
        char text[DECIMAL_TEXT_SIZE];
        decimal_format(a, text);
        return lx_fail(L, rc, "%s is not a whole number of minor units of %d digits", text, digits);
    }
    lua_pushinteger(L, result.coefficient);
    return 1;
}

/* money.digits(currency) -> integer | nil, err */
static int money_digits(lua_State *L)
{
    int digits = read_digits(L, 1);
    if (digits < 0) {
        return 2;
    }
    lua_pushinteger(L, digits);
    return 1;
}

/* money.from_minor(minor, currency) -> decimal | nil, err */
static int money_from_minor(lua_State *L)
{
    struct decimal value = {luaL_checkinteger(L, 1), 0};
    luaL_argcheck(L, lua_isinteger(L, 1), 1, "integer expected, got a float or text");
    value.scale = read_digits(L, 2);
    return value.scale < 0 ? 2 : push_decimal(L, value);
}

/* money.to_text(minor, currency) -> "12.34" | nil, err */
static int money_to_text(lua_State *L)
{
    struct decimal value = {luaL_checkinteger(L, 1), 0};
    luaL_argcheck(L, lua_isinteger(L, 1), 1, "integer expected, got a float or text");
    value.scale = read_digits(L, 2);
    if (value.scale < 0) {
        return 2;
    }
    char text[DECIMAL_TEXT_SIZE];
    lua_pushlstring(L, text, decimal_format(value, text));
    return 1;
}

/* money.format(minor, currency) -> "GBP 12.34" | nil, err */
static int money_format(lua_State *L)
{
    int count = money_to_text(L);
    if (count == 1) {
        lua_pushfstring(L, "%s %s", lua_tostring(L, 2), lua_tostring(L, -1));
    }
    return count;
}

/* ---- making decimals ---- */

/* money.decimal(text | integer [, scale] | decimal) -> decimal | nil, err */
static int money_decimal(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING) {
        struct decimal value = check_decimal(L, 1);
        if (!lua_isnoneornil(L, 2)) {
            luaL_argcheck(L, lua_isinteger(L, 1), 2, "a scale goes with an integer");
            value.scale = check_scale(L, 2);
        }
        return push_decimal(L, value);
    }
    luaL_argcheck(L, lua_isnoneornil(L, 2), 2, "a scale goes with an integer");
    size_t size = 0;
    const char *text = lua_tolstring(L, 1, &size);
    struct decimal value = {0, 0};
    int rc = decimal_parse(bytes_of(text, size), &value);
    if (rc != 0) {
        return lx_fail(L, rc,
                       rc == ERROR_LIMIT ? "\"%.40s\" does not fit a decimal"
                                         : "\"%.40s\" is not a decimal number",
                       text);
    }
    return push_decimal(L, value);
}

/* Reads a float by its shortest decimal text. */
static int read_float(double number, struct decimal *out)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    return decimal_parse_scientific(bytes_str(text), out);
}

static int fail_decimals(lua_State *L, double number, int max_scale)
{
    return lx_fail(L, ERROR_INVALID, "the number %.17g has more than %d decimals", number,
                   max_scale);
}

/* money.from_number(number, max_scale) -> decimal | nil, err */
static int money_from_number(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TNUMBER);
    int max_scale = check_scale(L, 2);
    struct decimal value = {0, 0};
    if (lua_isinteger(L, 1)) {
        value.coefficient = lua_tointeger(L, 1);
        return push_decimal(L, value);
    }
    double number = lua_tonumber(L, 1);
    int rc = isfinite(number) ? read_float(number, &value) : ERROR_INVALID;
    if (rc == ERROR_LIMIT && fabs(number) < FLOAT_TOO_LARGE) {
        return fail_decimals(L, number, max_scale);
    }
    if (rc != 0) {
        return lx_fail(L, rc, "the number %.17g does not fit a decimal", number);
    }
    value = decimal_trim(value);
    if (value.scale > max_scale) {
        return fail_decimals(L, number, max_scale);
    }
    return push_decimal(L, value);
}

/* money.is_decimal(value) */
static int money_is_decimal(lua_State *L)
{
    lua_pushboolean(L, test_decimal(L, 1) != NULL);
    return 1;
}

/* ---- splitting ---- */

/* Reads the weights at a common scale; false after pushing nil, err. */
static bool read_weights(lua_State *L, int idx, int64_t *weights, size_t count)
{
    int scale = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, idx, (lua_Integer)i + 1);
            if (!lua_isinteger(L, -1) && test_decimal(L, -1) == NULL) {
                luaL_error(L, "weight %d: decimal or integer expected, got %s", (int)i + 1,
                           luaL_typename(L, -1));
            }
            struct decimal weight = check_decimal(L, -1);
            lua_pop(L, 1);
            if (pass == 0) {
                weight = decimal_trim(weight);
                scale = weight.scale > scale ? weight.scale : scale;
                continue;
            }
            if (decimal_rescale(weight, scale, &weight) != 0) {
                lx_fail(L, ERROR_LIMIT, "weight %zu is too large", i + 1);
                return false;
            }
            weights[i] = weight.coefficient;
        }
    }
    return true;
}

/* money.split(minor, weights) -> list of minor amounts | nil, err */
static int money_split(lua_State *L)
{
    lua_Integer amount = luaL_checkinteger(L, 1);
    luaL_argcheck(L, lua_isinteger(L, 1), 1, "integer expected, got a float or text");
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    size_t count = lua_rawlen(L, 2);
    /* One block owned by the collector: all parts are aligned as words. */
    size_t unit = sizeof(struct decimal_remainder) + 2 * sizeof(int64_t);
    struct decimal_remainder *scratch = lua_newuserdatauv(L, (count + 1) * unit, 0);
    int64_t *weights = (int64_t *)(scratch + count);
    int64_t *shares = weights + count;
    if (!read_weights(L, 2, weights, count)) {
        return 2;
    }
    if (decimal_split(amount, weights, count, shares, scratch) != 0) {
        return lx_fail(L, ERROR_INVALID, "the weights are negative or add up to zero");
    }
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, shares[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* Adds functions that have the metatable as upvalue. stack: ..., metatable, table */
static void add_functions(lua_State *L, const luaL_Reg *functions)
{
    lua_pushvalue(L, -2);
    luaL_setfuncs(L, functions, 1);
}

static const luaL_Reg metamethods[] = {
    {"__add", decimal_mt_add},
    {"__sub", decimal_mt_sub},
    {"__mul", decimal_mt_mul},
    {"__div", decimal_mt_div},
    {"__unm", decimal_mt_unm},
    {"__eq", decimal_mt_eq},
    {"__lt", decimal_mt_lt},
    {"__le", decimal_mt_le},
    {"__concat", decimal_mt_concat},
    {"__tostring", decimal_mt_tostring},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"div", decimal_m_div},           {"round", decimal_m_round},
    {"rescale", decimal_m_rescale},   {"trim", decimal_m_trim},
    {"scale", decimal_m_scale},       {"sign", decimal_m_sign},
    {"abs", decimal_m_abs},           {"compare", decimal_m_compare},
    {"is_zero", decimal_m_is_zero},   {"to_integer", decimal_m_to_integer},
    {"to_minor", decimal_m_to_minor}, {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"decimal", money_decimal},
    {"from_number", money_from_number},
    {"from_minor", money_from_minor},
    {"is_decimal", money_is_decimal},
    {"digits", money_digits},
    {"to_text", money_to_text},
    {"format", money_format},
    {"split", money_split},
    {NULL, NULL},
};

int luaopen_neap_money(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    lx_new_type(L, LX_DECIMAL_MT, none, NULL);
    luaL_getmetatable(L, LX_DECIMAL_MT);
    lua_pushvalue(L, -1);
    add_functions(L, metamethods); /* stack: metatable, metatable */
    lua_pop(L, 1);
    lua_newtable(L);
    add_functions(L, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L); /* stack: metatable, module */
    add_functions(L, functions);
    return 1;
}
