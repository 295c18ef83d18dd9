/* neap status --stuck: the orders that do not go on by themselves, the longest waiting first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/ops/admin_private.h"
#include "core/ops/health.h"
#include "core/work/dossier.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "core/work/script_table.h"

#define OPEN_TABLE "orders_open"
#define KEY_PREFIX "order:"
#define STUCK_MAX  2000 /* listed: nobody reads more */

struct stuck_order {
    char *key;
    int64_t since_ms; /* accepted; else its job was made */
    char *why;        /* of those that are listed */
};

struct stuck_list {
    struct admin_context *c;
    struct stuck_order *orders;
    size_t count;
    size_t looked;    /* of the newest walk */
    bool is_at_least; /* a walk was cut */
};

/* ---- Which orders
 * ---------------------------------------------------------------------------------- */

static void add_order(struct stuck_list *list, struct bytes key, int64_t since_ms)
{
    if ((list->count & (list->count + 1)) == 0) { /* 0, 1, 3, 7: room for as many again */
        list->orders = xrealloc(list->orders, (2 * list->count + 1) * sizeof(*list->orders));
    }
    list->orders[list->count++] = (struct stuck_order){
        .key = xasprintf("%.*s", (int)key.size, (const char *)key.data), .since_ms = since_ms};
}

static int look_on(struct stuck_list *list)
{
    list->is_at_least = list->is_at_least || ++list->looked >= HEALTH_LOOK_AT;
    return list->looked >= HEALTH_LOOK_AT;
}

/* Told as stuck by the orders flow: longer than its stuck_after_ms. */
static int note_open(void *arg, struct bytes key, struct bytes json)
{
    struct stuck_list *list = arg;
    struct bytes value;
    int64_t since_ms = 0;
    bool is_told = json_find(json, "is_told", &value) && bytes_equal(value, bytes_str("true"));
    if (is_told && json_find(json, "accepted_ms", &value) && json_integer(value, &since_ms)) {
        add_order(list, key, since_ms);
    }
    return look_on(list);
}

static int note_job(void *arg, const struct job_info *info)
{
    struct stuck_list *list = arg;
    if (strncmp(info->key, KEY_PREFIX, strlen(KEY_PREFIX)) == 0) {
        add_order(list, bytes_str(info->key), info->created_ms);
    }
    return look_on(list);
}

static int compare_since(const struct stuck_order *left, const struct stuck_order *right)
{
    return (left->since_ms > right->since_ms) - (left->since_ms < right->since_ms);
}

static int by_key(const void *a, const void *b)
{
    const struct stuck_order *left = a;
    const struct stuck_order *right = b;
    int order = strcmp(left->key, right->key);
    return order != 0 ? order : compare_since(left, right);
}

static int by_age(const void *a, const void *b)
{
    const struct stuck_order *left = a;
    const struct stuck_order *right = b;
    int order = compare_since(left, right);
    return order != 0 ? order : strcmp(left->key, right->key);
}

/* Told as stuck and held, or with two jobs held, it is one order. */
static void keep_one_of_each(struct stuck_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && strcmp(list->orders[kept - 1].key, list->orders[i].key) == 0) {
            free(list->orders[i].key);
        } else {
            list->orders[kept++] = list->orders[i];
        }
    }
    list->count = kept;
}

static void collect(struct stuck_list *list)
{
    struct work *work = list->c->client->work;
    struct script_range all = {.limit = HEALTH_LOOK_AT};
    script_table_range(work, bytes_str(OPEN_TABLE), &all, note_open, list);
    list->looked = 0;
    job_each(work, JOB_HELD, note_job, list);
    list->looked = 0;
    job_each(work, JOB_DEAD, note_job, list);
    if (list->count > 1) {
        qsort(list->orders, list->count, sizeof(*list->orders), by_key);
        keep_one_of_each(list);
        qsort(list->orders, list->count, sizeof(*list->orders), by_age);
    }
}

/* ---- What each waits for
 * --------------------------------------------------------------------------- */

struct explaining {
    struct work *work;
    struct stuck_order *order;
    bool is_standing; /* only jobs that do not go on by themselves */
};

