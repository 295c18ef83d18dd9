/* Decimal arithmetic on a 64-bit coefficient; every operation works in 128 bits and then fits. */
#include "core/base/decimal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 wide;

/* 10^n fits 64 bits up to n = 18; two of them multiplied cover every power needed here (24). */
static const int64_t powers[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

static wide power_of_ten(int n)
{
    assert(n >= 0 && n <= 36);
    return n <= 18 ? (wide)powers[n] : (wide)powers[18] * powers[n - 18];
}

static int fit(wide value, int scale, struct decimal *out)
{
    if (value > INT64_MAX || value < INT64_MIN) {
        return ERROR_LIMIT;
    }
    out->coefficient = (int64_t)value;
    out->scale = scale;
    return 0;
}

/* The coefficient of a at a scale not below its own: at most 2^63 * 10^12, so it fits. */
static wide aligned(struct decimal a, int scale)
{
    return (wide)a.coefficient * powers[scale - a.scale];
}

int decimal_rounding_find(const char *name)
{
#define DECIMAL_ROUNDING_MATCH(symbol, text)                                                       \
    if (strcmp(name, (text)) == 0) {                                                               \
        return (symbol);                                                                           \
    }
    DECIMAL_ROUNDING_LIST(DECIMAL_ROUNDING_MATCH)
#undef DECIMAL_ROUNDING_MATCH
    return -1;
}

static bool is_rounded_away(wide quotient, wide rest, wide divisor, enum decimal_rounding mode)
{
    /* divisor > 0, below 2^104; rest has the sign of the number. */
    wide twice = rest < 0 ? -2 * rest : 2 * rest;
    switch (mode) {
    case DECIMAL_HALF_AWAY:
        return twice >= divisor;
    case DECIMAL_HALF_EVEN:
        return twice > divisor || (twice == divisor && quotient % 2 != 0);
    case DECIMAL_UP:
        return rest != 0;
    case DECIMAL_FLOOR:
        return rest < 0;
    case DECIMAL_CEIL:
        return rest > 0;
    case DECIMAL_DOWN:
    default:
        return false;
    }
}

static wide divide_rounded(wide number, wide divisor, enum decimal_rounding mode)
{
    if (divisor < 0) {
        number = -number;
        divisor = -divisor;
    }
    wide quotient = number / divisor;
    wide rest = number % divisor;
    if (!is_rounded_away(quotient, rest, divisor, mode)) {
        return quotient;
    }
    return number < 0 ? quotient - 1 : quotient + 1;
}

/* ---- text ---- */

struct digits {
    wide value;
    int scale;
    size_t count;
    bool is_too_long;
};

/* Reads digits at *p; decimals when is_fraction. Zeros past the last decimal are dropped. */
static void read_digits(const char **p, const char *end, bool is_fraction, struct digits *d)
{
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        int digit = **p - '0';
        d->count++;
        if (d->is_too_long) {
            continue;
        }
        if (is_fraction && d->scale == DECIMAL_MAX_SCALE) {
            d->is_too_long = digit != 0;
            continue;
        }
        d->value = d->value * 10 + digit;
        d->scale += is_fraction ? 1 : 0;
        d->is_too_long = d->value > (wide)INT64_MAX + 1;
    }
}

static int read_exponent(const char **p, const char *end, int *exponent_out)
{
    (*p)++;
    bool is_negative = *p < end && **p == '-';
    *p += *p < end && (**p == '-' || **p == '+') ? 1 : 0;
    int exponent = 0;
    const char *first = *p;
    for (; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        exponent = exponent > 10000 ? exponent : exponent * 10 + (**p - '0');
    }
    *exponent_out = is_negative ? -exponent : exponent;
    return *p > first ? 0 : ERROR_INVALID;
}

/* Moves the point of a value read from text. */
static int apply_exponent(wide value, int scale, int exponent, struct decimal *out)
{
    int shifted = scale - exponent;
    while (value != 0 && shifted > DECIMAL_MAX_SCALE && value % 10 == 0) {
        value /= 10;
        shifted--;
    }
    while (value != 0 && shifted < 0) {
        value *= 10;
        shifted++;
        if (value > (wide)INT64_MAX || value < (wide)INT64_MIN) {
            return ERROR_LIMIT;
        }
    }
    if (value == 0) {
        shifted = shifted < 0 ? 0 : shifted > DECIMAL_MAX_SCALE ? DECIMAL_MAX_SCALE : shifted;
    }
    return shifted > DECIMAL_MAX_SCALE ? ERROR_LIMIT : fit(value, shifted, out);
}

static int parse(struct bytes text, bool allows_exponent, struct decimal *out)
{
    const char *p = text.data;
    const char *end = text.data + text.size;
    bool is_negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+') ? 1 : 0;
    struct digits d = {0, 0, 0, false};
    read_digits(&p, end, false, &d);
    size_t whole = d.count;
    if (p < end && *p == '.') {
        p++;
        read_digits(&p, end, true, &d);
        if (d.count == whole) {
            return ERROR_INVALID;
        }
    }
    if (whole == 0) {
        return ERROR_INVALID;
    }
    int exponent = 0;
    if (allows_exponent && p < end && (*p == 'e' || *p == 'E') &&
        read_exponent(&p, end, &exponent) != 0) {
        return ERROR_INVALID;
    }
    if (p != end) {
        return ERROR_INVALID;
    }
    if (d.is_too_long) {
        return ERROR_LIMIT;
    }
    wide value = is_negative ? -d.value : d.value;
    return exponent == 0 ? fit(value, d.scale, out) : apply_exponent(value, d.scale, exponent, out);
}

int decimal_parse(struct bytes text, struct decimal *out)
{
    return parse(text, false, out);
}

