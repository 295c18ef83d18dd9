/*
 * What people ask of a host and do to it: orders, exceptions, status. The same code answers in a
 * running host (control.h) and, for reading, over the data of a stopped one.
 */
#ifndef NEAP_CORE_OPS_ADMIN_H
#define NEAP_CORE_OPS_ADMIN_H

#include "core/net/connection.h"
#include "core/work/work.h"

struct ops_client {
    const char *name;
    struct work *work;
    uint64_t generation;
    int64_t loaded_ms;      /* when the generation was loaded; 0 for a stopped host */
    int64_t reload_us;      /* how long the newest reload took; 0 before the first */
    const char *load_error; /* why the newest scripts do not serve; NULL or "" when they do */
    uint64_t reloads;       /* since the host started; zeros for a stopped host */
    uint64_t reloads_failed;
    unsigned generations; /* alive: the one that serves, and one whose runs have not ended */
    size_t script_bytes;  /* memory of the Lua states of these */
    /* Loads the scripts now: NULL, or why they do not serve (borrowed). NULL for a stopped host. */
    const char *(*reload)(void *arg);
    const uint64_t *answers; /* HTTP answers given, by status; NULL for a stopped host */
    size_t answers_size;
    bool (*has_flow)(void *arg, const char *name); /* NULL for a stopped host */
    const char *(*flow_at)(void *arg, size_t i);   /* NULL past the end; NULL for a stopped host */
    void *arg;
    struct connection *const *connections;
    size_t connection_count;
};

/* A client that is not served: its scripts did not load when the host started. */
struct ops_absent {
    const char *folder;
    const char *problem;
    uint64_t seen_hash;  /* of its files at the last look */
    uint64_t tried_hash; /* and when they were last loaded */
};

/* Borrowed during a call. */
struct ops_view {
    const struct ops_client *clients;
    size_t count;
    const struct ops_absent *absent;
    size_t absent_count;
    const uint64_t
        *refused; /* requests that reached no client, by status; NULL for a stopped host */
    size_t refused_size;
    uint64_t accept_failures; /* for want of file descriptors */
    bool is_live;             /* a running host: acts are possible */
    bool is_draining;
    int64_t started_ms; /* wall clock */
    int64_t now_ms;
};

/* What a person found out about an effect whose outcome nobody knew. */
/* Exit codes of the verbs. */
enum { ADMIN_OK = 0, ADMIN_WRONG = 1, ADMIN_USAGE = 2, ADMIN_NOT_FOUND = 3, ADMIN_UNREACHABLE = 4 };

enum admin_outcome { ADMIN_OUTCOME_NONE, ADMIN_OUTCOME_HAPPENED, ADMIN_OUTCOME_ABSENT };

struct admin_request {
    size_t count;
    const char *const *words; /* "exceptions", "release", CAUSE, SUBJECT */
    const char *client;       /* NULL: all, or the only one */
    const char *who;
    const char *reason;         /* NULL when none was given */
    enum admin_outcome outcome; /* for releasing outcome_unknown */
    bool wants_json;
    bool is_dry_run;
};

/* Appends the answer to out and returns the exit code of the verb (cli.h). */
int admin_run(const struct ops_view *view, const struct admin_request *request, struct buf *out);

/* "in 31 h", "4 min ago". */
void admin_format_distance(int64_t delta_ms, char *out, size_t size);
/* "164.92" with two digits, "500" with none. */
void admin_format_minor(int64_t minor, const char *currency, char *out, size_t size);

#endif
