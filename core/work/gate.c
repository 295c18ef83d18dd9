/* A client has few flows: a list is enough. */
#include "core/work/gate.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"

struct gate *gate_of(struct work *work, const char *flow)
{
    for (struct gate *gate = work->gates; gate != NULL; gate = gate->next) {
        if (strcmp(gate->flow, flow) == 0) {
            return gate;
        }
    }
    struct gate *gate = xcalloc(1, sizeof *gate);
    gate->flow = xstrdup(flow);
    gate->next = work->gates;
    work->gates = gate;
    return gate;
}

bool gate_is_open(const struct gate *gate, bool is_next)
{
    return gate->live < GATE_LIVE_MAX && (is_next || gate->waiting.count == 0);
}

static bool has_next(const struct gate *gate)
{
    return gate->waiting.count > 0 && gate->live < GATE_LIVE_MAX;
}

bool gate_has_next(const struct work *work)
{
    for (const struct gate *gate = work->gates; gate != NULL; gate = gate->next) {
        if (has_next(gate)) {
            return true;
        }
    }
    return false;
}

bool gate_next(struct work *work, uint64_t *id_out)
{
    for (struct gate *gate = work->gates; gate != NULL; gate = gate->next) {
        if (has_next(gate)) {
            return ready_queue_pop(&gate->waiting, id_out);
        }
    }
    return false;
}

void gates_forget(struct work *work)
{
    for (struct gate *gate = work->gates; gate != NULL; gate = gate->next) {
        gate->waiting.head = 0;
        gate->waiting.count = 0;
    }
}

void gates_close(struct work *work)
{
    while (work->gates != NULL) {
        struct gate *gate = work->gates;
        work->gates = gate->next;
        free(gate->waiting.ids);
        free(gate->flow);
        free(gate);
    }
}
