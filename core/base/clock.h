/*
 * Time and randomness as values that are passed in: nothing in work or script reads them elsewhere.
 *
 * wall:  UTC milliseconds since 1970, for durable instants; may jump.
 * mono:  milliseconds that only go forward, for timeouts.
 */
#ifndef NEAP_CORE_BASE_CLOCK_H
#define NEAP_CORE_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;

struct clock *clock_new_system(void);
/* A clock that stands still until clock_advance; mono starts at 0. */
struct clock *clock_new_virtual(int64_t wall_ms);
/* A virtual clock that goes with `base` (borrowed) and whose wall time can be wrong. */
struct clock *clock_new_beside(struct clock *base);
void clock_free(struct clock *c);

bool clock_is_virtual(const struct clock *c);
int64_t clock_wall_ms(struct clock *c);
int64_t clock_mono_ms(struct clock *c);
int64_t clock_mono_us(struct clock *c);                /* the same in microseconds: for measuring */
void clock_advance(struct clock *c, int64_t delta_ms); /* virtual only: wall and mono together */
void clock_jump_wall(struct clock *c, int64_t delta_ms); /* virtual only: wall alone, either way */

/* A seeded generator (splitmix64/xoshiro256**). Not for keys: use crypto for those. */
struct random_source {
    uint64_t state[4];
};

void random_init(struct random_source *r, uint64_t seed);
void random_init_system(struct random_source *r); /* seeded from the kernel */
uint64_t random_next(struct random_source *r);
uint64_t random_below(struct random_source *r, uint64_t bound); /* uniform, bound > 0 */

#endif
