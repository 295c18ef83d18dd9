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
    char *why;
};

struct stuck_list {
    struct admin_context *c;
    struct stuck_order *orders;
    size_t count;
};

static struct stuck_order *find_order(struct stuck_list *list, const char *key)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->orders[i].key, key) == 0) {
            return &list->orders[i];
        }
    }
    return NULL;
}

static struct stuck_order *add_order(struct stuck_list *list, const char *key, int64_t since_ms)
{
    list->orders = xrealloc(list->orders, (list->count + 1) * sizeof(*list->orders));
    struct stuck_order *order = &list->orders[list->count++];
    *order = (struct stuck_order){.key = xstrdup(key), .since_ms = since_ms};
    return order;
}

/* Told as stuck by the orders flow: longer than its stuck_after_ms. */
static int note_open(void *arg, struct bytes key, struct bytes json)
{
    struct stuck_list *list = arg;
    struct bytes value;
    int64_t since_ms = 0;
    bool is_told = json_find(json, "is_told", &value) && bytes_equal(value, bytes_str("true"));
    if (is_told && json_find(json, "accepted_ms", &value) && json_integer(value, &since_ms)) {
        char *text = xasprintf("%.*s", (int)key.size, (const char *)key.data);
        add_order(list, text, since_ms);
        free(text);
    }
    return list->count >= STUCK_MAX;
}

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

static void explain(struct stuck_list *list, struct stuck_order *order, const struct job_info *info)
{
    const char *said = info->last_error[0] != '\0' ? info->last_error : info->reason;
    exception_each_of_job(list->c->client->work, info->id, note_cause, order);
    if (order->why == NULL) {
        add_why(order, said[0] == '\0' ? job_state_name(info->state) : said);
    }
}

static int note_job(void *arg, const struct job_info *info)
{
    struct stuck_list *list = arg;
    if (strncmp(info->key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0) {
        return 0;
    }
    struct stuck_order *order = find_order(list, info->key);
    if (order == NULL) {
        order = add_order(list, info->key, info->created_ms);
    }
    explain(list, order, info);
    return list->count >= STUCK_MAX;
}

/* What an order told as stuck waits for, when it is neither held nor given up. */
struct under_way {
    struct stuck_list *list;
    struct stuck_order *order;
};

static int note_under_way(void *arg, const struct job_info *info)
{
    struct under_way *u = arg;
    if (info->state != JOB_DONE) {
        explain(u->list, u->order, info);
    }
    return u->order->why != NULL;
}

static int compare_orders(const void *a, const void *b)
{
    const struct stuck_order *left = a;
    const struct stuck_order *right = b;
    if (left->since_ms != right->since_ms) {
        return left->since_ms < right->since_ms ? -1 : 1;
    }
    return strcmp(left->key, right->key);
}

static void collect(struct stuck_list *list)
{
    struct work *work = list->c->client->work;
    struct script_range all = {.limit = HEALTH_LOOK_AT};
    script_table_range(work, bytes_str(OPEN_TABLE), &all, note_open, list);
    job_each(work, JOB_HELD, note_job, list);
    job_each(work, JOB_DEAD, note_job, list);
    for (size_t i = 0; i < list->count; i++) {
        struct under_way u = {list, &list->orders[i]};
        if (u.order->why == NULL) {
            job_each_of_key(work, u.order->key, note_under_way, &u);
        }
    }
    if (list->count > 1) {
        qsort(list->orders, list->count, sizeof(*list->orders), compare_orders);
    }
}

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

size_t admin_stuck_list(struct admin_context *c)
{
    struct stuck_list list = {.c = c};
    collect(&list);
    for (size_t i = 0; i < list.count; i++) {
        struct dossier_facts facts = {0};
        (void)!dossier_get_facts(c->client->work, list.orders[i].key, &facts);
        if (c->request->wants_json) {
            write_order(c, &list.orders[i], &facts);
        } else {
            print_order(c, &list.orders[i], &facts);
        }
        dossier_facts_free(&facts);
        free(list.orders[i].key);
        free(list.orders[i].why);
    }
    if (list.count >= STUCK_MAX && !c->request->wants_json) {
        buf_addf(c->out, "%s: there are more\n", c->client->name);
    }
    free(list.orders);
    return list.count;
}
