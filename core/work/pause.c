/* A pause is one record; a start of a job asks for it, so nothing has to be kept in memory. */
#include "core/work/pause.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/audit_chain.h"
#include "core/work/event_record.h"
#include "core/work/work_state.h"

#define PAUSE_VERSION 1

static void pause_key(struct key *key, enum pause_kind kind, const char *name)
{
    key_begin(key, KEY_PAUSE);
    key_u8(key, (uint8_t)kind);
    key_text(key, name);
}

static int audit(struct work *work, const char *action, const struct pause *pause)
{
    char *subject =
        xasprintf("%s %s", pause->kind == PAUSE_FLOW ? "flow" : "connection", pause->name);
    struct audit_entry entry = {
        .who = pause->who, .action = action, .subject = subject, .detail = pause->reason};
    int rc = audit_append(work, &entry);
    free(subject);
    return rc;
}

static int set(struct work *work, const struct pause *pause)
{
    struct key key;
    struct buf value;
    pause_key(&key, pause->kind, pause->name);
    work_value(&value, PAUSE_VERSION);
    record_i64(&value, work_now_ms(work));
    record_str(&value, pause->name);
    record_str(&value, pause->who);
    record_str(&value, pause->reason);
    int rc = work_put(work, &key, &value);
    return rc != 0 ? rc : audit(work, "pause", pause);
}

int pause_set(struct work *work, const struct pause *pause)
{
    if (strlen(pause->name) > EVENT_NAME_MAX) {
        return ERROR_LIMIT;
    }
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, set(work, pause));
}

struct waking {
    struct work *work;
    const char *flow;
};

static int wake(void *arg, const struct job_info *info)
{
    struct waking *waking = arg;
    if (info->is_head && strcmp(info->flow, waking->flow) == 0) {
        work_pend(waking->work, PENDING_READY, info->id);
    }
    return 0;
}

static int clear(struct work *work, const struct pause *pause)
{
    struct key key;
    pause_key(&key, pause->kind, pause->name);
    if (!work_has(work, &key)) {
        return ERROR_NOT_FOUND;
    }
    int rc = work_delete(work, &key);
    rc = rc != 0 ? rc : audit(work, "resume", pause);
    if (rc == 0 && pause->kind == PAUSE_CONNECTION) {
        rc = work_connection_up(work, pause->name, false);
    } else if (rc == 0) {
        struct waking waking = {work, pause->name};
        rc = job_each(work, JOB_READY, wake, &waking);
    }
    return rc;
}

int pause_clear(struct work *work, enum pause_kind kind, const char *name, const char *who)
{
    struct pause pause = {.kind = kind, .name = name, .who = who, .reason = ""};
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, clear(work, &pause));
}

bool pause_is_set(struct work *work, enum pause_kind kind, const char *name)
{
    struct key key;
    pause_key(&key, kind, name);
    return work_has(work, &key);
}

struct walk {
    pause_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    struct walk *walk = arg;
    struct record_reader r;
    record_open(&r, value);
    int64_t since_ms = record_get_i64(&r);
    char *name = record_get_str(&r);
    char *who = record_get_str(&r);
    char *reason = record_get_str(&r);
    struct pause pause = {(enum pause_kind)(uint8_t)key.data[1], name, who, reason, since_ms};
    int rc = r.is_bad ? 0 : walk->fn(walk->arg, &pause);
    free(name);
    free(who);
    free(reason);
    return rc;
}

int pause_each(struct work *work, pause_fn fn, void *arg)
{
    struct walk walk = {fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_PAUSE);
    return work_range(work, &prefix, false, visit, &walk);
}
