/* A hash of chains. Nothing is removed when an outcome is found, so that a dropped turn needs no
 * care; what is older than any settle_ms goes when its chain grows. */
#include "core/work/doubt.h"

#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#define DOUBT_BUCKETS 256

struct doubt {
    uint64_t effect_id;
    int64_t since_ms; /* monotonic */
    struct doubt *next;
};

struct doubts {
    struct doubt *buckets[DOUBT_BUCKETS];
};

static struct doubt *find(const struct work *work, uint64_t effect_id)
{
    struct doubt *doubt =
        work->doubts == NULL ? NULL : work->doubts->buckets[effect_id % DOUBT_BUCKETS];
    while (doubt != NULL && doubt->effect_id != effect_id) {
        doubt = doubt->next;
    }
    return doubt;
}

static void drop_old(struct doubt **at, int64_t now_ms)
{
    while (*at != NULL) {
        struct doubt *doubt = *at;
        if (now_ms - doubt->since_ms > DOUBT_SETTLE_MAX_MS) {
            *at = doubt->next;
            free(doubt);
        } else {
            at = &doubt->next;
        }
    }
}

void doubt_begin(struct work *work, uint64_t effect_id)
{
    int64_t now_ms = clock_mono_ms(work->options.clock);
    if (work->doubts == NULL) {
        work->doubts = xcalloc(1, sizeof *work->doubts);
    }
    struct doubt *doubt = find(work, effect_id);
    if (doubt == NULL) {
        struct doubt **bucket = &work->doubts->buckets[effect_id % DOUBT_BUCKETS];
        drop_old(bucket, now_ms);
        doubt = xcalloc(1, sizeof *doubt);
        doubt->effect_id = effect_id;
        doubt->next = *bucket;
        *bucket = doubt;
    }
    doubt->since_ms = now_ms;
}

static int64_t clamp(int64_t left_ms, int64_t settle_ms)
{
    return left_ms < 0 ? 0 : (left_ms > settle_ms ? settle_ms : left_ms);
}

int64_t doubt_left_ms(struct work *work, const struct effect *effect, int64_t settle_ms)
{
    const struct doubt *doubt = find(work, effect->id);
    int64_t since_ms = doubt == NULL ? work->opened_ms : doubt->since_ms;
    int64_t by_mono = clamp(since_ms + settle_ms - clock_mono_ms(work->options.clock), settle_ms);
    int64_t by_wall = clamp(effect->sent_ms + settle_ms - work_now_ms(work), settle_ms);
    return by_mono > by_wall ? by_mono : by_wall;
}

void doubts_close(struct work *work)
{
    for (size_t i = 0; work->doubts != NULL && i < DOUBT_BUCKETS; i++) {
        while (work->doubts->buckets[i] != NULL) {
            struct doubt *doubt = work->doubts->buckets[i];
            work->doubts->buckets[i] = doubt->next;
            free(doubt);
        }
    }
    free(work->doubts);
    work->doubts = NULL;
}
