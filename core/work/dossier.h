/*
 * What is known about a key beside its jobs: facts for people, links to other systems, the penny
 * trail.
 */
#ifndef NEAP_CORE_WORK_DOSSIER_H
#define NEAP_CORE_WORK_DOSSIER_H

#include "core/work/work.h"

/* Facts as a whole; merging with earlier ones is the caller's. Given to put: borrowed. From get:
 * owned. */
struct dossier_facts {
    char *title;    /* may be NULL on put */
    char *state;    /* may be NULL on put */
    char *currency; /* NULL or "": no amount */
    int64_t amount_minor;
    int64_t deadline_ms; /* the earliest; 0 = none. Holds are released in this order */
    char *json;          /* all of it, as the script room encodes it; may be NULL on put */
};
void dossier_facts_free(struct dossier_facts *facts);
int dossier_put_facts(struct work *work, const char *key,
                      const struct dossier_facts *facts) NEAP_MUST_USE;
int dossier_get_facts(struct work *work, const char *key,
                      struct dossier_facts *facts_out) NEAP_MUST_USE; /* ERROR_NOT_FOUND */

/* key <-> (system, id). A new id for the same system replaces the old one; the newest key wins an
 * id. */
int dossier_put_link(struct work *work, const char *key, const char *system,
                     const char *id) NEAP_MUST_USE;
/* Owned (free()); NULL when there is none. */
char *dossier_get_link(struct work *work, const char *key, const char *system);
char *dossier_find_by_link(struct work *work, const char *system, const char *id); /* key */
typedef int (*dossier_link_fn)(void *arg, const char *system, const char *id);
int dossier_each_link(struct work *work, const char *key, dossier_link_fn fn, void *arg);

/* The penny trail, JSON; replaces the earlier one. */
int dossier_put_trail(struct work *work, const char *key, struct bytes json) NEAP_MUST_USE;
/* Borrowed until the next write. ERROR_NOT_FOUND. */
int dossier_get_trail(struct work *work, const char *key, struct bytes *json_out) NEAP_MUST_USE;

/* Keys whose facts exist and begin with prefix ("" = all), in stored order, until fn returns
 * non-zero. */
typedef int (*dossier_each_fn)(void *arg, const char *key, const struct dossier_facts *facts);
int dossier_each(struct work *work, const char *prefix, dossier_each_fn fn, void *arg);

#endif
