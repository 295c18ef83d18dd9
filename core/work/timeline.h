/* What happened to a key, line by line, for people. */
#ifndef NEAP_CORE_WORK_TIMELINE_H
#define NEAP_CORE_WORK_TIMELINE_H

#include "core/work/work.h"

#define TIMELINE_TEXT_MAX 16384 /* longer texts and data are cut or left out */

struct timeline_entry { /* borrowed */
    uint64_t seq;       /* set by timeline_add */
    int64_t at_ms;      /* set by timeline_add when 0 */
    uint64_t job_id;    /* 0 = none */
    const char *kind;   /* "accepted", "map", "failed", ... */
    const char *text;
    const char *data_json; /* or NULL */
};

/* Within a slice prefer job_note: a raise drops what this writes. */
int timeline_add(struct work *work, const char *key,
                 const struct timeline_entry *entry) NEAP_MUST_USE;
/* Oldest first (newest first when is_reverse) until fn returns non-zero; fn must not write. */
typedef int (*timeline_fn)(void *arg, const struct timeline_entry *entry);
int timeline_each(struct work *work, const char *key, bool is_reverse, timeline_fn fn, void *arg);

#endif