int decimal_parse_scientific(struct bytes text, struct decimal *out)
{
    return parse(text, true, out);
}

size_t decimal_format(struct decimal a, char out[DECIMAL_TEXT_SIZE])
{
    char reversed[DECIMAL_TEXT_SIZE];
    size_t count = 0;
    uint64_t rest = a.coefficient < 0 ? 0 - (uint64_t)a.coefficient : (uint64_t)a.coefficient;
    for (int place = 0; rest > 0 || place <= a.scale; place++) {
        if (place == a.scale && a.scale > 0) {
            reversed[count++] = '.';
        }
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (a.coefficient < 0) {
        reversed[count++] = '-';
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = reversed[count - 1 - i];
    }
    out[count] = '\0';
    return count;
}

/* ---- arithmetic ---- */

int decimal_add(struct decimal a, struct decimal b, struct decimal *out)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;
    return fit(aligned(a, scale) + aligned(b, scale), scale, out);
}

int decimal_subtract(struct decimal a, struct decimal b, struct decimal *out)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;
    return fit(aligned(a, scale) - aligned(b, scale), scale, out);
}

int decimal_multiply(struct decimal a, struct decimal b, struct decimal *out)
{
    wide product = (wide)a.coefficient * b.coefficient;
    int scale = a.scale + b.scale;
    while (scale > 0 && product % 10 == 0 &&
           (scale > DECIMAL_MAX_SCALE || product > INT64_MAX || product < INT64_MIN)) {
        product /= 10;
        scale--;
    }
    return scale > DECIMAL_MAX_SCALE ? ERROR_LIMIT : fit(product, scale, out);
}

int decimal_divide(struct decimal a, struct decimal b, int scale, enum decimal_rounding mode,
                   struct decimal *out)
{
    if (b.coefficient == 0 || scale < 0 || scale > DECIMAL_MAX_SCALE) {
        return ERROR_INVALID;
    }
    wide number = a.coefficient;
    wide divisor = b.coefficient;
    int shift = scale + b.scale - a.scale; /* -12 .. 24 */
    if (shift < 0) {
        divisor *= power_of_ten(-shift);
    } else {
        /* Past 128 bits the quotient, of a divisor below 2^63, is past 64 bits as well. */
        if (__builtin_mul_overflow(number, power_of_ten(shift), &number)) {
            return ERROR_LIMIT;
        }
    }
    return fit(divide_rounded(number, divisor, mode), scale, out);
}

int decimal_negate(struct decimal a, struct decimal *out)
{
    return fit(-(wide)a.coefficient, a.scale, out);
}

int decimal_round(struct decimal a, int scale, enum decimal_rounding mode, struct decimal *out)
{
    if (scale < 0 || scale > DECIMAL_MAX_SCALE) {
        return ERROR_INVALID;
    }
    if (scale >= a.scale) {
        return fit(aligned(a, scale), scale, out);
    }
    return fit(divide_rounded(a.coefficient, powers[a.scale - scale], mode), scale, out);
}

int decimal_rescale(struct decimal a, int scale, struct decimal *out)
{
    if (scale >= 0 && scale < a.scale && a.coefficient % powers[a.scale - scale] != 0) {
        return ERROR_INVALID;
    }
    return decimal_round(a, scale, DECIMAL_DOWN, out);
}

struct decimal decimal_trim(struct decimal a)
{
    while (a.scale > 0 && a.coefficient % 10 == 0) {
        a.coefficient /= 10;
        a.scale--;
    }
    return a;
}

int decimal_compare(struct decimal a, struct decimal b)
{
    int scale = a.scale > b.scale ? a.scale : b.scale;
    wide left = aligned(a, scale);
    wide right = aligned(b, scale);
    return (left > right) - (left < right);
}

/* ---- splitting ---- */

static int compare_remainders(const void *a, const void *b)
{
    const struct decimal_remainder *left = a;
    const struct decimal_remainder *right = b;
    if (left->rest_high != right->rest_high) {
        return left->rest_high > right->rest_high ? -1 : 1;
    }
    if (left->rest_low != right->rest_low) {
        return left->rest_low > right->rest_low ? -1 : 1;
    }
    return (left->index > right->index) - (left->index < right->index);
}

int decimal_split(int64_t amount, const int64_t *weights, size_t count, int64_t *shares,
                  struct decimal_remainder *scratch)
{
    unsigned __int128 total = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < 0) {
            return ERROR_INVALID;
        }
        total += (uint64_t)weights[i];
    }
    if (total == 0) {
        return ERROR_INVALID;
    }
    uint64_t whole = amount < 0 ? 0 - (uint64_t)amount : (uint64_t)amount;
    uint64_t left = whole;
    for (size_t i = 0; i < count; i++) {
        unsigned __int128 product = (unsigned __int128)whole * (uint64_t)weights[i];
        uint64_t share = (uint64_t)(product / total);
        left -= share;
        shares[i] = (int64_t)share; /* 2^63 wraps to INT64_MIN, its own mirror image */
        unsigned __int128 rest = product % total;
        scratch[i].rest_high = (uint64_t)(rest >> 64);
        scratch[i].rest_low = (uint64_t)rest;
        scratch[i].index = i;
    }
    /* Fewer are left than there are remainders above zero, so weights of zero stay at zero. */
    if (left > 0) {
        qsort(scratch, count, sizeof(*scratch), compare_remainders);
    }
    for (size_t i = 0; i < left; i++) {
        assert(i < count && (scratch[i].rest_high | scratch[i].rest_low) > 0);
        shares[scratch[i].index] = (int64_t)((uint64_t)shares[scratch[i].index] + 1);
    }
    for (size_t i = 0; amount < 0 && i < count; i++) {
        shares[i] = (int64_t)(0 - (uint64_t)shares[i]);
    }
    return 0;
}
