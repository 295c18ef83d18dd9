/*
 * Reading is strict: every table has a list of the keys it may have, every field a type. A message
 * names the path ("connections.khaos.timeout_ms") and what was expected. Texts are copied into the
 * manifest at once, so that raising half-way leaks nothing.
 */
#include "core/script/manifest.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/instant.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/lx.h"
#include "core/script/manifest_reading.h"
#include "core/script/manifest_value.h"
#include "core/work/doubt.h"
#include "core/work/schedule.h"

#define ROUTE_BODY_BYTES (1 << 20)
#define COUNT_MAX        INT32_MAX /* of what is kept in an unsigned */
#define WAIT_MAX_MS      86400000  /* of one request or pause: a longer one is a slip of the pen */
#define ANSWER_MAX_BYTES (1 << 30)

const char *manifest_keep(struct manifest *m, const char *text)
{
    m->texts = xrealloc(m->texts, (m->text_count + 1) * sizeof(*m->texts));
    m->texts[m->text_count] = xstrdup(text);
    m->text_count++;
    return m->texts[m->text_count - 1];
}

void manifest_free(struct manifest *m)
{
    for (size_t i = 0; i < m->connection_count; i++) {
        http_headers_free(&m->connections[i].headers);
    }
    for (size_t i = 0; i < m->text_count; i++) {
        free(m->texts[i]);
    }
    free(m->texts);
    free(m->connections);
    free(m->auths);
    free(m->owners);
    free(m->flows);
    free(m->routes);
    free(m->schedules);
    free(m->timings);
    memset(m, 0, sizeof(*m));
}

/* ---- Parts of the manifest ----------------------------------------------------------------------
 */

static void read_retry(struct reading *r, struct backoff_policy *retry, bool *has_out)
{
    static const char *const known[] = {"initial_ms", "factor", "max_ms", "give_up_ms", NULL};
    size_t outer;
    bool has = reading_enter(r, "retry", &outer);
    if (has) {
        reading_check_keys(r, known);
        retry->initial_ms = reading_integer(r, "initial_ms", 0, 1);
        retry->factor = reading_number(r, "factor", 0);
        retry->max_ms = reading_integer(r, "max_ms", 0, 1);
        retry->give_up_ms = reading_integer(r, "give_up_ms", 0, 1);
        reading_leave(r, outer);
    }
    if (has_out != NULL) {
        *has_out = has;
    }
}

static void read_retention(struct reading *r)
{
    struct retention_policy *p = &r->m->retention;
    const struct {
        const char *key;
        int64_t *days;
    } fields[] = {{"payload_days", &p->payload_days},
                  {"timeline_days", &p->timeline_days},
                  {"trail_days", &p->trail_days},
                  {"closed_exceptions_days", &p->closed_exceptions_days},
                  {"done_jobs_days", &p->done_jobs_days}};
    const char *known[sizeof(fields) / sizeof(fields[0]) + 1] = {NULL};
    size_t outer;
    if (!reading_enter(r, "retention", &outer)) {
        return;
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        known[i] = fields[i].key;
    }
    reading_check_keys(r, known);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        *fields[i].days = reading_integer(r, fields[i].key, 0, 1);
        if (*fields[i].days > RETENTION_DAYS_MAX) {
            reading_raise(r, fields[i].key, "at most %d days expected", RETENTION_DAYS_MAX);
        }
    }
    reading_leave(r, outer);
}

static const char *read_file_name(struct reading *r, const char *key)
{
    const char *name = reading_text(r, key, NULL);
    if (name == NULL || name[0] == '/' || r->m->folder == NULL) {
        return name;
    }
    char *joined = xasprintf("%s/%s", r->m->folder, name);
    const char *kept = manifest_keep(r->m, joined);
    free(joined);
    return kept;
}

/* As read_file_name, of a file that can be read. */
static const char *read_file(struct reading *r, const char *key)
{
    const char *path = read_file_name(r, key);
    struct error err = {0};
    if (path != NULL && manifest_check_file(path, &err) != 0) {
        reading_raise(r, key, "%s", err.message);
    }
    return path;
}

