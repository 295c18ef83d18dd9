/* System and virtual clocks, and the seeded generator. */
#define _GNU_SOURCE
#include "core/base/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/xalloc.h"

struct clock {
    bool is_virtual;
    struct clock *base; /* wall_ms is the difference from it; or NULL */
    int64_t wall_ms;
    int64_t mono_ms;
};

struct clock *clock_new_system(void)
{
    return xcalloc(1, sizeof(struct clock));
}

struct clock *clock_new_virtual(int64_t wall_ms)
{
    struct clock *c = xcalloc(1, sizeof(*c));
    c->is_virtual = true;
    c->wall_ms = wall_ms;
    return c;
}

struct clock *clock_new_beside(struct clock *base)
{
    struct clock *c = clock_new_virtual(0);
    c->base = base;
    return c;
}

void clock_free(struct clock *c)
{
    free(c);
}

bool clock_is_virtual(const struct clock *c)
{
    return c->is_virtual;
}

static int64_t read_system_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t read_system_ms(clockid_t id)
{
    return read_system_us(id) / 1000;
}

int64_t clock_wall_ms(struct clock *c)
{
    if (c->base != NULL) {
        return clock_wall_ms(c->base) + c->wall_ms;
    }
    return c->is_virtual ? c->wall_ms : read_system_ms(CLOCK_REALTIME);
}

int64_t clock_mono_ms(struct clock *c)
{
    if (c->base != NULL) {
        return clock_mono_ms(c->base);
    }
    return c->is_virtual ? c->mono_ms : read_system_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(struct clock *c)
{
    return c->is_virtual ? clock_mono_ms(c) * 1000 : read_system_us(CLOCK_MONOTONIC);
}

void clock_advance(struct clock *c, int64_t delta_ms)
{
    assert(c->is_virtual && c->base == NULL && delta_ms >= 0);
    c->wall_ms += delta_ms;
    c->mono_ms += delta_ms;
}

void clock_jump_wall(struct clock *c, int64_t delta_ms)
{
    assert(c->is_virtual);
    c->wall_ms += delta_ms;
}

/* splitmix64 spreads a seed over the state of xoshiro256**. */
void random_init(struct random_source *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

void random_init_system(struct random_source *r)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        seed = (uint64_t)read_system_ms(CLOCK_REALTIME);
    }
    random_init(r, seed);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t random_next(struct random_source *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t random_below(struct random_source *r, uint64_t bound)
{
    assert(bound > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t x = random_next(r);
    while (x >= limit) {
        x = random_next(r);
    }
    return x % bound;
}
