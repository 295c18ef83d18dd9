/*
 * neap stock [SKU]: the figure of a stock code with its terms, and how the sending goes. Reads the
 * tables of the stock flow (scripts/flows/stock_stages/tables.lua); what a term is worth was worked
 * out there, so that the figure shown is the figure sent.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/ops/admin_wish.h"
#include "core/work/script_table.h"

#define ITEMS_TABLE "stock_items"
#define SENT_TABLE  "stock_sent"
#define DIRTY_TABLE "stock_dirty"
#define STATE_TABLE "stock_state"

static char *text_copy(struct bytes text)
{
    char *copy = xmalloc(text.size + 1);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

/* A copy: what is borrowed from the store goes with the next read. NULL when absent. */
static char *table_copy(struct work *work, const char *table, const char *key)
{
    struct bytes json;
    if (script_table_get(work, bytes_str(table), bytes_str(key), &json) != 0) {
        return NULL;
    }
    return text_copy(json);
}

static int64_t number_of(const char *json, const char *name, int64_t otherwise)
{
    struct bytes value;
    int64_t number;
    bool is_there =
        json != NULL && json_find(bytes_str(json), name, &value) && json_integer(value, &number);
    return is_there ? number : otherwise;
}

static bool flag_of(const char *json, const char *name)
{
    struct bytes value;
    return json != NULL && json_find(bytes_str(json), name, &value) &&
           bytes_equal(value, bytes_str("true"));
}

static void text_of(const char *json, const char *name, struct buf *out)
{
    struct bytes value;
    buf_reset(out);
    if (json != NULL && json_find(bytes_str(json), name, &value)) {
        json_text(value, out);
    }
}

static void print_ago(struct admin_context *c, const char *what, int64_t at_ms)
{
    char ago[64];
    if (at_ms > 0) {
        admin_format_distance(at_ms - c->view->now_ms, ago, sizeof(ago));
        buf_addf(c->out, "  %-12s %s\n", what, ago);
    }
}

/* "    -3  buffer in Khaos              item in Khaos                2 min ago" */
static void print_term(struct admin_context *c, const char *term)
{
    struct buf words;
    struct buf source;
    char ago[64] = "";
    buf_init(&words, 4096);
    buf_init(&source, 4096);
    text_of(term, "words", &words);
    text_of(term, "source", &source);
    int64_t at_ms = number_of(term, "at_ms", 0);
    if (at_ms > 0) {
        admin_format_distance(at_ms - c->view->now_ms, ago, sizeof(ago));
    }
    buf_addf(c->out, "    %6" PRId64 "  %-28s %-28s %s\n", number_of(term, "quantity", 0),
             buf_text(&words), buf_text(&source), ago);
    buf_free(&words);
    buf_free(&source);
}

static void print_terms(struct admin_context *c, const char *sent)
{
    struct bytes terms;
    struct bytes term;
    if (!json_find(bytes_str(sent), "terms", &terms)) {
        return;
    }
    while (json_next(&terms, &term)) {
        char *copy = text_copy(term);
        print_term(c, copy);
        free(copy);
    }
}

struct stock_figure {
    char *item;
    char *sent;
    char *dirty;
};

static void print_figure(struct admin_context *c, const char *sku, const struct stock_figure *f)
{
    struct buf words;
    buf_init(&words, 4096);
    if (f->sent != NULL) {
        text_of(f->sent, "text", &words);
        buf_addf(c->out, "%s %s: %" PRId64 " in SCAYLE\n  %s\n", c->client->name, sku,
                 number_of(f->sent, "quantity", 0), buf_text(&words));
        print_terms(c, f->sent);
        text_of(f->sent, "state", &words);
        buf_addf(c->out, "  %-12s %s\n", "answer",
                 strcmp(buf_text(&words), "set") == 0       ? "in force"
                 : strcmp(buf_text(&words), "ignored") == 0 ? "ignored: a newer figure is there"
                 : strcmp(buf_text(&words), "unknown") == 0 ? "SCAYLE has no such variant"
                 : strcmp(buf_text(&words), "refused") == 0 ? "SCAYLE refuses it"
                                                            : "not known yet");
        print_ago(c, "sent", number_of(f->sent, "at_ms", 0));
        print_ago(c, "stamped", number_of(f->sent, "stamp_ms", 0));
    } else {
        buf_addf(c->out, "%s %s: nothing was sent yet\n", c->client->name, sku);
    }
    print_ago(c, "read in Khaos", number_of(f->item, "read_ms", 0));
    print_ago(c, "waits since", number_of(f->dirty, "since_ms", 0));
    buf_free(&words);
}

static void json_member_raw(struct admin_context *c, const char *name, const char *json)
{
    json_key(&c->json, name);
    if (json == NULL) {
        json_null(&c->json);
    } else {
        json_raw(&c->json, bytes_str(json));
    }
}

static void json_figure(struct admin_context *c, const char *sku, const struct stock_figure *f)
{
    json_object_begin(&c->json);
    json_member_str(&c->json, "client", c->client->name);
    json_member_str(&c->json, "sku", sku);
    json_member_raw(c, "khaos", f->item);
    json_member_raw(c, "sent", f->sent);
    json_member_raw(c, "waiting", f->dirty);
    json_object_end(&c->json);
}