static const char *read_pinned_key(struct reading *r)
{
    const char *text = reading_text(r, "pinned_key", NULL);
    if (text != NULL && !manifest_is_pinned_key(text)) {
        reading_raise(r, "pinned_key", "sha256//BASE64 expected, several joined by \";\"");
    }
    return text;
}

static void read_headers(struct reading *r, struct http_headers *headers)
{
    size_t outer;
    if (!reading_enter(r, "headers", &outer)) {
        return;
    }
    size_t count = 0;
    const char **names = reading_push_keys(r, &count);
    lua_insert(r->L, -2); /* stack: names, map */
    for (size_t i = 0; i < count; i++) {
        const char *value = reading_secret(r, names[i], manifest_is_secret_header(names[i]));
        if (http_headers_add(headers, names[i], value) != 0) {
            reading_raise(r, names[i], "not a header that HTTP allows");
        }
    }
    lua_remove(r->L, -2);
    reading_leave(r, outer);
}

static void read_limits(struct reading *r, struct connection_options *c)
{
    c->timeout_ms = reading_integer_within(r, "timeout_ms", 30000, 1, WAIT_MAX_MS);
    c->max_concurrent = (unsigned)reading_integer_within(r, "max_concurrent", 8, 1, COUNT_MAX);
    c->rate_per_s = reading_number(r, "rate_per_s", 0);
    c->rate_burst = (unsigned)reading_integer_within(r, "rate_burst", 1, 1, COUNT_MAX);
    c->breaker_failures = (unsigned)reading_integer_within(r, "breaker_failures", 5, 1, COUNT_MAX);
    c->breaker_cool_ms = reading_integer_within(r, "breaker_cool_ms", 10000, 1, WAIT_MAX_MS);
    /* Who would have waited that long for an answer thinks it possible that the work takes so long.
     */
    c->settle_ms = reading_integer_within(r, "settle_ms", c->timeout_ms, 0, DOUBT_SETTLE_MAX_MS);
    c->policy.connect_timeout_ms =
        reading_integer_within(r, "connect_timeout_ms", 5000, 1, WAIT_MAX_MS);
    c->policy.max_answer_bytes =
        (size_t)reading_integer_within(r, "max_answer_bytes", 16 << 20, 1, ANSWER_MAX_BYTES);
    c->policy.ca_file = read_file(r, "ca_file");
    c->policy.pinned_cert_file = read_file(r, "pinned_cert_file");
    c->policy.pinned_key = read_pinned_key(r);
}

static void read_basic(struct reading *r, const char **user_out, const char **password_out)
{
    static const char *const known[] = {"user", "password", NULL};
    reading_check_keys(r, known);
    *user_out = reading_need_text(r, "user");
    *password_out = reading_secret(r, "password", true);
    if (*password_out == NULL) {
        reading_raise(r, "password", "missing: secret(\"NAME\") expected");
    }
}

static void read_signature(struct reading *r, struct signature *signature)
{
    static const char *const known[] = {"secret", "header", "timestamp_header", NULL};
    reading_check_keys(r, known);
    signature->key = reading_secret(r, "secret", true);
    if (signature->key == NULL) {
        reading_raise(r, "secret", "missing: secret(\"NAME\") expected");
    }
    signature->header = reading_text(r, "header", SIGNATURE_HEADER);
    signature->timestamp_header = reading_text(r, "timestamp_header", SIGNATURE_TIMESTAMP_HEADER);
    if (!http_is_token(bytes_str(signature->header)) ||
        !http_is_token(bytes_str(signature->timestamp_header))) {
        reading_raise(r, "", "header and timestamp_header are names of HTTP headers");
    }
}

