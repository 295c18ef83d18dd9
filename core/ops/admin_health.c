/* Health for people: what `neap status` says below the first line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/admin_private.h"
#include "core/ops/health.h"

/* ---- Text
 * ----------------------------------------------------------------------------------------- */

static void add_ago(struct admin_context *c, const char *before, int64_t at_ms)
{
    char ago[64];
    admin_format_distance(at_ms - c->view->now_ms, ago, sizeof(ago));
    buf_addf(c->out, "%s%s", before, ago);
}

static void text_orders(struct admin_context *c, const struct health_orders *o)
{
    if (!o->is_known) {
        return;
    }
    buf_addf(c->out,
             "  orders of 24 h: %" PRId64 " in, %" PRId64 " posted; now %" PRIu64
             " held, %s%" PRIu64 " not in Khaos",
             o->in_24h, o->posted_24h, o->held, o->waiting >= HEALTH_LOOK_AT ? "at least " : "",
             o->waiting);
    if (o->oldest_ms > 0) {
        buf_addf(c->out, ", the oldest (%s) accepted", o->oldest);
        add_ago(c, " ", o->oldest_ms);
    }
    if (o->stuck > 0) {
        buf_addf(c->out, "; %" PRIu64 " stuck (neap status --stuck)", o->stuck);
    }
    buf_add_char(c->out, '\n');
}

static void text_stock(struct admin_context *c, const struct health_stock *s)
{
    if (!s->is_known) {
        return;
    }
    if (s->waiting == 0) {
        buf_addf(c->out, "  stock: every figure is in the shop");
    } else {
        buf_addf(c->out, "  stock: %s%" PRIu64 " figures due, the oldest for %" PRId64 " s",
                 s->is_more ? "at least " : "", s->waiting, s->lag_ms / 1000);
    }
    if (s->read_ms > 0) {
        add_ago(c, "; Khaos read ", s->read_ms);
    }
    if (s->full_ms > 0) {
        add_ago(c, ", all of it ", s->full_ms);
    } else {
        buf_addf(c->out, ", all of it %s",
                 s->is_full_under_way ? "for the first time now" : "never yet");
    }
    buf_add_char(c->out, '\n');
}

static void text_books(struct admin_context *c, const struct health *h)
{
    if (h->reconciled.at_ms > 0) {
        char as_of[32];
        json_format_instant(h->reconciled.as_of_ms, as_of);
        add_ago(c, "  reconciled ", h->reconciled.at_ms);
        buf_addf(c->out, " as of %s: %s\n", as_of,
                 h->reconciled.ties ? "it ties" : "IT DIFFERS (neap reconcile)");
    } else if (h->orders.is_known) {
        buf_addf(c->out, "  never reconciled yet (neap reconcile)\n");
    }
    if (h->drift.is_under_way) {
        buf_addf(c->out, "  stock drift: a comparison is under way, %" PRId64 " codes so far\n",
                 h->drift.looked);
    } else if (h->drift.at_ms > 0) {
        add_ago(c, "  stock drift: compared ", h->drift.at_ms);
        buf_addf(c->out, ", %" PRId64 " of %" PRId64 " codes differ\n", h->drift.wrong,
                 h->drift.looked);
    } else if (h->stock.is_known) {
        buf_addf(c->out, "  stock drift: never compared yet\n");
    }
}

void admin_health_text(struct admin_context *c, const struct health *health)
{
    if (health->why[0] != '\0') {
        buf_addf(c->out, "  for all flows: %s\n", health->why);
    }
    for (size_t i = 0; i < health->flow_count; i++) {
        const struct health_flow *flow = &health->flows[i];
        buf_addf(c->out, "  %-14s %s%s%s\n", flow->name, health_colour_name(flow->colour),
                 flow->why[0] == '\0' ? "" : ": ", flow->why);
    }
    text_orders(c, &health->orders);
    text_stock(c, &health->stock);
    text_books(c, health);
}

/* ---- JSON
 * ----------------------------------------------------------------------------------------- */

static void json_flows(struct json_writer *w, const struct health *health)
{
    json_key(w, "flows");
    json_array_begin(w);
    for (size_t i = 0; i < health->flow_count; i++) {
        const struct health_flow *flow = &health->flows[i];
        json_object_begin(w);
        json_member_str(w, "name", flow->name);
        json_member_str(w, "colour", health_colour_name(flow->colour));
        json_member_str(w, "why", flow->why);
        json_member_int(w, "held", (int64_t)flow->held);
        json_member_int(w, "dead", (int64_t)flow->dead);
        json_member_int(w, "parked", (int64_t)flow->parked);
        json_member_int(w, "retrying", (int64_t)flow->retrying);
        json_member_int(w, "problems", (int64_t)flow->problems);
        json_object_end(w);
    }
    json_array_end(w);
}

static void member_instant(struct json_writer *w, const char *name, int64_t at_ms)
{
    if (at_ms > 0) {
        json_member_int(w, name, at_ms);
    }
}

static void json_orders(struct json_writer *w, const struct health_orders *o)
{
    json_key(w, "orders");
    json_object_begin(w);
    json_member_int(w, "in_24h", o->in_24h);
    json_member_int(w, "posted_24h", o->posted_24h);
    json_member_int(w, "held", (int64_t)o->held);
    json_member_int(w, "not_in_khaos", (int64_t)o->waiting);
    json_member_int(w, "stuck", (int64_t)o->stuck);
    if (o->oldest_ms > 0) {
        json_member_str(w, "oldest", o->oldest);
        json_member_int(w, "oldest_accepted_ms", o->oldest_ms);
    }
    json_object_end(w);
}

static void json_stock(struct json_writer *w, const struct health_stock *s)
{
    json_key(w, "stock");
    json_object_begin(w);
    json_member_int(w, "due", (int64_t)s->waiting);
    json_member_bool(w, "is_more", s->is_more);
    json_member_int(w, "lag_ms", s->lag_ms);
    member_instant(w, "read_ms", s->read_ms);
    member_instant(w, "full_ms", s->full_ms);
    json_object_end(w);
}

static void json_books(struct json_writer *w, const struct health *h)
{
    if (h->reconciled.at_ms > 0) {
        json_key(w, "reconciled");
        json_object_begin(w);
        json_member_int(w, "at_ms", h->reconciled.at_ms);
        json_member_int(w, "as_of_ms", h->reconciled.as_of_ms);
        json_member_bool(w, "ties", h->reconciled.ties);
        json_object_end(w);
    }
    if (h->drift.at_ms > 0) {
        json_key(w, "drift");
        json_object_begin(w);
        json_member_int(w, "at_ms", h->drift.at_ms);
        json_member_int(w, "looked", h->drift.looked);
        json_member_int(w, "differ", h->drift.wrong);
        json_object_end(w);
    }
}

void admin_health_json(struct admin_context *c, const struct health *health)
{
    struct json_writer *w = &c->json;
    json_key(w, "health");
    json_object_begin(w);
    json_member_str(w, "colour", health_colour_name(health->colour));
    json_member_str(w, "why", health->why);
    json_flows(w, health);
    if (health->orders.is_known) {
        json_orders(w, &health->orders);
    }
    if (health->stock.is_known) {
        json_stock(w, &health->stock);
    }
    json_books(w, health);
    json_object_end(w);
}
