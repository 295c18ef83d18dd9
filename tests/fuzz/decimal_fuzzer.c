/*
 * Decimals from arbitrary text, "a b": what is parsed prints and parses to itself; sums undo; a
 * product divided by a factor gives the other factor; results that do not fit are refused, never
 * undefined.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/decimal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool claim)
{
    if (!claim) {
        abort();
    }
}

static bool read(struct bytes text, struct decimal *out)
{
    if (decimal_parse(text, out) != 0 && decimal_parse_scientific(text, out) != 0) {
        return false;
    }
    char printed[DECIMAL_TEXT_SIZE];
    size_t size = decimal_format(*out, printed);
    struct decimal back;
    require(size < sizeof(printed) && decimal_parse(bytes_of(printed, size), &back) == 0);
    require(back.coefficient == out->coefficient && back.scale == out->scale);
    require(decimal_compare(decimal_trim(*out), *out) == 0);
    return true;
}

static void check_pair(struct decimal a, struct decimal b)
{
    struct decimal sum;
    struct decimal back;
    if (decimal_add(a, b, &sum) == 0 && decimal_subtract(sum, b, &back) == 0) {
        require(decimal_compare(back, a) == 0);
    }
    struct decimal product;
    if (decimal_multiply(a, b, &product) == 0 && b.coefficient != 0 &&
        decimal_divide(product, b, DECIMAL_MAX_SCALE, DECIMAL_DOWN, &back) == 0) {
        require(decimal_compare(back, a) == 0);
    }
    for (int mode = DECIMAL_HALF_AWAY; mode <= DECIMAL_CEIL; mode++) {
        for (int scale = 0; scale <= DECIMAL_MAX_SCALE; scale += 3) {
            struct decimal quotient;
            int rc = decimal_divide(a, b, scale, (enum decimal_rounding)mode, &quotient);
            require(rc == 0 || rc == ERROR_INVALID || rc == ERROR_LIMIT);
            rc = decimal_round(a, scale, (enum decimal_rounding)mode, &quotient);
            require(rc == ERROR_LIMIT || (rc == 0 && quotient.scale == scale));
        }
    }
    int64_t weights[] = {a.coefficient, b.coefficient, a.scale};
    int64_t shares[3];
    struct decimal_remainder scratch[3];
    if (decimal_split(a.coefficient ^ b.coefficient, weights, 3, shares, scratch) == 0) {
        __int128 total = (__int128)shares[0] + shares[1] + shares[2];
        require(total == (a.coefficient ^ b.coefficient));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *space = size == 0 ? NULL : memchr(text, ' ', size);
    size_t first = space == NULL ? size : (size_t)(space - text);
    struct decimal a = {0, 0};
    struct decimal b = {0, 0};
    bool has_a = read(bytes_of(text, first), &a);
    bool has_b = space != NULL && read(bytes_of(space + 1, size - first - 1), &b);
    if (has_a && has_b) {
        check_pair(a, b);
    }
    return 0;
}