/* What only a mail server, or only others, may have. */
static void read_kind(struct reading *r, struct connection_options *c)
{
    size_t outer;
    const char *tls = reading_text(r, "tls", NULL);
    bool is_mail = connection_is_mail(c->base_url);
    if (tls != NULL && (!is_mail || strcmp(tls, "none") != 0)) {
        reading_raise(r, "tls",
                      "only \"none\", and only for smtp://: everything else is always checked");
    }
    if (tls != NULL && !connection_is_loopback(c->base_url)) {
        reading_raise(r, "tls", "\"none\" is for a mail server on this machine (127.0.0.1)");
    }
    c->policy.is_plain = tls != NULL;
    if (reading_enter(r, "signature", &outer)) {
        read_signature(r, &c->signature);
        reading_leave(r, outer);
    }
    if (is_mail && (c->headers.count > 0 || c->signature.key != NULL)) {
        reading_raise(r, c->headers.count > 0 ? "headers" : "signature",
                      "a mail server takes none (its login is basic = {user, password})");
    }
}

static void read_connection(struct reading *r, const char *name)
{
    static const char *const known[] = {"base_url",
                                        "headers",
                                        "basic",
                                        "ca_file",
                                        "pinned_key",
                                        "pinned_cert_file",
                                        "timeout_ms",
                                        "connect_timeout_ms",
                                        "max_concurrent",
                                        "rate_per_s",
                                        "rate_burst",
                                        "breaker_failures",
                                        "breaker_cool_ms",
                                        "settle_ms",
                                        "max_answer_bytes",
                                        "tls",
                                        "signature",
                                        NULL};
    struct manifest *m = r->m;
    reading_check_keys(r, known);
    m->connections = xrealloc(m->connections, (m->connection_count + 1) * sizeof(*m->connections));
    struct connection_options *c = &m->connections[m->connection_count];
    memset(c, 0, sizeof(*c));
    m->connection_count++;
    c->name = name;
    c->base_url = reading_need_text(r, "base_url");
    struct error err;
    if (connection_check_base_url(c->base_url, &err) != 0) {
        reading_raise(r, "base_url", "%s", err.message);
    }
    read_limits(r, c);
    read_headers(r, &c->headers);
    read_kind(r, c);
    size_t outer;
    if (reading_enter(r, "basic", &outer)) {
        read_basic(r, &c->basic_user, &c->basic_password);
        reading_leave(r, outer);
    }
}

static void read_auth(struct reading *r, const char *name)
{
    struct manifest *m = r->m;
    m->auths = xrealloc(m->auths, (m->auth_count + 1) * sizeof(*m->auths));
    struct manifest_auth *a = &m->auths[m->auth_count];
    memset(a, 0, sizeof(*a));
    m->auth_count++;
    a->name = name;
    read_basic(r, &a->user, &a->password);
}

static void read_owners(struct reading *r)
{
    size_t outer;
    struct manifest *m = r->m;
    if (!reading_enter(r, "owners", &outer)) {
        return;
    }
    size_t count = 0;
    const char **causes = reading_push_keys(r, &count);
    lua_insert(r->L, -2); /* stack: causes, map */
    m->owners = xcalloc(count + 1, sizeof(*m->owners));
    for (size_t i = 0; i < count; i++) {
        m->owners[i].cause = causes[i];
        m->owners[i].owner = reading_need_text(r, causes[i]);
        m->owner_count++;
    }
    lua_remove(r->L, -2);
    reading_leave(r, outer);
}

static bool is_plain_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return size > 0 && name[size] == '\0';
}

/* The zone counts for cron alone; a change of it must not disturb the others. */
static const char *read_schedule_zone(struct reading *r, const char *cron)
{
    return reading_text(r, "zone", cron == NULL ? "UTC" : r->m->zone);
}

