/*
 * The floor: what the calls of the host cost by themselves. The same libraries do the same HTTP
 * calls and the same JSON work, and each turn ends in one LMDB commit per touched environment,
 * before anything of the turn leaves. Nothing else: no retries, no history, no limits.
 */
#ifndef NEAP_TESTS_BENCH_FLOOR_H
#define NEAP_TESTS_BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <lmdb.h>
#include <lua.h>

/* ---- floor.c: environments, turns ---- */

struct floor_env {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn; /* the turn's, NULL when untouched */
};

void floor_put(struct floor_env *env, const void *key, size_t key_size, const void *value,
               size_t value_size);

/* Calls fn(arg) after the commit of this turn, in order. */
void floor_release(void (*fn)(void *arg), void *arg);

void floor_check(bool is_good, const char *what);

/* Decodes with lua-cjson; the table is on the top of the stack. */
void floor_decode(lua_State *L, const char *text, size_t size);
lua_Integer floor_integer(lua_State *L, const char *name); /* field of the table at the top */

/* ---- floor_flow.c: the calls after the accept ---- */

struct flow;

struct flow *flow_open(struct event_base *base, lua_State *L, unsigned upstream_port);
void flow_start(struct flow *flow, struct floor_env *env, uint32_t order_id); /* queued */

#endif