static bool show_figure(struct admin_context *c, const char *sku)
{
    struct work *work = c->client->work;
    struct stock_figure f = {.item = table_copy(work, ITEMS_TABLE, sku),
                             .sent = table_copy(work, SENT_TABLE, sku),
                             .dirty = table_copy(work, DIRTY_TABLE, sku)};
    bool is_known = f.item != NULL || f.sent != NULL;
    if (is_known && c->request->wants_json) {
        json_figure(c, sku, &f);
    } else if (is_known) {
        print_figure(c, sku, &f);
    }
    free(f.item);
    free(f.sent);
    free(f.dirty);
    return is_known;
}

struct stock_state {
    char *poll;
    char *full;
    char *bulk;
    char *lag;
};

static void print_state(struct admin_context *c, const struct stock_state *s)
{
    buf_addf(c->out, "%s: %s%" PRId64 " figures wait, the oldest for %" PRId64 " s\n",
             c->client->name, flag_of(s->lag, "is_more") ? "at least " : "",
             number_of(s->lag, "waiting", 0), number_of(s->lag, "oldest_ms", 0) / 1000);
    struct buf order_id;
    buf_init(&order_id, 4096);
    text_of(s->lag, "held_by", &order_id);
    if (buf_text(&order_id)[0] != '\0') {
        buf_addf(c->out, "  %-12s order %s: what it takes is not known yet\n", "held by",
                 buf_text(&order_id));
    }
    buf_free(&order_id);
    if (s->bulk != NULL && !flag_of(s->bulk, "is_over")) {
        buf_addf(c->out,
                 "  bulk request %" PRId64 " of %" PRId64 " figures: %" PRId64
                 " handed over, %" PRId64 " worked on, %" PRId64 " settled\n",
                 number_of(s->bulk, "key", 0), number_of(s->bulk, "total", 0),
                 number_of(s->bulk, "filled", 0), number_of(s->bulk, "done", 0),
                 number_of(s->bulk, "read", 0));
    }
    print_ago(c, "read in Khaos", number_of(s->poll, "ran_ms", 0));
    if (flag_of(s->full, "is_under_way")) {
        buf_addf(c->out, "  %-12s %" PRId64 " of %" PRId64 " codes so far\n", "all of it",
                 number_of(s->full, "read", 0), number_of(s->full, "listed", 0));
    } else {
        print_ago(c, "all of it", number_of(s->full, "completed_ms", 0));
    }
}

static bool show_state(struct admin_context *c)
{
    struct work *work = c->client->work;
    struct stock_state s = {.poll = table_copy(work, STATE_TABLE, "poll"),
                            .full = table_copy(work, STATE_TABLE, "full"),
                            .bulk = table_copy(work, STATE_TABLE, "bulk"),
                            .lag = table_copy(work, STATE_TABLE, "lag")};
    bool is_known = s.poll != NULL || s.lag != NULL || s.full != NULL;
    if (is_known && c->request->wants_json) {
        json_object_begin(&c->json);
        json_member_str(&c->json, "client", c->client->name);
        json_member_raw(c, "poll", s.poll);
        json_member_raw(c, "full", s.full);
        json_member_raw(c, "bulk", s.bulk);
        json_member_raw(c, "lag", s.lag);
        json_object_end(&c->json);
    } else if (is_known) {
        print_state(c, &s);
    }
    free(s.poll);
    free(s.full);
    free(s.bulk);
    free(s.lag);
    return is_known;
}

/* A wish that the flow's next tick takes up. */
static int wish_drift(struct admin_context *c, const char *wish)
{
    if (strcmp(wish, "check") != 0 && strcmp(wish, "fix") != 0) {
        return admin_fail(c, ADMIN_USAGE, "drift takes check or fix");
    }
    return admin_put_wish(c,
                          &(struct admin_wish){.table = STATE_TABLE,
                                               .seen = "poll",
                                               .row = "drift_wish",
                                               .word = wish,
                                               .action = "stock drift",
                                               .none = "no client has a stock flow that has run"});
}

int admin_stock(struct admin_context *c)
{
    if (admin_word(c, 2) != NULL && strcmp(admin_word(c, 1), "drift") == 0) {
        return wish_drift(c, admin_word(c, 2));
    }
    const char *sku = admin_word(c, 1);
    bool is_found = false;
    if (c->request->wants_json) {
        json_array_begin(&c->json);
    }
    for (size_t i = 0; i < c->view->count; i++) {
        c->client = &c->view->clients[i];
        if (admin_wants_client(c, c->client)) {
            is_found = (sku == NULL ? show_state(c) : show_figure(c, sku)) || is_found;
        }
    }
    if (!is_found) {
        return sku == NULL
                   ? admin_fail(c, ADMIN_NOT_FOUND, "no client has a stock flow that has run")
                   : admin_fail(c, ADMIN_NOT_FOUND, "no stock code %s: Khaos has not listed it",
                                sku);
    }
    if (c->request->wants_json) {
        json_array_end(&c->json);
        buf_add_char(c->out, '\n');
    }
    return ADMIN_OK;
}
