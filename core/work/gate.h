/*
 * How many jobs of one flow may be alive at once.
 *
 * A job that is alive holds a coroutine and what it has fetched; thousands may become ready in one
 * moment (an outage ends, a cause is closed). The rest wait here, in arrival order, as numbers: on
 * disk they are ready. Each flow has its own gate, so that one which waits for a slow system does
 * not keep another from starting.
 */
#ifndef NEAP_CORE_WORK_GATE_H
#define NEAP_CORE_WORK_GATE_H

#include "core/work/work_state.h"

/* Live jobs of a flow: eight times the default concurrency of a connection. */
#define GATE_LIVE_MAX 64

struct gate {
    char *flow;
    size_t live;
    struct ready_queue waiting;
    struct gate *next;
};

/* Made when there is none; lives until gates_close. */
struct gate *gate_of(struct work *work, const char *flow);
/* A job that is not next in line (is_next: it comes from gate_next) must wait when others do. */
bool gate_is_open(const struct gate *gate, bool is_next);
/* The first that waits where there is room again. */
bool gate_next(struct work *work, uint64_t *id_out);
bool gate_has_next(const struct work *work);
void gates_forget(struct work *work); /* what waits; the store knows it */
void gates_close(struct work *work);

#endif
