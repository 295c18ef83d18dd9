/*
 * Each verb is a process of its own, because LMDB opens an environment once per process and the
 * audit waits for both systems, which are served here: the host goes on with its turns until the
 * verb has ended.
 */
#include "core/cli/demo_verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/cli/cli.h"
#include "core/cli/examination.h"
#include "core/host_private.h"
#include "core/ops/admin.h"

#define SAID_MAX       (16u << 20)
#define WORDS_MAX      40
#define DRIFT_LIMIT_MS 15000 /* the demo's schedule looks every second */
#define DRIFT_LOOK_MS  250
#define STOCK_CODE     "FO-STK-DEMO" /* examples/demo_driver */

/* ---- Running
 * ----------------------------------------------------------------------------------------- */

/* Runs it while the host serves; not to its end when the host is stopped. */
static void run(const struct demo_place *place, const char *const *words, struct examination *e)
{
    examination_begin(e, words, SAID_MAX);
    examination_watch(e, loop_event_base(place->host->loop));
    while (e->fd >= 0 && host_turn(place->host, true)) {
    }
}

/* ---- Reading
 * ----------------------------------------------------------------------------------------- */

static int64_t number_in(struct bytes json, const char *name)
{
    struct bytes value;
    int64_t number = -1;
    return json_find(json, name, &value) && json_integer(value, &number) ? number : -1;
}

static bool is_true(struct bytes json, const char *name)
{
    struct bytes value;
    return json_find(json, name, &value) && bytes_equal(value, bytes_str("true"));
}

/* "EUR 1179.50, GBP 7012.34" of {"EUR":117950,...}, or of {"EUR":{"minor":117950,...},...}. */
static void print_money(struct bytes sums)
{
    struct bytes name;
    struct bytes value;
    const char *between = "";
    while (json_member(&sums, &name, &value)) {
        int64_t minor = 0;
        char amount[32];
        char currency[8];
        snprintf(currency, sizeof(currency), "%.*s", (int)name.size, name.data);
        if (!json_integer(value, &minor)) {
            minor = number_in(value, "minor");
        }
        admin_format_minor(minor, currency, amount, sizeof(amount));
        printf("%s%s %s", between, currency, amount);
        between = ", ";
    }
}

static void print_text(struct bytes json, const char *name)
{
    struct bytes value;
    struct buf text;
    buf_init(&text, 4096);
    if (json_find(json, name, &value) && json_text(value, &text)) {
        fputs(buf_text(&text), stdout);
    }
    buf_free(&text);
}

static void print_lines(const struct buf *said, size_t count)
{
    const char *at = buf_text(said);
    for (size_t i = 0; i < count && *at != '\0'; i++) {
        size_t size = strcspn(at, "\n");
        printf("%s%.*s\n", i == 0 ? "" : "    ", (int)size, at);
        at += size + (at[size] == '\n' ? 1 : 0);
    }
}

/* ---- The verbs
 * --------------------------------------------------------------------------------------- */

/* The demo ends when everything is where it should be: what waits still is as wrong as what
 * differs. */
static bool show_reconcile(const struct examination *e, struct bytes json)
{
    int64_t right = 0; /* tie, are held or are never posted */
    int64_t under_way = 0;
    int64_t wrong = 0;
    struct bytes list;
    struct bytes element;
    struct bytes value;
    bool is_there = json_find(json, "classes", &list);
    while (is_there && json_next(&list, &element)) {
        bool is_under_way =
            json_find(element, "class", &value) && bytes_equal(value, bytes_str("\"in_flight\""));
        *(is_true(element, "wrong") ? &wrong
          : is_under_way            ? &under_way
                                    : &right) += number_in(element, "orders");
    }
    printf("%" PRId64 " orders tie or are held, order to cash; %" PRId64 " wait, %" PRId64
           " differ\n",
           right, under_way, wrong);
    return e->code == CLI_OK && right > 0 && under_way == 0;
}

static bool show_replay(const struct examination *e, struct bytes json)
{
    printf("%" PRId64 " of %" PRId64 " recorded orders would be posted the same\n",
           number_in(json, "same"), number_in(json, "orders"));
    return e->code == CLI_OK && number_in(json, "same") > 0;
}

