/* Exceptions that are closed: what became of them, for people who look back. */
#include <stdlib.h>

#include "core/work/exception.h"
#include "core/work/work_state.h"

struct closed_walk {
    exception_closed_fn fn;
    void *arg;
};

static int visit_closed(void *arg, struct bytes key, struct bytes value)
{
    struct closed_walk *walk = arg;
    struct record_reader r;
    struct exception_closed closed = {.seq = key_last_u64(key)};
    record_open(&r, value);
    closed.how = (enum exception_how)record_get_u8(&r);
    closed.opened_ms = record_get_i64(&r);
    closed.closed_ms = record_get_i64(&r);
    closed.released = record_get_u64(&r);
    char *texts[5];
    for (size_t i = 0; i < 5; i++) {
        texts[i] = record_get_str(&r);
    }
    closed.cause = texts[0];
    closed.subject = texts[1];
    closed.message = texts[2];
    closed.who = texts[3];
    closed.note = texts[4];
    int rc = r.is_bad ? 0 : walk->fn(walk->arg, &closed);
    for (size_t i = 0; i < 5; i++) {
        free(texts[i]);
    }
    return rc;
}

int exception_each_closed(struct work *work, exception_closed_fn fn, void *arg)
{
    struct closed_walk walk = {fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_CLOSED);
    return work_range(work, &prefix, true, visit_closed, &walk);
}
