/* status (health at a glance), pause and resume. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/ops/admin_private.h"
#include "core/ops/health.h"
#include "core/work/effect.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "core/work/pause.h"

static int count_one(void *arg, const struct exception *e)
{
    (void)e;
    (*(uint64_t *)arg)++;
    return 0;
}

static int count_effect(void *arg, const struct effect *effect)
{
    (void)effect;
    (*(uint64_t *)arg)++;
    return 0;
}

static int json_pause(void *arg, const struct pause *pause)
{
    struct json_writer *w = arg;
    json_object_begin(w);
    json_member_str(w, "kind", pause->kind == PAUSE_FLOW ? "flow" : "connection");
    json_member_str(w, "name", pause->name);
    json_member_str(w, "who", pause->who);
    json_member_str(w, "reason", pause->reason);
    json_object_end(w);
    return 0;
}

static int text_pause(void *arg, const struct pause *pause)
{
    struct admin_context *c = arg;
    buf_addf(c->out, "  paused: %s %s by %s: %s\n",
             pause->kind == PAUSE_FLOW ? "flow" : "connection", pause->name, pause->who,
             pause->reason);
    return 0;
}

static void status_json(struct admin_context *c, const struct job_counts *counts, uint64_t open,
                        const struct health *health)
{
    struct json_writer *w = &c->json;
    json_object_begin(w);
    json_member_str(w, "client", c->client->name);
    json_member_int(w, "generation", (int64_t)c->client->generation);
    json_member_int(w, "generations", (int64_t)c->client->generations);
    json_member_int(w, "reloads", (int64_t)c->client->reloads);
    json_member_int(w, "reloads_failed", (int64_t)c->client->reloads_failed);
    json_member_bool(w, "full", work_is_full(c->client->work));
    json_member_int(w, "exceptions", (int64_t)open);
    json_key(w, "jobs");
    json_object_begin(w);
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        json_member_int(w, job_state_name((enum job_state)s), (int64_t)counts->by_state[s]);
    }
    json_object_end(w);
    uint64_t effects = 0;
    effect_each_open(c->client->work, NULL, count_effect, &effects);
    json_member_int(w, "open_effects", (int64_t)effects);
    json_member_int(w, "oldest_ready_ms", counts->oldest_ready_ms);
    if (c->client->load_error != NULL && c->client->load_error[0] != '\0') {
        json_member_str(w, "load_error", c->client->load_error);
    }
    json_key(w, "paused");
    json_array_begin(w);
    pause_each(c->client->work, json_pause, w);
    json_array_end(w);
    admin_health_json(c, health);
    json_object_end(w);
}

static void status_text(struct admin_context *c, const struct job_counts *counts, uint64_t open,
                        const struct health *health)
{
    buf_addf(c->out, "%s: %s, %" PRIu64 " open exceptions; jobs:", c->client->name,
             health_colour_name(health->colour), open);
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        buf_addf(c->out, " %" PRIu64 " %s%s", counts->by_state[s],
                 job_state_name((enum job_state)s), s + 1 < JOB_STATE_COUNT ? "," : "\n");
    }
    if (counts->oldest_ready_ms != 0) {
        char age[32];
        admin_format_distance(counts->oldest_ready_ms - c->view->now_ms, age, sizeof(age));
        buf_addf(c->out, "  oldest open job: %s\n", age);
    }
    if (c->client->load_error != NULL && c->client->load_error[0] != '\0') {
        buf_addf(c->out, "  the newest scripts do not serve: %s\n", c->client->load_error);
    }
    pause_each(c->client->work, text_pause, c);
    admin_health_text(c, health);
}

/* One client; returns what is wrong with it: open exceptions, or 1 when it is red without any. */
static int status_client(struct admin_context *c, uint64_t *wrong_out)
{
    struct job_counts counts;
    struct health health;
    uint64_t open = 0;
    memset(&counts, 0, sizeof(counts));
    if (job_count(c->client->work, &counts) != 0) {
        return admin_fail(c, ADMIN_WRONG, "%s: its jobs cannot be counted", c->client->name);
    }
    exception_each(c->client->work, NULL, count_one, &open);
    health_read(c->view, c->client, &health);
    if (c->request->wants_json) {
        status_json(c, &counts, open, &health);
    } else {
        status_text(c, &counts, open, &health);
    }
    *wrong_out = open == 0 && health.colour == HEALTH_RED ? 1 : open;
    health_free(&health);
    return ADMIN_OK;
}

/* neap status --stuck */
static int status_stuck(struct admin_context *c, uint64_t *wrong_out)
{
    *wrong_out = admin_stuck_list(c);
    return ADMIN_OK;
}

static void tell_absent(struct admin_context *c, const struct ops_absent *absent)
{
    if (c->request->wants_json) {
        json_object_begin(&c->json);
        json_member_str(&c->json, "client", absent->folder);
        json_member_bool(&c->json, "absent", true);
        json_member_str(&c->json, "load_error", absent->problem);
        json_object_end(&c->json);
    } else {
        buf_addf(c->out, "%s: NOT SERVED, its scripts do not load: %s\n", absent->folder,
                 absent->problem);
    }
}