/* How often one schedule of the flow read last runs here. */
static void read_timing(struct reading *r, const char *name)
{
    static const char *const known[] = {"every_ms", "cron", "zone", NULL};
    struct manifest *m = r->m;
    reading_check_keys(r, known);
    m->timings = xrealloc(m->timings, (m->timing_count + 1) * sizeof(*m->timings));
    struct manifest_schedule *t = &m->timings[m->timing_count];
    memset(t, 0, sizeof(*t));
    m->timing_count++;
    t->flow = m->flow_count - 1;
    t->name = name;
    t->every_ms = reading_integer(r, "every_ms", 0, SCHEDULE_EVERY_MIN_MS);
    t->cron = reading_text(r, "cron", NULL);
    t->zone = read_schedule_zone(r, t->cron);
}

static void read_flow_entry(struct reading *r, const char *name)
{
    static const char *const known[] = {"use", "settings", "retry", "schedules", NULL};
    struct manifest *m = r->m;
    size_t outer;
    reading_check_keys(r, known);
    if (!is_plain_name(name)) {
        reading_raise(r, "", "letters, digits, \"-\" and \"_\" expected as the name of a flow");
    }
    m->flows = xrealloc(m->flows, (m->flow_count + 1) * sizeof(*m->flows));
    struct manifest_flow *f = &m->flows[m->flow_count];
    memset(f, 0, sizeof(*f));
    m->flow_count++;
    f->name = name;
    f->module = reading_need_text(r, "use");
    if (reading_enter(r, "settings", &outer)) {
        reading_leave(r, outer); /* only that it is a table: its schema belongs to the flow */
    }
    read_retry(r, &f->retry, &f->has_retry);
    reading_each(r, "schedules", read_timing);
}

/* They can only be lower than the host's own. */
static void read_limits_of_scripts(struct reading *r)
{
    static const char *const known[] = {"memory_mb", "run_ms", NULL};
    size_t outer;
    if (!reading_enter(r, "limits", &outer)) {
        return;
    }
    reading_check_keys(r, known);
    r->m->memory_mb = reading_integer(r, "memory_mb", 0, 16);
    r->m->run_ms = reading_integer(r, "run_ms", 0, 100);
    reading_leave(r, outer);
}

static void read_live_from(struct reading *r)
{
    const char *text = reading_need_text(r, "live_from");
    struct instant_text instant;
    struct error err;
    if (instant_parse(bytes_str(text), &instant, &err) != 0) {
        reading_raise(r, "live_from", "%s", err.message);
    }
    if (!instant.has_time || !instant.has_offset) {
        reading_raise(r, "live_from",
                      "an instant with time and zone expected (2026-05-04T00:00:00Z)");
    }
    r->m->live_from_ms =
        instant_from_parts(&instant.parts) - (int64_t)instant.offset_minutes * 60000;
}

static void read_zone(struct reading *r)
{
    r->m->zone = reading_text(r, "zone", "UTC");
    struct error err = {0};
    if (manifest_check_zone(r->m->zone, &err) != 0) {
        reading_raise(r, "zone", "an IANA time zone expected (Europe/London): %s", err.message);
    }
}

void manifest_read(lua_State *L, struct manifest *m)
{
    static const char *const known[] = {"name",  "live_from",   "zone",   "sandbox",
                                        "auth",  "owners",      "retry",  "retention",
                                        "flows", "connections", "limits", NULL};
    struct reading r = {L, m, ""};
    if (!lua_istable(L, -1)) {
        luaL_error(L, "client.lua: a table (the manifest) expected as what it returns, got %s",
                   luaL_typename(L, -1));
    }
    reading_check_keys(&r, known);
    m->name = reading_need_text(&r, "name");
    if (!is_plain_name(m->name)) {
        reading_raise(&r, "name", "letters, digits, \"-\" and \"_\" expected, got \"%s\"", m->name);
    }
    read_live_from(&r);
    read_zone(&r);
    m->is_sandbox = reading_boolean(&r, "sandbox");
    read_retry(&r, &m->retry, NULL);
    read_retention(&r);
    read_limits_of_scripts(&r);
    reading_each(&r, "connections", read_connection);
    reading_each(&r, "auth", read_auth);
    read_owners(&r);
    reading_each(&r, "flows", read_flow_entry);
}

