/*
 * A host: one event loop, any number of clients, one data folder under exclusive lock.
 *
 * For programs that embed Neap; `neap run` is one of them. Not thread-safe: every call belongs to
 * the thread that opened the host, except host_stop_async.
 */
#ifndef NEAP_HOST_H
#define NEAP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct host_world;
struct error;

struct host_options {
    const char *data_folder;           /* made when absent; one folder per client inside */
    const char *const *client_folders; /* each holds a client.lua; ends with NULL */
    const char *scripts_root;          /* connectors, flows and libraries shipped with the host */
    const char *secrets_folder;        /* may be NULL: environment only */
    const char *const
        *variables; /* "NAME=VALUE" for var() in manifests; ends with NULL; may be NULL */
    const char *const *listen; /* "127.0.0.1:8080", "unix:/path"; ends with NULL; may be NULL */
    const char *tls_cert_file; /* both or neither */
    const char *tls_key_file;
    int64_t drain_ms; /* how long a stop waits for work under way; 0 = 10,000 */
    bool is_virtual;  /* simulated time and in-process transport; nothing is synced to disk */
    int64_t virtual_start_ms; /* UTC; 0 = 2026-05-04T10:00:00Z */
    struct host_world *world; /* virtual: time and network shared with other hosts, see
                                 core/host_world.h; borrowed; NULL: of its own */
    const char *world_name;   /* the name that the others' URLs give this host */
    uint64_t seed;            /* of all randomness; 0 = from the kernel (or 1 when virtual) */
};

/* All strings are copied. On failure *host_out is NULL and err says why (ERROR_EXISTS: the data
 * folder is locked by another host; ERROR_SCRIPT: a manifest is wrong, with file and line). */
int host_open(struct host **host_out, const struct host_options *options, struct error *err);
void host_close(struct host *host); /* frees all; accepts NULL */

/* Runs until host_stop and its drain. 0, or ERROR_IO when state could not be kept safe. */
int host_run(struct host *host, struct error *err);
/* One turn; false when nothing is left that could ever happen (virtual time), or the host has
 * stopped. */
bool host_turn(struct host *host, bool may_wait);

void host_stop(struct host *host);       /* begin to drain; a second call ends at once */
void host_stop_async(struct host *host); /* the same, from a signal handler */
void host_reload(struct host *host);     /* load every client's scripts anew */

unsigned host_port(const struct host *host); /* of the first TCP listener; 0 = none */

#endif
