/*
 * A damaged store: records of every kind cut, changed, emptied or missing. The engine must go on
 * (broken records are put aside), never crash, never stop the host, never loop; the integrity check
 * and every question must end.
 *
 * Input: groups of four bytes, each damages one record: which, how, where, with what.
 */
#include <stdint.h>

#include "core/ops/admin.h"
#include "core/work/erasure.h"
#include "core/work/integrity.h"
#include "core/work/retention.h"
#include "tests/support/work_world.h"

#define RECORDS_MAX 400
#define DAMAGES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct record {
    char *key;
    size_t key_size;
    char *value;
    size_t value_size;
};

static struct record template[RECORDS_MAX];
static size_t template_count;
static uint64_t effect_id;
static bool is_first_run = true;

/* order:1 is held, order:2 waits, order:3 awaits, order:4 has an effect on its way, others end. */
static enum slice_end script(struct job *job, struct failure *failure)
{
    static const char *const events[] = {"status", NULL};
    struct effect_spec spec = {.connection = "far", .name = "post", .key = job->info.key};
    struct effect effect;
    struct bytes json;
    struct job_wait wait;
    if (step_find(job, "fetch", &json) == ERROR_NOT_FOUND &&
        step_put(job, "fetch", bytes_str("1")) != 0) {
        return world_fail(failure, "step", true);
    }
    switch (job->info.key[strlen(job->info.key) - 1]) {
    case '1':
        return world_hold(job, "unknown_stock_code", "TS", RECHECK_RELOAD);
    case '2':
        return world_fail(failure, "later", true);
    case '3':
        if (job_wait_find(job, "status", &wait) != 0 || wait.state == JOB_WAIT_DONE) {
            return SLICE_DONE;
        }
        return job_request_await(job, "status", events, 0) == 0
                   ? SLICE_UNWOUND
                   : world_fail(failure, "await", true);
    case '4':
        if (effect_find(job->work, &spec, &effect) != 0) {
            return world_fail(failure, "the ledger", false);
        }
        if (effect.state == EFFECT_NONE && is_first_run &&
            effect_intend(job, &spec, bytes_str("POST"), &effect_id) == 0) {
            effect_free(&effect);
            return SLICE_SUSPENDED;
        }
        effect_free(&effect);
        return world_fail(failure, "in doubt", true);
    default:
        return world_done(job, failure);
    }
}

static char *copy_of(struct bytes b)
{
    char *copy = xmalloc(b.size + 1);
    memcpy(copy, b.data, b.size);
    return copy;
}

static int keep(void *arg, struct bytes key, struct bytes value)
{
    (void)arg;
    if (template_count < RECORDS_MAX) {
        template[template_count++] =
            (struct record){copy_of(key), key.size, copy_of(value), value.size};
    }
    return 0;
}

static void make_template(struct world *w)
{
    static const struct schedule_spec tick = {.flow = "orders", .name = "t", .every_ms = 1000};
    struct audit_entry entry = {.who = "ann", .action = "a", .subject = "s", .detail = "d"};
    struct error err;
    const char *const keys[] = {"order:1", "order:2", "order:3", "order:4", "order:5", "order:1"};
    char id[] = "a";
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++, id[0]++) {
        world_order(w, keys[i], id);
    }
    CHECK_INT(inbox_alias(w->work, "order:1", "ref:1"), 0);
    world_overtake(w, "order:5", "hint", EVENT_IDLE_KEEP);
    CHECK_INT(dossier_put_link(w->work, "order:5", "far", "SO1"), 0);
    CHECK_INT(audit_append(w->work, &entry), 0);
    CHECK_INT(schedule_replace(w->work, &tick, 1, &err), 0);
    world_settle(w);
    struct bytes all = bytes_of("", 0);
    CHECK_INT(store_range(w->store, all, all, false, keep, NULL), 0);
    is_first_run = false;
}

static int take_key(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct bytes *first = arg;
    *first = key;
    return 1;
}

static void need(int rc)
{
    if (rc != 0) {
        abort();
    }
}