/* ---- Flows and triggers -------------------------------------------------------------------------
 */

static void read_route(struct reading *r, size_t flow, int handlers)
{
    static const char *const known[] = {"kind", "name",           "method",           "path",
                                        "auth", "max_body_bytes", "answer_within_ms", "handle",
                                        NULL};
    struct manifest *m = r->m;
    reading_check_keys(r, known);
    m->routes = xrealloc(m->routes, (m->route_count + 1) * sizeof(*m->routes));
    struct manifest_route *route = &m->routes[m->route_count];
    memset(route, 0, sizeof(*route));
    m->route_count++;
    route->flow = flow;
    route->name = reading_need_text(r, "name");
    route->method = reading_need_text(r, "method");
    route->path = reading_need_text(r, "path");
    if (route->path[0] != '/') {
        reading_raise(r, "path", "a path that begins with \"/\" expected, got \"%s\"", route->path);
    }
    route->auth = reading_text(r, "auth", NULL);
    if (route->auth != NULL && manifest_find_auth(m, route->auth) == NULL) {
        reading_raise(r, "auth", "\"%s\" is not in the manifest's auth", route->auth);
    }
    route->max_body_bytes = (size_t)reading_integer_within(r, "max_body_bytes", ROUTE_BODY_BYTES, 1,
                                                           MANIFEST_BODY_BYTES_MAX);
    route->answer_within_ms = reading_integer(r, "answer_within_ms", 0, 1);
    if (!reading_push(r, "handle", LUA_TFUNCTION, "a function")) {
        reading_raise(r, "handle", "missing: a function expected");
    }
    lua_rawseti(r->L, handlers, (lua_Integer)m->route_count);
}

/* The client's own timing of this schedule, if it gives one. */
static void take_timing(struct manifest *m, struct manifest_schedule *s)
{
    for (size_t i = 0; i < m->timing_count; i++) {
        struct manifest_schedule *t = &m->timings[i];
        if (t->flow == s->flow && strcmp(t->name, s->name) == 0) {
            s->every_ms = t->every_ms;
            s->cron = t->cron;
            s->zone = t->zone;
        }
    }
}

