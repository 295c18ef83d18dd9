/* Tables of neap.store: order, ranges, integers. */
#include "tests/support/work_world.h"

static const struct bytes table = {"codes", 5};

static int join(void *arg, struct bytes key, struct bytes json)
{
    (void)json;
    char *out = arg;
    size_t used = strlen(out);
    snprintf(out + used, 128 - used, "%.*s ", (int)key.size, key.data);
    return 0;
}

static struct world *with_codes(void)
{
    struct world *w = world_open(world_done);
    struct script_pair pairs[] = {{bytes_str("b1"), bytes_str("1")},
                                  {bytes_str("a2"), bytes_str("1")},
                                  {bytes_str("a10"), bytes_str("1")},
                                  {bytes_str("c"), bytes_str("1")},
                                  {bytes_str("a1"), bytes_str("1")}};
    CHECK_INT(script_table_put_many(w->work, table, pairs, 5), 0);
    CHECK_INT(script_table_put(w->work, bytes_str("code"), bytes_str("zz"), bytes_str("1")), 0);
    CHECK_INT(script_table_put(w->work, bytes_str("codesx"), bytes_str("zz"), bytes_str("1")), 0);
    return w;
}

static void ranges_keep_their_bounds(void)
{
    struct {
        struct script_range range;
        const char *expected;
    } cases[] = {
        {{.limit = 0}, "a1 a10 a2 b1 c "},
        {{.prefix = bytes_str("a")}, "a1 a10 a2 "},
        {{.prefix = bytes_str("a"), .is_reverse = true}, "a2 a10 a1 "},
        {{.from = bytes_str("a10")}, "a10 a2 b1 c "},
        {{.after = bytes_str("a10")}, "a2 b1 c "},
        {{.from = bytes_str("a2"), .is_reverse = true}, "a2 a10 a1 "},
        {{.after = bytes_str("a2"), .is_reverse = true}, "a10 a1 "},
        {{.prefix = bytes_str("a"), .after = bytes_str("a1")}, "a10 a2 "},
        {{.prefix = bytes_str("a"), .from = bytes_str("b")}, ""},
        {{.prefix = bytes_str("b"), .from = bytes_str("a")}, "b1 "},
        {{.limit = 2}, "a1 a10 "},
        {{.prefix = bytes_str("x")}, ""},
    };
    struct world *w = with_codes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[128] = "";
        CHECK_INT(script_table_range(w->work, table, &cases[i].range, join, out), 0);
        CHECK_STR(out, cases[i].expected);
    }
    world_close(w);
}

static void values_are_put_replaced_and_deleted(void)
{
    struct world *w = with_codes();
    struct bytes json;
    CHECK_INT(script_table_get(w->work, table, bytes_str("a1"), &json), 0);
    CHECK_INT(script_table_put(w->work, table, bytes_str("a1"), bytes_str("{\"x\":2}")), 0);
    CHECK_INT(script_table_get(w->work, table, bytes_str("a1"), &json), 0);
    CHECK(bytes_equal(json, bytes_str("{\"x\":2}")));
    CHECK_INT(script_table_delete(w->work, table, bytes_str("a1")), 0);
    CHECK_INT(script_table_delete(w->work, table, bytes_str("a1")), ERROR_NOT_FOUND);
    char key[402];
    memset(key, 'k', sizeof key);
    CHECK_INT(script_table_put(w->work, table, bytes_of(key, 400), bytes_str("1")), 0);
    CHECK_INT(script_table_put(w->work, table, bytes_of(key, 401), bytes_str("1")), ERROR_LIMIT);
    CHECK_INT(script_table_put(w->work, bytes_str("Codes"), bytes_str("a"), bytes_str("1")),
              ERROR_INVALID);
    world_close(w);
}

static void integers_count_and_refuse_other_values(void)
{
    struct world *w = with_codes();
    int64_t value;
    CHECK_INT(script_table_increment(w->work, table, bytes_str("n"), 1, &value), 0);
    CHECK_INT(value, 1);
    CHECK_INT(script_table_increment(w->work, table, bytes_str("n"), -5, &value), 0);
    CHECK_INT(value, -4);
    CHECK_INT(script_table_put(w->work, table, bytes_str("n"), bytes_str("9223372036854775807")),
              0);
    CHECK_INT(script_table_increment(w->work, table, bytes_str("n"), 1, &value), ERROR_LIMIT);
    CHECK_INT(script_table_put(w->work, table, bytes_str("n"), bytes_str("1.5")), 0);
    CHECK_INT(script_table_increment(w->work, table, bytes_str("n"), 1, &value), ERROR_INVALID);
    world_close(w);
}

static void see_change(void *arg, struct bytes key, bool is_gone)
{
    size_t used = strlen(arg);
    snprintf((char *)arg + used, 256 - used, "%s%.*s ", is_gone ? "-" : "+", (int)key.size,
             key.data);
}

static int see_pair(void *arg, struct bytes key, struct bytes json)
{
    size_t used = strlen(arg);
    snprintf((char *)arg + used, 256 - used, "%.*s=%.*s ", (int)key.size, key.data, (int)json.size,
             json.data);
    return 0;
}