static int64_t count_orders(struct bytes json, const char *name, struct bytes *sums_out)
{
    int64_t orders = 0;
    struct bytes currency;
    struct bytes sum;
    *sums_out = bytes_str("{}");
    struct bytes rest = json_find(json, name, sums_out) ? *sums_out : bytes_str("{}");
    while (json_member(&rest, &currency, &sum)) {
        orders += number_in(sum, "orders");
    }
    return orders;
}

/* Something found is the rule here: the orders are in Khaos already, and some are held. Failed is
 * one that ended without a report, mapped nothing, or left a part out without need: Khaos Control
 * Cloud tells an audit nothing (docs/audit.md). */
static bool show_audit(const struct examination *e, struct bytes json)
{
    struct bytes sums;
    struct bytes list;
    struct bytes element;
    int64_t mapped = count_orders(json, "mapped", &sums);
    printf("%" PRId64 " orders mapped as if live (", mapped);
    print_money(sums);
    printf("), %" PRId64 " reads of both systems, nothing sent\n", number_in(json, "calls"));
    bool is_there = json_find(json, "findings", &list);
    while (is_there && json_next(&list, &element)) {
        printf("    %3" PRId64 " ", number_in(element, "count"));
        print_text(element, "cause");
        printf(", ");
        print_text(element, "subject");
        struct bytes money;
        struct bytes rest = json_find(element, "money", &money) ? money : bytes_str("{}");
        if (json_member(&rest, &sums, &element)) {
            printf(": ");
            print_money(money);
        }
        printf("\n");
    }
    is_there = json_find(json, "parts", &list);
    while (is_there && json_next(&list, &element)) {
        struct bytes why;
        if (json_find(element, "stopped", &why)) {
            printf("    not looked at: ");
            print_text(element, "name");
            printf("\n");
        }
    }
    const char *line = getenv("NEAP_LINE");
    bool is_cloud = line != NULL && strcmp(line, "cloud") == 0;
    return (e->code == CLI_OK || e->code == CLI_WRONG) && mapped > 0 &&
           (is_cloud || is_true(json, "complete"));
}

static bool show_products(const struct examination *e, struct bytes json)
{
    struct bytes counts = bytes_str("{}");
    (void)json_find(json, "counts", &counts);
    printf("%" PRId64 " variants beside %" PRId64 " stock codes", number_in(json, "variants"),
           number_in(json, "stock_codes"));
    struct bytes kind;
    struct bytes count;
    while (json_member(&counts, &kind, &count)) {
        printf(", %.*s %.*s", (int)count.size, count.data, (int)kind.size, kind.data);
    }
    printf("\n");
    return (e->code == CLI_OK || e->code == CLI_WRONG) && number_in(json, "variants") > 0;
}

static bool show_drift(const struct examination *e, struct bytes json)
{
    struct bytes counts = bytes_str("{}");
    struct bytes class;
    struct bytes count;
    bool is_right = e->code == CLI_OK || e->code == CLI_WRONG;
    (void)json_find(json, "counts", &counts);
    printf("%" PRId64 " codes beside what the shop shows", number_in(json, "looked"));
    /* The demo sells codes that its shop's catalogue lacks; anything else would be wrong. */
    while (json_member(&counts, &class, &count)) {
        printf(", %.*s %.*s", (int)count.size, count.data, (int)class.size, class.data);
        is_right = is_right && (bytes_equal(class, bytes_str("missing")) ||
                                bytes_equal(class, bytes_str("in_flight")));
    }
    printf("\n");
    return is_right && number_in(json, "looked") > 0;
}

static bool show_stock(const struct examination *e, struct bytes json)
{
    (void)json;
    print_lines(&e->said, 2);
    return e->code == CLI_OK;
}

static bool show_verify(const struct examination *e, struct bytes json)
{
    (void)json;
    print_lines(&e->said, 1);
    return e->code == CLI_OK;
}

