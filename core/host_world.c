/* See host_world.h. */
#include "core/host_world.h"

#include "core/base/xalloc.h"

void host_world_open(struct host_world *world, int64_t start_ms)
{
    world->clock = clock_new_virtual(start_ms);
    world->loop = loop_new(world->clock);
    world->network = loopback_network_new();
}

void host_world_close(struct host_world *world)
{
    loop_free(world->loop);
    clock_free(world->clock);
    loopback_network_free(world->network);
}

static bool others_have_work(struct host *const *hosts, size_t count, size_t self)
{
    for (size_t i = 0; i < count; i++) {
        if (i != self && hosts[i] != NULL && turn_has_work(hosts[i]->turn)) {
            return true;
        }
    }
    return false;
}

/* True when it died. */
static bool turn_of_dying(struct host *host, bool may_wait)
{
    turn_begin(host->turn, may_wait, NULL);
    if (turn_is_dirty(host->turn)) {
        host_kill(host);
        return true;
    }
    if (turn_end(host->turn, &host->fatal) != 0) {
        host->has_stopped = true;
    }
    return false;
}

bool host_world_turn(struct host *const *hosts, size_t count, struct host *dying, bool *is_over_out)
{
    *is_over_out = true;
    for (size_t i = 0; i < count; i++) {
        if (hosts[i] == NULL) {
            continue;
        }
        bool may_wait = !others_have_work(hosts, count, i);
        if (hosts[i] == dying) {
            *is_over_out = false;
            if (turn_of_dying(dying, may_wait)) {
                return true;
            }
        } else if (host_turn(hosts[i], may_wait)) {
            *is_over_out = false;
        }
    }
    return false;
}