static void add_why(struct stuck_order *order, const char *text)
{
    char *why = order->why == NULL ? xstrdup(text) : xasprintf("%s; %s", order->why, text);
    free(order->why);
    order->why = why;
}

static int note_cause(void *arg, const struct exception *e)
{
    add_why(arg, e->message);
    return 0;
}

static int explain_job(void *arg, const struct job_info *info)
{
    struct explaining *e = arg;
    bool is_standing = info->state == JOB_HELD || info->state == JOB_DEAD;
    if (info->state == JOB_DONE || is_standing != e->is_standing) {
        return 0;
    }
    const char *said = info->last_error[0] != '\0' ? info->last_error : info->reason;
    exception_each_of_job(e->work, info->id, note_cause, e->order);
    if (e->order->why == NULL) {
        add_why(e->order, said[0] == '\0' ? job_state_name(info->state) : said);
    }
    return !is_standing; /* one under way says enough */
}

static void explain(struct work *work, struct stuck_order *order)
{
    struct explaining e = {work, order, true};
    job_each_of_key(work, order->key, explain_job, &e);
    if (order->why == NULL) {
        e.is_standing = false;
        job_each_of_key(work, order->key, explain_job, &e);
    }
}

/* ---- Words
 * ----------------------------------------------------------------------------------------- */

static void print_order(struct admin_context *c, const struct stuck_order *order,
                        const struct dossier_facts *facts)
{
    char ago[64];
    admin_format_distance(order->since_ms - c->view->now_ms, ago, sizeof(ago));
    buf_addf(c->out, "%s %s: since %s", c->client->name,
             facts->title == NULL || facts->title[0] == '\0' ? order->key : facts->title, ago);
    if (facts->currency != NULL && facts->currency[0] != '\0') {
        char money[64];
        admin_format_minor(facts->amount_minor, facts->currency, money, sizeof(money));
        buf_addf(c->out, ", %s %s", facts->currency, money);
    }
    if (facts->deadline_ms != 0) {
        char distance[64];
        admin_format_distance(facts->deadline_ms - c->view->now_ms, distance, sizeof(distance));
        buf_addf(c->out, ", first deadline %s", distance);
    }
    buf_addf(c->out, "\n  %s\n", order->why == NULL ? "no job of it is open" : order->why);
}

static void write_order(struct admin_context *c, const struct stuck_order *order,
                        const struct dossier_facts *facts)
{
    struct json_writer *w = &c->json;
    json_object_begin(w);
    json_member_str(w, "client", c->client->name);
    json_member_str(w, "key", order->key);
    json_member_str(w, "title", facts->title == NULL ? "" : facts->title);
    json_member_int(w, "since_ms", order->since_ms);
    if (facts->currency != NULL && facts->currency[0] != '\0') {
        json_member_str(w, "currency", facts->currency);
        json_member_int(w, "minor", facts->amount_minor);
    }
    if (facts->deadline_ms != 0) {
        json_member_int(w, "deadline_ms", facts->deadline_ms);
    }
    json_member_str(w, "why", order->why == NULL ? "" : order->why);
    json_object_end(w);
}

static void show(struct admin_context *c, struct stuck_order *order)
{
    struct dossier_facts facts = {0};
    (void)!dossier_get_facts(c->client->work, order->key, &facts);
    explain(c->client->work, order);
    if (c->request->wants_json) {
        write_order(c, order, &facts);
    } else {
        print_order(c, order, &facts);
    }
    dossier_facts_free(&facts);
}

size_t admin_stuck_list(struct admin_context *c)
{
    struct stuck_list list = {.c = c};
    collect(&list);
    for (size_t i = 0; i < list.count; i++) {
        if (i < STUCK_MAX) {
            show(c, &list.orders[i]);
        }
        free(list.orders[i].key);
        free(list.orders[i].why);
    }
    if (list.count > STUCK_MAX && !c->request->wants_json) {
        buf_addf(c->out, "%s: and %s%zu more\n", c->client->name,
                 list.is_at_least ? "at least " : "", list.count - STUCK_MAX);
    } else if (list.is_at_least && !c->request->wants_json) {
        buf_addf(c->out, "%s: there are too many to look at all\n", c->client->name);
    }
    free(list.orders);
    return list.count;
}