static bool show_status(const struct examination *e, struct bytes json)
{
    (void)json;
    print_lines(&e->said, 1);
    return e->code == CLI_OK || e->code == CLI_WRONG; /* amber: orders are held */
}

static const struct shown_verb {
    const char *words[6]; /* end with NULL */
    bool has_client;      /* takes the client's folder and secrets instead of --client */
    bool has_data;
    bool (*show)(const struct examination *e, struct bytes json);
} VERBS[] = {
    {{"reconcile", "--json", NULL}, false, true, show_reconcile},
    {{"replay", "--since", "2000-01-01", "--json", "--folder", NULL}, true, true, show_replay},
    {{"audit", "--json", "--per-minute", "60000", NULL}, true, false, show_audit},
    {{"products", "--json", NULL}, false, true, show_products},
    {{"stock", STOCK_CODE, NULL}, false, true, show_stock},
    {{"stock", "drift", "--json", NULL}, false, true, show_drift},
    {{"verify", NULL}, false, true, show_verify},
    {{"status", NULL}, false, true, show_status},
};

struct line {
    const char *words[WORDS_MAX + 1];
    size_t count;
};

static void add(struct line *line, const char *word)
{
    if (line->count < WORDS_MAX) {
        line->words[line->count++] = word;
    }
}

static void run_verb(const struct demo_place *place, const struct shown_verb *verb,
                     struct examination *e)
{
    struct line line = {.count = 0};
    char *client = xasprintf("%s/demo", place->examples);
    char *secrets = xasprintf("%s/secrets", client);
    for (size_t i = 0; verb->words[i] != NULL; i++) {
        add(&line, verb->words[i]);
    }
    add(&line, verb->has_client ? client : "--client");
    add(&line, verb->has_client ? "--secrets" : "demo");
    if (verb->has_client) {
        add(&line, secrets);
        for (size_t i = 0; place->variables[i] != NULL; i++) {
            add(&line, "--set");
            add(&line, place->variables[i]);
        }
    }
    if (verb->has_data) {
        add(&line, "--data");
        add(&line, place->data_folder);
    }
    run(place, line.words, e);
    free(secrets);
    free(client);
}

/* Asks for a comparison of stock and serves until it was made. */
static void compare_stock(const struct demo_place *place)
{
    static const struct shown_verb CHECK = {{"stock", "drift", "--check", NULL}, false, true, NULL};
    static const struct shown_verb LOOK = {{"stock", "drift", "--json", NULL}, false, true, NULL};
    struct clock *clock = place->host->clock;
    int64_t end = clock_mono_ms(clock) + DRIFT_LIMIT_MS;
    struct examination e;
    run_verb(place, &CHECK, &e);
    examination_free(&e);
    bool is_made = false;
    while (!is_made && !place->host->has_stopped && clock_mono_ms(clock) < end) {
        run_verb(place, &LOOK, &e);
        struct bytes json = bytes_str(buf_text(&e.said));
        struct bytes value;
        is_made = json_find(json, "completed", &value) && !is_true(json, "under_way");
        examination_free(&e);
        int64_t next = clock_mono_ms(clock) + DRIFT_LOOK_MS;
        while (!is_made && clock_mono_ms(clock) < next && host_turn(place->host, true)) {
        }
    }
}

bool demo_verbs_print(const struct demo_place *place)
{
    bool is_right = true;
    compare_stock(place);
    printf("what the verbs say of it:\n");
    for (size_t i = 0; i < sizeof(VERBS) / sizeof(VERBS[0]); i++) {
        struct examination e;
        run_verb(place, &VERBS[i], &e);
        bool is_word = VERBS[i].words[1] != NULL && VERBS[i].words[1][0] != '-';
        printf("  neap %s%s%s: ", VERBS[i].words[0], is_word ? " " : "",
               is_word ? VERBS[i].words[1] : "");
        bool is_shown = VERBS[i].show(&e, bytes_str(buf_text(&e.said)));
        if (!is_shown) {
            printf("    which is not as it should be (exit code %d)\n", e.code);
        }
        is_right = is_right && is_shown;
        examination_free(&e);
    }
    return is_right;
}
