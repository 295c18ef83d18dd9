/* The host's inside: shared by host.c (life), host_client.c (one client) and host_http.c (routes).
 */
#ifndef NEAP_CORE_HOST_PRIVATE_H
#define NEAP_CORE_HOST_PRIVATE_H

#include "core/base/lock_file.h"
#include "core/base/secret.h"
#include "core/loop/loop.h"
#include "core/net/connection.h"
#include "core/net/http_server.h"
#include "core/ops/control.h"
#include "core/script/reload.h"
#include "core/script/runner.h"
#include "core/script/watchdog.h"
#include "core/work/turn.h"
#include "neap/host.h"

struct event;

/* An outside request whose answer a job may give (answer_within_ms) until the timer runs out. */
struct host_pending;

struct host_client {
    struct host *host;
    char *folder;
    char *name;
    struct store *store;
    struct work *work;
    struct runner *runner;
    struct reload *reload;
    struct connection **connections; /* of the serving generation, in manifest order */
    size_t connection_count;
    struct connection **retired; /* replaced; runs of the old scripts may know them */
    size_t retired_count;
    char *load_error; /* why the newest scripts do not serve; NULL when they do */
    int64_t loaded_ms;
    uint64_t reloads; /* new scripts that served, and those that did not */
    uint64_t reloads_failed;
    uint64_t answers[HTTP_STATUS_MAX]; /* sent, by status */
    int64_t *rests_until_ms;           /* by route of the serving generation, see host_http.c */
    struct host_pending *pending;
};

struct host {
    char *data_folder;
    char *scripts_root;
    char **variables;
    size_t variable_count;
    struct lock_file *lock;
    struct host_world *world; /* borrowed; the loop is its, and the server has a name in it */
    char *world_name;
    struct clock *clock;
    struct loop *loop;
    struct random_source random;
    struct secrets *secrets;
    struct crash_file *crash_file;
    struct watchdog *watchdog;
    struct http_server *server;
    struct transport *transport;
    struct turn *turn;
    struct control *control;
    struct loop_timer *drain_timer;
    struct event *signals[3]; /* SIGTERM, SIGINT, SIGHUP; none in virtual time */
    struct host_client **clients;
    size_t client_count;
    struct ops_absent *absent; /* its texts are owned; see host_absent.c */
    size_t absent_count;
    struct loop_timer *absent_timer;
    /* Somebody watches the timelines (demonstrations); or NULL. */
    void (*on_timeline)(void *arg, struct host_client *client, const char *key,
                        const struct timeline_entry *entry);
    void *timeline_arg;
    int64_t drain_ms;
    int64_t started_ms;
    bool is_virtual;
    bool is_draining;
    bool has_stopped;
    struct error fatal;
};

/* host_client.c. ERROR_SCRIPT: the scripts do not load, and nothing else is wrong. */
int host_client_open(struct host *host, const char *folder, struct host_client **client_out,
                     struct error *err) NEAP_MUST_USE;
void host_client_let_go(struct host_client *client); /* see work_let_go; nothing is sent any more */
void host_client_close(struct host_client *client);  /* accepts NULL */
struct host_client *host_find_client(struct host *host, const char *name, size_t name_size);
/* NULL when the manifest declares no such connection. */
struct connection *host_client_connection(struct host_client *client, const char *name);

/* host_absent.c */
void host_add_client(struct host *host, struct host_client *client); /* takes it over */
void host_absent_add(struct host *host, const char *folder, const struct error *err);
void host_absent_look(struct host *host, bool is_urgent); /* urgent: whatever the files say */
void host_absent_close(struct host *host);

/* host_http.c */
void host_on_request(void *arg, struct http_exchange *x);
int64_t host_body_limit(void *arg, const struct http_head *head);
/* Drops what waits for answers of jobs (503), at close. */
void host_pending_close(struct host_client *client);
void host_on_job_answer(struct host_client *client, uint64_t event_seq,
                        const struct event_answer *answer);

/* Ends a host of a world as kill -9 would: the uncommitted turn is lost, its connections break. */
void host_kill(struct host *host);

/* A view for health, metrics and people; free(view.clients). */
struct ops_view host_view(struct host *host);

#endif
