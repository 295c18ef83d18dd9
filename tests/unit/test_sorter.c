/* Sorting rows outside of memory: order, stability, many runs, what is refused; and the file. */
#include "core/base/sorter.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/base/spool.h"
#include "core/base/xalloc.h"
#include "tests/support/tap.h"

/* Adds rows with keys below `keys`, each carrying the number of its turn. */
static void add_rows(struct sorter *s, uint64_t seed, unsigned count, unsigned keys, size_t padding)
{
    struct random_source random;
    random_init(&random, seed);
    char *value = xcalloc(1, padding + 16);
    memset(value, 'x', padding + 15);
    for (unsigned i = 0; i < count; i++) {
        char key[24];
        snprintf(key, sizeof key, "%08u", (unsigned)random_below(&random, keys));
        int size = snprintf(value, 12, "%010u", i);
        value[size] = ' ';
        CHECK_INT(sorter_add(s, bytes_str(key), bytes_of(value, padding + 15)), 0);
    }
    free(value);
}

/* Everything comes, in order, equal keys in the order they were added. */
static void check_rows(struct sorter *s, unsigned count)
{
    char last[32] = "";
    unsigned seen = 0;
    struct bytes key;
    struct bytes value;
    while (sorter_peek(s, &key, &value) == 0) {
        char now[32];
        snprintf(now, sizeof now, "%.*s%.10s", (int)key.size, key.data, value.data);
        if (strcmp(last, now) >= 0) {
            CHECK_STR(now, "a later row");
            break;
        }
        memcpy(last, now, sizeof last);
        seen++;
        sorter_skip(s);
    }
    CHECK_INT(seen, count);
    CHECK_INT(sorter_peek(s, &key, &value), ERROR_NOT_FOUND);
}

static void rows_come_in_order(void)
{
    static const struct {
        unsigned count;
        unsigned keys;
        size_t padding;
    } cases[] = {{0, 1, 0},         {1, 1, 0},           {1000, 10, 0},
                 {50000, 100, 100}, {200000, 500000, 0}, {40, 30, 400000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sorter *s = sorter_new("/tmp");
        add_rows(s, i + 1, cases[i].count, cases[i].keys, cases[i].padding);
        CHECK(!sorter_is_reading(s));
        check_rows(s, cases[i].count);
        CHECK(sorter_is_reading(s));
        sorter_free(s);
    }
}

static void a_row_above_a_run_is_refused(void)
{
    struct sorter *s = sorter_new("/tmp");
    char *big = xcalloc(1, SORTER_RUN_BYTES);
    CHECK_INT(sorter_add(s, bytes_str("k"), bytes_of(big, SORTER_RUN_BYTES)), ERROR_LIMIT);
    CHECK_INT(sorter_add(s, bytes_str("k"), bytes_of(big, SORTER_RUN_BYTES - 9)), 0);
    free(big);
    sorter_free(s);
}

static void a_folder_that_is_not_there_is_an_error(void)
{
    struct sorter *s = sorter_new("/nowhere");
    char *value = xcalloc(1, SORTER_RUN_BYTES / 2);
    struct bytes row = bytes_of(value, SORTER_RUN_BYTES / 2);
    CHECK_INT(sorter_add(s, bytes_str("a"), row), 0);
    CHECK_INT(sorter_add(s, bytes_str("b"), row), ERROR_IO);
    free(value);
    sorter_free(s);
}

static void a_spool_keeps_what_fits(void)
{
    struct error err;
    struct spool *spool = spool_new("/tmp", 10, &err);
    char text[16];
    size_t got;
    CHECK_INT(spool_add(spool, "0123456", 7), 0);
    CHECK_INT(spool_add(spool, "7890", 4), ERROR_LIMIT);
    CHECK_INT(spool_add(spool, "789", 3), 0);
    CHECK_INT(spool_size(spool), 10);
    CHECK_INT(spool_read(spool, 6, text, sizeof text, &got), 0);
    CHECK(bytes_equal(bytes_of(text, got), bytes_str("6789")));
    CHECK_INT(spool_read(spool, 10, text, sizeof text, &got), 0);
    CHECK_INT(got, 0);
    spool_free(spool);
    CHECK(spool_new("/nowhere", 10, &err) == NULL);
    CHECK_INT(err.code, ERROR_IO);
}

int main(void)
{
    tap_case("rows come in order, however many", rows_come_in_order);
    tap_case("a row above a run is refused", a_row_above_a_run_is_refused);
    tap_case("a folder that is not there is an error", a_folder_that_is_not_there_is_an_error);
    tap_case("a spool keeps what fits", a_spool_keeps_what_fits);
    return tap_done();
}
