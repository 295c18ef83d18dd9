/* Dispatch of people's questions, and how times and money are written for them. */
#include "core/ops/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/admin_private.h"

static const struct {
    const char *verb;
    int (*run)(struct admin_context *c);
} ADMIN_VERBS[] = {
    {"order", admin_order},       {"exceptions", admin_exceptions}, {"status", admin_status},
    {"pause", admin_pause},       {"resume", admin_pause},          {"erase", admin_erase},
    {"products", admin_products}, {"stock", admin_stock},           {"reload", admin_reload},
};

int admin_run(const struct ops_view *view, const struct admin_request *request, struct buf *out)
{
    struct admin_context c = {.view = view, .request = request, .out = out};
    json_writer_init(&c.json, out);
    const char *verb = admin_word(&c, 0);
    for (size_t i = 0; verb != NULL && i < sizeof(ADMIN_VERBS) / sizeof(ADMIN_VERBS[0]); i++) {
        if (strcmp(ADMIN_VERBS[i].verb, verb) == 0) {
            return ADMIN_VERBS[i].run(&c);
        }
    }
    return admin_fail(&c, ADMIN_USAGE, "there is no question \"%s\"", verb == NULL ? "" : verb);
}

const char *admin_word(const struct admin_context *c, size_t i)
{
    return i < c->request->count ? c->request->words[i] : NULL;
}

bool admin_wants_client(const struct admin_context *c, const struct ops_client *client)
{
    return c->request->client == NULL || strcmp(c->request->client, client->name) == 0;
}

int admin_fail(struct admin_context *c, int code, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (c->request->wants_json) {
        buf_reset(c->out);
        json_writer_init(&c->json, c->out);
        json_object_begin(&c->json);
        json_member_str(&c->json, "error", text);
        json_object_end(&c->json);
        buf_add_char(c->out, '\n');
    } else {
        buf_addf(c->out, "%s\n", text);
    }
    return code;
}

void admin_format_distance(int64_t delta_ms, char *out, size_t size)
{
    static const struct {
        int64_t ms;
        const char *name;
    } UNITS[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}};
    int64_t span = delta_ms < 0 ? -delta_ms : delta_ms;
    size_t u = 0;
    /* Two of a unit before it is used: "31 h", not "1 d". */
    while (u < 3 && span < 2 * UNITS[u].ms) {
        u++;
    }
    snprintf(out, size, delta_ms < 0 ? "%lld %s ago" : "in %lld %s",
             (long long)(span / UNITS[u].ms), UNITS[u].name);
}

void admin_format_minor(int64_t minor, const char *currency, char *out, size_t size)
{
    static const char *const WHOLE[] = {"JPY", "KRW", "ISK", "CLP", "VND"};
    for (size_t i = 0; i < sizeof(WHOLE) / sizeof(WHOLE[0]); i++) {
        if (strcmp(currency, WHOLE[i]) == 0) {
            snprintf(out, size, "%lld", (long long)minor);
            return;
        }
    }
    uint64_t span = minor < 0 ? (uint64_t)0 - (uint64_t)minor : (uint64_t)minor;
    snprintf(out, size, "%s%llu.%02llu", minor < 0 ? "-" : "", (unsigned long long)(span / 100),
             (unsigned long long)(span % 100));
}
