/*
 * A simulated world: several hosts of one process on one virtual clock and one loopback network.
 *
 * Each host has data, scripts and a wall clock of its own, and ends without the others (host_kill).
 * Time moves only when no host has anything to do.
 */
#ifndef NEAP_CORE_HOST_WORLD_H
#define NEAP_CORE_HOST_WORLD_H

#include "core/host_private.h"

struct host_world {
    struct clock *clock;
    struct loop *loop;
    struct loopback_network *network;
};

void host_world_open(struct host_world *world, int64_t start_ms);
void host_world_close(struct host_world *world); /* the hosts must have been closed */

/*
 * One turn of each host in the list; NULL entries are dead. `dying` (NULL: none) is killed within
 * its turn as soon as that would lose something: true is returned then and dying is gone.
 * *is_over_out: nothing can happen any more.
 */
bool host_world_turn(struct host *const *hosts, size_t count, struct host *dying,
                     bool *is_over_out);

#endif
