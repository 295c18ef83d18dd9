/*
 * Exact decimal numbers for prices, percentages and rates: no float is involved anywhere.
 *
 * coefficient: the digits as one integer.
 * scale:       how many of them stand behind the point, 0..DECIMAL_MAX_SCALE; 12.50 is (1250, 2).
 *
 * Values compare by number (12.5 equals 12.50); the scale is kept for printing. Intermediate
 * results have 128 bits; a result that does not fit is ERROR_LIMIT, never rounded or wrapped.
 */
#ifndef NEAP_CORE_BASE_DECIMAL_H
#define NEAP_CORE_BASE_DECIMAL_H

#include "core/base/buf.h"

#define DECIMAL_MAX_SCALE 12
#define DECIMAL_TEXT_SIZE 24 /* sign, "0.", 19 digits, NUL and some room */

struct decimal {
    int64_t coefficient;
    int scale;
};

/* X(symbol, name): how a half or a rest is resolved. The names are those scripts use. */
#define DECIMAL_ROUNDING_LIST(X)                                                                   \
    X(DECIMAL_HALF_AWAY, "half_away") /* a half goes away from zero */                             \
    X(DECIMAL_HALF_EVEN, "half_even") /* a half goes to the even neighbour */                      \
    X(DECIMAL_DOWN, "down")           /* towards zero */                                           \
    X(DECIMAL_UP, "up")               /* away from zero */                                         \
    X(DECIMAL_FLOOR, "floor")         /* towards minus infinity */                                 \
    X(DECIMAL_CEIL, "ceil")           /* towards plus infinity */

enum decimal_rounding {
#define DECIMAL_ROUNDING_ENUM(symbol, name) symbol,
    DECIMAL_ROUNDING_LIST(DECIMAL_ROUNDING_ENUM)
#undef DECIMAL_ROUNDING_ENUM
};

/* The rounding with this name, -1 when there is none. */
int decimal_rounding_find(const char *name);

/*
 * Each writes *out and returns 0, or leaves it alone and returns ERROR_INVALID (text, scale out of
 * range, division by zero) or ERROR_LIMIT (the result does not fit).
 */

/* "-12.345": sign, digits, point, digits; exponents only when allowed. Zeros past scale 12 go. */
int decimal_parse(struct bytes text, struct decimal *out) NEAP_MUST_USE;
int decimal_parse_scientific(struct bytes text, struct decimal *out) NEAP_MUST_USE;

int decimal_add(struct decimal a, struct decimal b, struct decimal *out) NEAP_MUST_USE;
int decimal_subtract(struct decimal a, struct decimal b, struct decimal *out) NEAP_MUST_USE;
/* The product is exact: its scale is the sum, less trailing zeros where it must shrink to fit. */
int decimal_multiply(struct decimal a, struct decimal b, struct decimal *out) NEAP_MUST_USE;
int decimal_divide(struct decimal a, struct decimal b, int scale, enum decimal_rounding mode,
                   struct decimal *out) NEAP_MUST_USE;
int decimal_negate(struct decimal a, struct decimal *out) NEAP_MUST_USE;
/* To exactly `scale` decimals, rounding or adding zeros. */
int decimal_round(struct decimal a, int scale, enum decimal_rounding mode,
                  struct decimal *out) NEAP_MUST_USE;
/* To exactly `scale` decimals; ERROR_INVALID when digits other than zero would be lost. */
int decimal_rescale(struct decimal a, int scale, struct decimal *out) NEAP_MUST_USE;

/* The same number with the smallest scale. */
struct decimal decimal_trim(struct decimal a);
int decimal_compare(struct decimal a, struct decimal b); /* -1, 0, 1 */

/* Plain notation with `scale` decimals; returns the length. */
size_t decimal_format(struct decimal a, char out[DECIMAL_TEXT_SIZE]);

/*
 * Splits an amount by weights (not negative) so that the shares add up to it exactly: each gets its
 * share rounded towards zero, what is left goes one by one to the largest remainders, on a tie to
 * the earlier. A negative amount is split as its mirror image. shares and scratch hold `count`.
 * ERROR_INVALID when there is no weight above zero, or one below.
 */
struct decimal_remainder {
    uint64_t rest_high; /* two words, so that the alignment is that of any pointer */
    uint64_t rest_low;
    size_t index;
};
int decimal_split(int64_t amount, const int64_t *weights, size_t count, int64_t *shares,
                  struct decimal_remainder *scratch) NEAP_MUST_USE;

#endif
