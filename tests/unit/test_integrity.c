/* The integrity check: silent on what the engine writes, loud about whatever is missing or cut. */
#include "core/work/work_state.h"
#include "tests/support/store_check.h"
#include "tests/support/work_world.h"

/* Not q and r: retention takes those of an effect that is over. */
#define TABLES_THAT_HANG_ON_OTHERS "EUJOIjabFfPsXVvLlH"
#define RECORDS_MAX                400

static uint64_t effect_id;

/* order:1 is held, order:2 sent something, order:3 is done with a confirmed effect. */
static enum slice_end script(struct job *job, struct failure *failure)
{
    struct effect_spec spec = {.connection = "far", .name = "post", .key = job->info.key};
    struct effect effect;
    (void)failure;
    if (strcmp(job->info.key, "order:1") == 0) {
        return world_hold(job, "unknown_stock_code", "TS", RECHECK_PROOF);
    }
    CHECK_INT(effect_find(job->work, &spec, &effect), 0);
    if (effect.state == EFFECT_NONE) {
        CHECK_INT(step_put(job, "fetch", bytes_str("1")), 0);
        CHECK_INT(effect_intend(job, &spec, bytes_str("POST"), &effect_id), 0);
        return SLICE_SUSPENDED;
    }
    CHECK_INT(effect_confirm(job->work, effect.id, bytes_str("\"SO1\"")), 0);
    CHECK_INT(dossier_put_link(job->work, job->info.key, "far", "SO1"), 0);
    effect_free(&effect);
    return SLICE_DONE;
}

static struct world *open_busy(void)
{
    struct world *w = world_open(script);
    struct audit_entry entry = {.who = "ann", .action = "test", .subject = "s", .detail = "d"};
    world_order(w, "order:1", "a");
    world_order(w, "order:1", "a2");
    CHECK_INT(inbox_alias(w->work, "order:1", "ref:1"), 0);
    world_overtake(w, "order:1", "hint", EVENT_IDLE_KEEP);
    uint64_t third = world_order(w, "order:3", "c");
    world_settle(w);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("yes")), 0);
    job_wake(job_find_live(w->work, third));
    world_settle(w);
    world_order(w, "order:2", "b");
    CHECK_INT(audit_append(w->work, &entry), 0);
    world_settle(w);
    return w;
}

static void what_the_engine_writes_is_whole(void)
{
    struct world *w = open_busy();
    CHECK(store_check(w->work) > 40);
    world_restart(w);
    store_check(w->work);
    world_settle(w);
    store_check(w->work);
    world_close(w);
}

struct records {
    struct key keys[RECORDS_MAX];
    size_t count;
};

static int take_key(void *arg, struct bytes key, struct bytes value)
{
    struct records *records = arg;
    (void)value;
    if (records->count < RECORDS_MAX) {
        records->keys[records->count].size = 0;
        key_raw(&records->keys[records->count++], key);
    }
    return 0;
}

static struct records *all_records(struct world *w)
{
    struct records *records = xcalloc(1, sizeof *records);
    struct bytes all = bytes_of("", 0);
    CHECK_INT(store_range(w->store, all, all, false, take_key, records), 0);
    CHECK(records->count > 40 && records->count < RECORDS_MAX);
    return records;
}

static uint64_t problems(struct world *w)
{
    struct integrity_report report;
    CHECK_INT(integrity_check(w->work, NULL, NULL, &report), 0);
    return report.problems;
}

static void whatever_goes_missing_is_noticed(void)
{
    struct world *w = open_busy();
    struct records *records = all_records(w);
    size_t tried = 0;
    for (size_t i = 0; i < records->count; i++) {
        const struct key *key = &records->keys[i];
        if (strchr(TABLES_THAT_HANG_ON_OTHERS, key->data[0]) == NULL) {
            continue;
        }
        tried++;
        CHECK_INT(store_nested_begin(w->store), 0);
        CHECK_INT(store_delete(w->store, key_bytes(key)), 0);
        if (problems(w) == 0) {
            printf("# a missing record of %c is not noticed\n", key->data[0]);
            CHECK(!"it is noticed");
        }
        store_nested_abort(w->store);
    }
    CHECK(tried > 30);
    CHECK_INT(problems(w), 0);
    free(records);
    world_close(w);
}

static void the_bytes_of_an_open_effect_are_missed(void)
{
    struct world *w = open_busy();
    struct key key;
    key_begin(&key, KEY_EFFECT_REQUEST);
    key_u64(&key, effect_id); /* of order:2, on its way */
    CHECK_INT(store_nested_begin(w->store), 0);
    CHECK_INT(store_delete(w->store, key_bytes(&key)), 0);
    CHECK_INT(problems(w), 1);
    store_nested_abort(w->store);
    world_close(w);
}

static void whatever_is_cut_is_noticed(void)
{
    static const char tables[] = "EUJBaFfqrsXLlHn";
    struct world *w = open_busy();
    struct records *records = all_records(w);
    for (size_t i = 0; i < records->count; i++) {
        const struct key *key = &records->keys[i];
        struct bytes value;
        char copy[4096];
        if (strchr(tables, key->data[0]) == NULL) {
            continue;
        }
        CHECK_INT(store_get(w->store, key_bytes(key), &value), 0);
        size_t size = value.size - 1;
        CHECK(size < sizeof copy);
        memcpy(copy, value.data, size);
        CHECK_INT(store_nested_begin(w->store), 0);
        CHECK_INT(store_put(w->store, key_bytes(key), bytes_of(copy, size)), 0);
        if (problems(w) == 0) {
            printf("# a cut record of %c is not noticed\n", key->data[0]);
            CHECK(!"it is noticed");
        }
        store_nested_abort(w->store);
    }
    free(records);
    world_close(w);
}

static void what_nobody_writes_is_noticed(void)
{
    struct world *w = open_busy();
    const struct bytes mark = bytes_str("\1");
    static const char *const strangers[] = {"?", "J1234567", "J123456789", "It", "Or"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        CHECK_INT(store_nested_begin(w->store), 0);
        CHECK_INT(store_put(w->store, bytes_str(strangers[i]), mark), 0);
        CHECK(problems(w) > 0);
        store_nested_abort(w->store);
    }
    world_close(w);
}

int main(void)
{
    tap_case("what the engine writes is whole", what_the_engine_writes_is_whole);
    tap_case("whatever goes missing is noticed", whatever_goes_missing_is_noticed);
    tap_case("the bytes of an open effect are missed", the_bytes_of_an_open_effect_are_missed);
    tap_case("whatever is cut is noticed", whatever_is_cut_is_noticed);
    tap_case("what nobody writes is noticed", what_nobody_writes_is_noticed);
    return tap_done();
}
