/*
 * Notices that a client's scripts changed, and has them loaded aside.
 *
 *   change (inotify, or a hash over the files every few seconds) -> settled -> load -> swapped, or
 * kept
 *
 * Editors write in odd ways (rename over, several files, half a file first): nothing is loaded
 * before the folders have been quiet for RELOAD_SETTLE_MS. Mounts in containers do not always
 * notify: hence the hash. With a virtual clock nothing is watched; reload_now works.
 */
#ifndef NEAP_CORE_SCRIPT_RELOAD_H
#define NEAP_CORE_SCRIPT_RELOAD_H

#include "core/loop/loop.h"
#include "core/script/runner.h"

#define RELOAD_SETTLE_MS 200
#define RELOAD_SCAN_MS   5000

struct reload;

struct reload_options {
    struct loop *loop;          /* borrowed */
    const char *client_folder;  /* copied */
    const char *scripts_folder; /* copied; may be NULL */
    struct runner *runner;      /* borrowed: what serves now */
    int64_t settle_ms;          /* 0 = RELOAD_SETTLE_MS */
    int64_t scan_ms;            /* 0 = RELOAD_SCAN_MS */
    /* Loads aside, changing nothing else. */
    int (*load)(void *arg, struct generation **generation_out, struct error *err);
    /* It loaded: takes `next` over, whatever it returns (runner_swap does). */
    int (*on_loaded)(void *arg, struct generation *next, struct error *err);
    /* It did not, or could not be swapped in: what served before goes on. May be NULL. */
    void (*on_failed)(void *arg, const struct error *err);
    void *arg;
};

struct reload *reload_new(const struct reload_options *options);
void reload_free(struct reload *reload); /* accepts NULL */

/* Loads now, changed or not (SIGHUP, a person). 0, or why it did not load; on_failed was told. */
int reload_now(struct reload *reload);

/* How long the newest load that serves took, from the first look at the files to the swap; 0 before
 * there was one. */
int64_t reload_took_us(const struct reload *reload);

/* Looks at the files now instead of in a few seconds; loads when they changed and then settled. */
void reload_check(struct reload *reload);

#endif
