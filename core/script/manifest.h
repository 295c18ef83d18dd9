/*
 * A client's manifest as the host reads it: plain values copied out of the table that client.lua
 * returns. Everything is owned by the manifest; pointers handed out live as long as it does.
 */
#ifndef NEAP_CORE_SCRIPT_MANIFEST_H
#define NEAP_CORE_SCRIPT_MANIFEST_H

#include <lua.h>

#include "core/net/connection.h"
#include "core/work/backoff.h"
#include "core/work/retention.h"

/* The most that a route may declare. */
#define MANIFEST_BODY_BYTES_MAX ((int64_t)64 << 20)

struct manifest_auth {
    const char *name;
    const char *user;
    const char *password;
};

struct manifest_owner {
    const char *cause;
    const char *owner;
};

struct manifest_flow {
    const char *name;   /* key in the manifest's `flows` */
    const char *module; /* `use` */
    struct backoff_policy retry;
    bool has_retry;
    bool has_run;    /* the module's table has run() */
    bool wants_acts; /* a trigger of kind "act" */
};

struct manifest_route {
    size_t flow; /* index into flows */
    const char *name;
    const char *method;
    const char *path;
    const char *auth; /* name in auth, or NULL */
    size_t max_body_bytes;
    int64_t answer_within_ms; /* 0 = the handler's reply is the answer */
};

struct manifest_schedule {
    size_t flow;
    const char *name;
    int64_t every_ms; /* or 0 */
    const char *cron; /* or NULL */
    const char *zone;
    bool on_exception;
};

struct manifest {
    const char *folder; /* borrowed while reading: relative files of connections start here */
    const char *name;
    const char *zone;
    int64_t live_from_ms;
    bool is_sandbox;
    struct backoff_policy retry;
    struct retention_policy retention;
    int64_t memory_mb; /* limits of its scripts; 0 = the host's */
    int64_t run_ms;
    struct connection_options *connections;
    size_t connection_count;
    struct manifest_auth *auths;
    size_t auth_count;
    struct manifest_owner *owners;
    size_t owner_count;
    struct manifest_flow *flows;
    size_t flow_count;
    struct manifest_route *routes;
    size_t route_count;
    struct manifest_schedule *schedules;
    size_t schedule_count;
    struct manifest_schedule
        *timings; /* private: what `flows.*.schedules` says, by flow and name */
    size_t timing_count;
    char **texts; /* private: everything the pointers above point to */
    size_t text_count;
};

void manifest_free(struct manifest *m); /* frees the members and clears */

/* Keeps a copy. Secrets go through here too: they are never in a message. */
const char *manifest_keep(struct manifest *m, const char *text);

/*
 * Inside Lua: reads the table at the top into m, which its owner frees also when this raises.
 * Raises with the path of what is wrong and what was expected. Flows are listed, not loaded. [-0,
 * +0]
 */
void manifest_read(lua_State *L, struct manifest *m);

/*
 * Inside Lua: reads the flow table at the top (flow i) and its triggers; the handler of route r
 * becomes field r + 1 of the table at `handlers`. Raises. [-0, +0]
 */
void manifest_read_flow(lua_State *L, struct manifest *m, size_t flow, int handlers);

const char *manifest_owner_of(const struct manifest *m, const char *cause); /* "" when nobody */
const struct manifest_flow *manifest_find_flow(const struct manifest *m, const char *name);
const struct manifest_auth *manifest_find_auth(const struct manifest *m, const char *name);

/*
 * Secrets while a manifest loads: opaque values, "***" to everyone. Creating takes the text over
 * into a userdata; reading is for manifest_read alone. [-0, +1]
 */
void manifest_push_secret(lua_State *L, struct bytes text);
/* The text behind the secret at idx, borrowed from it; false when the value is none. Never raises.
 */
bool manifest_secret_text(lua_State *L, int idx, struct bytes *text_out);

#endif
