/*
 * One loaded version of a client's scripts: a Lua state, its manifest and its flows.
 *
 *   load aside (client.lua, flow modules, settings against schemas, self-tests) -> serves ->
 * retired: its last runs end -> freed
 */
#ifndef NEAP_CORE_SCRIPT_GENERATION_H
#define NEAP_CORE_SCRIPT_GENERATION_H

#include "core/script/job_run.h"
#include "core/script/manifest.h"

struct generation;

/* What the api room gives to script, which knows none of it. */
struct script_hooks {
    const struct vm_module *modules; /* ends with a NULL name */
    /* Inside Lua, behind a door, [-0, +1]: the job object of this run. */
    void (*push_job)(lua_State *L, struct job_run *run);
};

struct generation_options {
    struct clock *clock;
    const char *client_folder;
    const char *scripts_folder;
    const struct script_hooks *hooks;
    struct watchdog *watchdog; /* or NULL */
    struct vm_limits limits;
    uint64_t random_seed;
    /* The text of a secret or variable: 0, or ERROR_NOT_FOUND. Called while the manifest loads. */
    int (*find_secret)(void *arg, const char *name, struct buf *out);
    int (*find_variable)(void *arg, const char *name, struct buf *out);
    /*
     * For checking: told of each problem on its own, the loading goes on past those of one flow,
     * and then fails. NULL: the first problem ends it. Called from inside Lua: it must not raise.
     */
    void (*on_problem)(void *arg, const char *text);
    /*
     * A host script that returns function(manifest) -> manifest and changes what client.lua said
     * before it is read. With one, schedules are left out and the limits are those above alone: the
     * scripts are loaded for another end than serving. NULL: none.
     */
    const char *overlay;
    void *arg;
};

/*
 * Loads. All strings of the options are copied. ERROR_SCRIPT (or another code) with file, line and
 * what was expected in err; *generation_out is then NULL and nothing else has changed.
 */
int generation_load(struct generation **generation_out, const struct generation_options *options,
                    struct error *err) NEAP_MUST_USE;
void generation_free(
    struct generation *generation); /* accepts NULL; no run may be left: asserted */

const struct manifest *generation_manifest(const struct generation *generation);
struct vm *generation_vm(const struct generation *generation);
/* Over names and content of all scripts, loaded or only lying there: equal scripts are equal
 * generations. Never 0. */
uint64_t generation_hash(const struct generation *generation);
/* Hash over the files as they are on disk now; differs from generation_disk_hash when they changed.
 */
uint64_t generation_scan(const struct generation *generation);
uint64_t generation_disk_hash(const struct generation *generation);

/* Inside Lua: pushes the flow's run, a route's handler, the context of a route. [-0, +1] */
void generation_push_run(lua_State *L, const struct generation *generation, size_t flow);
void generation_push_handler(lua_State *L, const struct generation *generation, size_t route);
void generation_push_settings(lua_State *L, const struct generation *generation, size_t flow);

/* The runs that are alive on it. */
struct job_run *generation_runs(const struct generation *generation);
void generation_add_run(struct generation *generation, struct job_run *run);
void generation_remove_run(struct generation *generation, struct job_run *run);
const struct script_hooks *generation_hooks(const struct generation *generation);

#endif