static void restore(struct store *store)
{
    struct bytes all = bytes_of("", 0);
    struct bytes key;
    while (store_range(store, all, all, false, take_key, &key) == 1) {
        char *copy = copy_of(key);
        need(store_delete(store, bytes_of(copy, key.size)));
        free(copy);
    }
    for (size_t i = 0; i < template_count; i++) {
        need(store_put(store, bytes_of(template[i].key, template[i].key_size),
                       bytes_of(template[i].value, template[i].value_size)));
    }
}

static void damage(struct store *store, const uint8_t *how)
{
    const struct record *r = &template[how[0] % template_count];
    struct bytes key = bytes_of(r->key, r->key_size);
    char *value = copy_of(bytes_of(r->value, r->value_size));
    size_t size = r->value_size;
    switch (how[1] % 4) {
    case 0:
        size = how[2] % (size + 1);
        break;
    case 1:
        value[how[2] % size] = (char)how[3];
        break;
    case 2:
        value[how[2] % size] ^= (char)(1 << how[3] % 8);
        break;
    default: {
        int rc = store_delete(store, key);
        free(value);
        if (rc != 0 && rc != ERROR_NOT_FOUND) {
            abort();
        }
        return;
    }
    }
    need(store_put(store, key, bytes_of(value, size)));
    free(value);
}

static void on_durable(void *arg, int rc, const struct error *err)
{
    (void)err;
    *(int *)arg = rc;
}

static void ask_everything(struct world *w)
{
    static const char *const questions[][3] = {
        {"status"}, {"exceptions"}, {"order", "order:1"}, {"order", "ref:1"}, {"order", "order:4"}};
    struct ops_client client = {.name = "acme", .work = w->work, .generation = 1};
    struct ops_view view = {
        .clients = &client, .count = 1, .is_live = true, .now_ms = clock_wall_ms(w->clock)};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct buf out;
        struct admin_request request = {.words = questions[i],
                                        .count = questions[i][1] == NULL ? 1 : 2,
                                        .who = "ann",
                                        .wants_json = i % 2 == 0};
        buf_init(&out, 1 << 20);
        (void)admin_run(&view, &request, &out);
        buf_free(&out);
    }
}

static void live_on(struct world *w)
{
    struct integrity_report report;
    struct error err;
    bool is_over = false;
    need(integrity_check(w->work, NULL, NULL, &report));
    for (int i = 0; i < 8; i++) {
        error_clear(&err);
        if (turn_run(w->turn, false, NULL, &err) != 0) {
            fprintf(stderr, "%s\n", err.message);
            abort();
        }
        clock_advance(w->clock, 700);
    }
    struct event_new event = {
        .source = "late", .id = "1", .key = "ref:1", .name = "n", .flow = "orders"};
    struct accept_result result;
    if (work_accept(w->work, &event, &result, &err) == 0) {
        accept_result_free(&result);
    }
    struct erasure_request erase = {.key = "order:5", .who = "a", .reason = "r", .is_forced = true};
    struct erasure_report erased;
    (void)!erasure_apply(w->work, &erase, &erased, &err);
    clock_advance(w->clock, INT64_C(86400000) * 800);
    (void)!retention_run(w->work, &is_over);
    ask_everything(w);
    (void)!turn_run(w->turn, false, NULL, &err);
    store_abort(w->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world *w;
    if (w == NULL) {
        w = world_open(script);
        make_template(w);
        if (tap_is_case_bad || template_count < 60) {
            abort();
        }
        log_configure(LOG_ERROR + 1, LOG_FORMAT_JSON);
    }
    /* The process that finds it. */
    turn_remove(w->turn, w->work);
    work_close(w->work);
    w->work = NULL;
    w->trace[0] = '\0';
    w->answers = w->exceptions = w->firsts = w->drops = 0;
    restore(w->store);
    for (size_t i = 0; i < DAMAGES_MAX && (i + 1) * 4 <= size; i++) {
        damage(w->store, data + i * 4);
    }
    int rc = ERROR_IO;
    store_commit(w->store, on_durable, &rc);
    need(rc);
    store_close(w->store);
    world_open_work(w);
    live_on(w);
    return 0;
}