static bool has_schedule(const struct manifest *m, const struct manifest_schedule *timing)
{
    for (size_t i = 0; i < m->schedule_count; i++) {
        if (m->schedules[i].flow == timing->flow &&
            strcmp(m->schedules[i].name, timing->name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_timings(struct reading *r, size_t flow)
{
    for (size_t i = 0; i < r->m->timing_count; i++) {
        if (r->m->timings[i].flow == flow && !has_schedule(r->m, &r->m->timings[i])) {
            reading_raise(r, "",
                          "the manifest times a schedule \"%s\", which this flow does not have",
                          r->m->timings[i].name);
        }
    }
}

static void read_schedule(struct reading *r, size_t flow)
{
    static const char *const known[] = {"kind", "name",         "every_ms", "cron",
                                        "zone", "on_exception", NULL};
    struct manifest *m = r->m;
    reading_check_keys(r, known);
    m->schedules = xrealloc(m->schedules, (m->schedule_count + 1) * sizeof(*m->schedules));
    struct manifest_schedule *s = &m->schedules[m->schedule_count];
    memset(s, 0, sizeof(*s));
    m->schedule_count++;
    s->flow = flow;
    s->name = reading_need_text(r, "name");
    s->every_ms = reading_integer(r, "every_ms", 0, SCHEDULE_EVERY_MIN_MS);
    s->cron = reading_text(r, "cron", NULL);
    s->zone = read_schedule_zone(r, s->cron);
    s->on_exception = reading_boolean(r, "on_exception");
    take_timing(m, s);
    struct schedule_spec spec = {m->flows[flow].name, s->name, s->every_ms, s->cron, s->zone,
                                 s->on_exception};
    struct error err;
    error_clear(&err);
    if (schedule_check(&spec, &err) != 0) {
        reading_raise(r, "", "%s", err.message);
    }
}

static void read_trigger(struct reading *r, size_t flow, int handlers)
{
    static const char *const act_keys[] = {"kind", NULL};
    struct manifest_flow *f = &r->m->flows[flow];
    const char *kind = reading_need_text(r, "kind");
    if (strcmp(kind, "route") == 0) {
        read_route(r, flow, handlers);
        return;
    }
    if (strcmp(kind, "schedule") == 0) {
        read_schedule(r, flow);
    } else if (strcmp(kind, "act") == 0) {
        reading_check_keys(r, act_keys);
        f->wants_acts = true;
    } else {
        reading_raise(r, "kind", "\"route\", \"schedule\" or \"act\" expected, got \"%s\"", kind);
    }
    if (!f->has_run) {
        reading_raise(r, "", "a flow with %s needs run(job)",
                      f->wants_acts ? "acts" : "a schedule");
    }
}

static void read_triggers(struct reading *r, size_t flow, int handlers)
{
    size_t outer;
    if (!reading_enter(r, "triggers", &outer)) {
        return;
    }
    size_t inner = strlen(r->path);
    lua_Integer count = (lua_Integer)lua_rawlen(r->L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        snprintf(r->path + inner, sizeof(r->path) - inner, "[%lld]", (long long)i);
        if (lua_rawgeti(r->L, -1, i) != LUA_TTABLE) {
            reading_raise(r, "", "a table expected, got %s", luaL_typename(r->L, -1));
        }
        read_trigger(r, flow, handlers);
        lua_pop(r->L, 1);
    }
    reading_leave(r, outer);
}

/* Helpers beside the known keys may be functions; anything else is a slip. */
static void check_flow_keys(struct reading *r)
{
    static const char *const known[] = {"name",   "version", "schema",   "cases", "triggers",
                                        "stages", "run",     "selftest", NULL};
    lua_State *L = r->L;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, -3) != 0;) { /* stack: flow, suspects, key, value */
        if (lua_isfunction(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    reading_check_keys(r, known);
    lua_pop(L, 1);
}

void manifest_read_flow(lua_State *L, struct manifest *m, size_t flow, int handlers)
{
    struct manifest_flow *f = &m->flows[flow];
    struct reading r = {L, m, ""};
    luaL_checkstack(L, 10, "flow");
    snprintf(r.path, sizeof(r.path), "flows.%s (%s)", f->name, f->module);
    if (!lua_istable(L, -1)) {
        reading_raise(&r, "", "the module must return a table, got %s", luaL_typename(L, -1));
    }
    check_flow_keys(&r);
    reading_need_text(&r, "name");
    reading_integer(&r, "version", 1, 0);
    f->has_run = reading_push(&r, "run", LUA_TFUNCTION, "a function");
    lua_pop(L, f->has_run ? 1 : 0);
    if (reading_push(&r, "selftest", LUA_TFUNCTION, "a function")) {
        lua_pop(L, 1);
    }
    read_triggers(&r, flow, handlers);
    check_timings(&r, flow);
}

/* ---- Looking up ---------------------------------------------------------------------------------
 */

const char *manifest_owner_of(const struct manifest *m, const char *cause)
{
    const char *otherwise = "";
    for (size_t i = 0; i < m->owner_count; i++) {
        if (strcmp(m->owners[i].cause, cause) == 0) {
            return m->owners[i].owner;
        }
        if (strcmp(m->owners[i].cause, "default") == 0) {
            otherwise = m->owners[i].owner;
        }
    }
    return otherwise;
}

const struct manifest_flow *manifest_find_flow(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->flow_count; i++) {
        if (strcmp(m->flows[i].name, name) == 0) {
            return &m->flows[i];
        }
    }
    return NULL;
}

const struct manifest_auth *manifest_find_auth(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->auth_count; i++) {
        if (strcmp(m->auths[i].name, name) == 0) {
            return &m->auths[i];
        }
    }
    return NULL;
}