/* Whatever the size of a step, the table becomes what the rows say and only differences are told.
 */
static void sorted_rows_replace_a_table(void)
{
    static const char *const rows[][2] = {{"d", "4"}, {"a", "1"}, {"c", "30"}, {"e", "50"},
                                          {"x", "9"}, {"z", "8"}, {"aa", "2"}};
    for (size_t limit = 1; limit < 12; limit++) {
        struct world *w = world_open(world_done);
        static const char *const before[] = {"a", "b", "c", "d", "f", "g"};
        for (int i = 0; i < 6; i++) {
            char json[2] = {(char)('1' + i), 0};
            CHECK_INT(script_table_put(w->work, table, bytes_str(before[i]), bytes_str(json)), 0);
        }
        CHECK_INT(script_table_put(w->work, bytes_str("codesx"), bytes_str("b"), bytes_str("7")),
                  0);
        struct sorter *sorter = sorter_new(w->folder);
        for (int i = 0; i < 7; i++) {
            CHECK_INT(sorter_add(sorter, bytes_str(rows[i][0]), bytes_str(rows[i][1])), 0);
        }
        char told[256] = "";
        struct buf after;
        buf_init(&after, SCRIPT_TABLE_KEY_MAX);
        struct script_replace replace = {sorter, &after, limit, see_change, told};
        bool is_over = false;
        size_t steps = 0;
        while (!is_over && steps < 20) {
            CHECK_INT(script_table_replace(w->work, table, &replace, &is_over), 0);
            steps++;
        }
        CHECK_INT(is_over, true);
        CHECK_STR(told, "+aa -b +c +e -f -g +x +z ");
        char now[256] = "";
        struct script_range all = {.limit = 100};
        CHECK_INT(script_table_range(w->work, table, &all, see_pair, now), 0);
        CHECK_STR(now, "a=1 aa=2 c=30 d=4 e=50 x=9 z=8 ");
        struct bytes json;
        CHECK_INT(script_table_get(w->work, bytes_str("codesx"), bytes_str("b"), &json), 0);
        buf_free(&after);
        sorter_free(sorter);
        world_close(w);
    }
}

static int see_link(void *arg, const char *system, const char *id)
{
    snprintf(arg, 64, "%s=%s", system, id);
    return 0;
}

static void facts_links_and_trails_belong_to_the_key(void)
{
    struct world *w = with_codes();
    char title[] = "SCAYLE order 1";
    char gbp[] = "GBP";
    char json[] = "{}";
    struct dossier_facts facts = {
        .title = title, .currency = gbp, .amount_minor = 16492, .deadline_ms = 5, .json = json};
    CHECK_INT(dossier_put_facts(w->work, "order:1", &facts), 0);
    struct dossier_facts back;
    CHECK_INT(dossier_get_facts(w->work, "order:1", &back), 0);
    CHECK_STR(back.title, title);
    CHECK_INT(back.amount_minor, 16492);
    dossier_facts_free(&back);
    CHECK_INT(dossier_get_facts(w->work, "order:2", &back), ERROR_NOT_FOUND);
    CHECK_INT(dossier_put_link(w->work, "order:1", "khaos_order", "SO1"), 0);
    CHECK_INT(dossier_put_link(w->work, "order:1", "khaos_order", "SO2"), 0);
    char *found = dossier_find_by_link(w->work, "khaos_order", "SO2");
    CHECK_STR(found, "order:1");
    free(found);
    CHECK(dossier_find_by_link(w->work, "khaos_order", "SO1") == NULL);
    char seen[64] = "";
    CHECK_INT(dossier_each_link(w->work, "order:1", see_link, seen), 0);
    CHECK_STR(seen, "khaos_order=SO2");
    struct bytes trail;
    CHECK_INT(dossier_put_trail(w->work, "order:1", bytes_str("{\"lines\":[]}")), 0);
    CHECK_INT(dossier_get_trail(w->work, "order:1", &trail), 0);
    CHECK(bytes_equal(trail, bytes_str("{\"lines\":[]}")));
    world_close(w);
}

/* Seen before: a key that gave an id up took the way back of the key that had it by then. */
static void the_newest_key_keeps_an_id(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(dossier_put_link(w->work, "order:1", "khaos", "SO1"), 0);
    CHECK_INT(dossier_put_link(w->work, "order:2", "khaos", "SO1"), 0);
    CHECK_INT(dossier_put_link(w->work, "order:1", "khaos", "SO9"), 0);
    char *found = dossier_find_by_link(w->work, "khaos", "SO1");
    CHECK_STR(found, "order:2");
    free(found);
    world_close(w);
}

int main(void)
{
    tap_case("ranges keep their bounds", ranges_keep_their_bounds);
    tap_case("values are put, replaced and deleted", values_are_put_replaced_and_deleted);
    tap_case("integers count and refuse other values", integers_count_and_refuse_other_values);
    tap_case("sorted rows replace a table, step by step", sorted_rows_replace_a_table);
    tap_case("facts, links and trails belong to the key", facts_links_and_trails_belong_to_the_key);
    tap_case("the newest key keeps an id", the_newest_key_keeps_an_id);
    return tap_done();
}
