/*
 * Who runs Lua right now: what the modules of the api room find behind a Lua state.
 *
 * scope  one entry into Lua for one client: a slice of a job, a route's handler; none while scripts
 * load run    one coroutine of one job, from its first slice to its drop
 */
#ifndef NEAP_CORE_SCRIPT_JOB_RUN_H
#define NEAP_CORE_SCRIPT_JOB_RUN_H

#include "core/net/connection.h"
#include "core/script/coroutine.h"
#include "core/work/job.h"

struct generation;
struct manifest_flow;
struct runner;

struct script_scope {
    struct runner *runner;
    struct work *work;
    const char *flow;
    struct job_run *run; /* NULL in a route's handler */
    bool may_write;      /* a transaction is open that this entry's writes belong to */
    bool is_reading;     /* over what a host recorded: writing is refused in words */
};

struct job_run {
    struct script_scope scope;
    struct generation *generation; /* it began with, and ends on */
    const struct manifest_flow *flow;
    struct job *job;
    struct coroutine *co;
    void **object;  /* the slot in the job object that points here, or NULL */
    char *step;     /* name of the step or effect it is in, or NULL */
    unsigned steps; /* and effects begun in this run, for its bound on each */
    unsigned effects;
    bool is_unwinding;    /* a durable wait was asked for: never resumed again */
    struct job_run *next; /* of the same generation */
};

/* The scope of this entry, or NULL while scripts load and self-tests run. Never raises. */
struct script_scope *lx_scope(lua_State *L);

/* As lx_scope; raises when there is none ("not while scripts load") or no transaction is open. */
struct script_scope *lx_store_scope(lua_State *L);
/* As lx_store_scope, for what writes; raises also where only reading is meant. */
struct script_scope *lx_store_write_scope(lua_State *L);

/*
 * The run whose own coroutine L is. Raises "call this from the flow's own coroutine" anywhere else,
 * and where it could not wait (comparators, gsub callbacks, store.atomic).
 */
struct job_run *lx_job(lua_State *L);

/* As lx_job, for what does not wait: any C or Lua function under the run's slice. */
struct job_run *lx_job_now(lua_State *L);

/* Raises the error object for a failed store or work call. */
void lx_check_rc(lua_State *L, int rc, const char *doing);

/* For bindings that asked work for a durable wait: leaves the coroutine for good. Returns as
 * lua_yield. */
int job_run_unwind(lua_State *L, struct job_run *run);

/* Names of steps, sleeps and awaits are unique within a run; raises for a repeated one. idx: the
 * job userdata, whose second user value holds the names. [-0, +0] */
void job_run_claim(lua_State *L, int idx, const char *kind, const char *name);

#endif
