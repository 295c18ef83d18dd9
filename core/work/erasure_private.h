/* Between erasure.c (what goes) and erasure_journal.c (that it stays gone). */
#ifndef NEAP_CORE_WORK_ERASURE_PRIVATE_H
#define NEAP_CORE_WORK_ERASURE_PRIVATE_H

#include "core/work/erasure.h"

struct erasure_entry { /* borrowed */
    const char *key;
    const char *who;
    const char *reason;
    int64_t at_ms;
    bool with_title;
};

/* Into the table of erasures, with the wish to compact. */
int erasure_store(struct work *work, const struct erasure_entry *entry) NEAP_MUST_USE;
/* An erasure was kept: after the commit the journal gets it, then the store is compacted. */
void erasure_written(struct work *work, const struct erasure_request *request);

#endif
