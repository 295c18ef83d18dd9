/*
 * Clients whose scripts did not load when the host started.
 *
 * While a host runs, broken scripts harm nobody: the ones before go on. After a restart there are
 * none before, and one client's mistake must not keep the others' orders waiting. So they serve,
 * and the broken folder is looked at again until it loads. Requests to a name that nobody has are
 * answered 503 meanwhile: it may be this one, and 503 is what senders repeat.
 */
#define _GNU_SOURCE
#include "core/host_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/vm_files.h"

#define HOST_ABSENT_LOOK_MS 1000 /* two looks alike: the files have settled */

static uint64_t scan(const struct host *host, const char *folder)
{
    return vm_files_scan(folder) * 31 + vm_files_scan(host->scripts_root);
}

static void set_problem(struct ops_absent *absent, const struct error *err)
{
    free((char *)absent->problem);
    absent->problem = xstrdup(err->message);
}

static void forget(struct host *host, size_t i)
{
    free((char *)host->absent[i].folder);
    free((char *)host->absent[i].problem);
    host->absent_count--;
    memmove(&host->absent[i], &host->absent[i + 1],
            (host->absent_count - i) * sizeof(host->absent[0]));
}

void host_add_client(struct host *host, struct host_client *client)
{
    host->clients =
        xrealloc(host->clients, (host->client_count + 1) * sizeof(struct host_client *));
    host->clients[host->client_count++] = client;
}

/* True when it serves now. */
static bool try_again(struct host *host, struct ops_absent *absent)
{
    struct host_client *client = NULL;
    struct error err = {0};
    absent->tried_hash = absent->seen_hash;
    if (host_client_open(host, absent->folder, &client, &err) != 0) {
        set_problem(absent, &err);
        log_msg(LOG_ERROR, "host", "still not served: %s", err.message);
        return false;
    }
    host_add_client(host, client);
    log_msg(LOG_INFO, client->name, "the scripts load now: it is served");
    return true;
}

void host_absent_look(struct host *host, bool is_urgent)
{
    for (size_t i = 0; i < host->absent_count && !host->is_draining;) {
        struct ops_absent *absent = &host->absent[i];
        uint64_t hash = scan(host, absent->folder);
        bool has_settled = hash == absent->seen_hash && hash != absent->tried_hash;
        absent->seen_hash = hash;
        if ((has_settled || is_urgent) && try_again(host, absent)) {
            forget(host, i);
        } else {
            i++;
        }
    }
}

static void on_look(void *arg)
{
    struct host *host = arg;
    host_absent_look(host, false);
    if (host->absent_count > 0) {
        loop_timer_start(host->absent_timer, HOST_ABSENT_LOOK_MS);
    }
}

void host_absent_add(struct host *host, const char *folder, const struct error *err)
{
    host->absent = xrealloc(host->absent, (host->absent_count + 1) * sizeof(host->absent[0]));
    struct ops_absent *absent = &host->absent[host->absent_count++];
    memset(absent, 0, sizeof(*absent));
    absent->folder = xstrdup(folder);
    absent->seen_hash = absent->tried_hash = scan(host, folder);
    set_problem(absent, err);
    log_msg(LOG_ERROR, "host", "not served until its scripts load: %s", err->message);
    if (host->absent_timer == NULL && !host->is_virtual) {
        host->absent_timer = loop_timer_new(host->loop, on_look, host);
        loop_timer_start(host->absent_timer, HOST_ABSENT_LOOK_MS);
    }
}

void host_absent_close(struct host *host)
{
    loop_timer_free(host->absent_timer);
    while (host->absent_count > 0) {
        forget(host, host->absent_count - 1);
    }
    free(host->absent);
}