int admin_status(struct admin_context *c)
{
    uint64_t wrong_all = 0;
    const char *word = admin_word(c, 1);
    bool is_stuck = word != NULL && strcmp(word, "stuck") == 0;
    if (word != NULL && !is_stuck) {
        return admin_fail(c, ADMIN_USAGE, "status takes no words");
    }
    if (c->request->wants_json) {
        json_array_begin(&c->json);
    }
    for (size_t i = 0; i < c->view->count; i++) {
        c->client = &c->view->clients[i];
        if (!admin_wants_client(c, c->client)) {
            continue;
        }
        uint64_t wrong = 0;
        int code = is_stuck ? status_stuck(c, &wrong) : status_client(c, &wrong);
        if (code != ADMIN_OK) {
            return code;
        }
        wrong_all += wrong;
    }
    bool wants_absent = c->request->client == NULL && !is_stuck;
    for (size_t i = 0; wants_absent && i < c->view->absent_count; i++) {
        tell_absent(c, &c->view->absent[i]);
        wrong_all++;
    }
    if (c->request->wants_json) {
        json_array_end(&c->json);
        buf_add_char(c->out, '\n');
    } else if (is_stuck && wrong_all == 0) {
        buf_addf(c->out, "no order is stuck\n");
    }
    return wrong_all == 0 ? ADMIN_OK : ADMIN_WRONG;
}

/* What came of loading one client's scripts; problem is NULL when they serve. */
static void tell_reload(struct admin_context *c, const char *name, const char *problem)
{
    if (c->request->wants_json) {
        json_object_begin(&c->json);
        json_member_str(&c->json, "client", name);
        json_member_bool(&c->json, "serves", problem == NULL);
        if (problem != NULL) {
            json_member_str(&c->json, "load_error", problem);
        }
        json_object_end(&c->json);
    } else if (problem == NULL) {
        buf_addf(c->out, "%s: new scripts serve\n", name);
    } else {
        buf_addf(c->out, "%s: the new scripts do not serve, the old ones go on: %s\n", name,
                 problem);
    }
}

int admin_reload(struct admin_context *c)
{
    int code = ADMIN_NOT_FOUND;
    if (!c->view->is_live) {
        return admin_fail(c, ADMIN_UNREACHABLE, "this needs the running host");
    }
    if (c->request->wants_json) {
        json_array_begin(&c->json);
    }
    for (size_t i = 0; i < c->view->count; i++) {
        const struct ops_client *client = &c->view->clients[i];
        if (!admin_wants_client(c, client)) {
            continue;
        }
        code = code == ADMIN_NOT_FOUND ? ADMIN_OK : code;
        if (c->request->is_dry_run && !c->request->wants_json) {
            buf_addf(c->out, "would load the scripts of %s\n", client->name);
        } else if (!c->request->is_dry_run) {
            const char *problem = client->reload(client->arg);
            tell_reload(c, client->name, problem);
            code = problem == NULL ? code : ADMIN_WRONG;
        }
    }
    if (code == ADMIN_NOT_FOUND) {
        return admin_fail(c, code, "there is no such client");
    }
    if (c->request->wants_json) {
        json_array_end(&c->json);
        buf_add_char(c->out, '\n');
    }
    return code;
}

static bool is_known(const struct ops_client *client, bool is_flow, const char *name)
{
    if (is_flow) {
        return client->has_flow != NULL && client->has_flow(client->arg, name);
    }
    for (size_t i = 0; i < client->connection_count; i++) {
        if (strcmp(connection_options(client->connections[i])->name, name) == 0) {
            return true;
        }
    }
    return false;
}

int admin_pause(struct admin_context *c)
{
    const char *verb = admin_word(c, 0);
    bool is_pause = verb != NULL && strcmp(verb, "pause") == 0;
    const char *kind = admin_word(c, 1);
    const char *name = admin_word(c, 2);
    bool is_flow = kind != NULL && strcmp(kind, "flow") == 0;
    if (kind == NULL || name == NULL || (!is_flow && strcmp(kind, "connection") != 0)) {
        return admin_fail(c, ADMIN_USAGE, "say what: flow NAME or connection NAME");
    }
    if (!c->view->is_live) {
        return admin_fail(c, ADMIN_UNREACHABLE, "this needs the running host");
    }
    size_t at = 0;
    while (at < c->view->count && !admin_wants_client(c, &c->view->clients[at])) {
        at++;
    }
    if (at == c->view->count || (c->request->client == NULL && c->view->count > 1)) {
        return admin_fail(c, ADMIN_USAGE, "say which client: --client NAME");
    }
    c->client = &c->view->clients[at];
    if (is_pause && !is_known(c->client, is_flow, name)) {
        return admin_fail(c, ADMIN_NOT_FOUND, "%s has no %s %s", c->client->name, kind, name);
    }
    enum pause_kind what = is_flow ? PAUSE_FLOW : PAUSE_CONNECTION;
    struct pause pause = {what, name, c->request->who,
                          c->request->reason == NULL ? "" : c->request->reason, c->view->now_ms};
    if (c->request->is_dry_run) {
        buf_addf(c->out, "would %s %s %s of %s\n", verb, kind, name, c->client->name);
        return ADMIN_OK;
    }
    int rc = is_pause ? pause_set(c->client->work, &pause)
                      : pause_clear(c->client->work, what, name, c->request->who);
    if (rc == ERROR_NOT_FOUND) {
        return admin_fail(c, ADMIN_NOT_FOUND, "%s %s of %s is not paused", kind, name,
                          c->client->name);
    }
    if (rc != 0) {
        return admin_fail(c, ADMIN_WRONG, "%s: %s", name, error_code_name(rc));
    }
    buf_addf(c->out, "%s %s of %s is %s\n", kind, name, c->client->name,
             is_pause ? "paused" : "running again");
    return ADMIN_OK;
}
