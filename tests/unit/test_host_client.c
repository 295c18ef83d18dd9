/* What a reload changes of a client, through a whole host in virtual time. */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/host_private.h"
#include "core/work/script_table.h"
#include "core/work/work_state.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

#define TURNS_MAX 20000

static const char manifest[] =
    "return {name = 'acme', live_from = '2020-01-01T00:00:00Z', flows = {main = {use = 'main'}},\n"
    "    connections = {a = {base_url = 'http://neap.test/acme'},\n"
    "        b = {base_url = 'http://neap.test/acme', timeout_ms = %d}}}\n";

/* Two calls, one after the other; the far side takes three seconds for each. */
static const char flow[] =
    "local http, store = require('neap.http'), require('neap.store')\n"
    "return {name = 'main',\n"
    "    triggers = {{kind = 'route', name = 'slow', method = 'POST', path = '/slow/{id}',\n"
    "        answer_within_ms = 3000,\n"
    "        handle = function(ctx, request)\n"
    "            return {status = 202, body = 'slow', events = {{source = 'slow',\n"
    "                id = request.params.id, name = 'slow'}}}\n"
    "        end}, {kind = 'schedule', name = 'go', every_ms = 86400000}},\n"
    "    run = function(job)\n"
    "        if job.event.name == 'slow' then return end\n"
    "        local answers = http.all({{connection = 'a', method = 'POST', path = '/slow/1'},\n"
    "            {connection = 'b', method = 'POST', path = '/slow/2'}}, {limit = 1})\n"
    "        store.put('out', 'answers', {answers[1].answer.body, answers[2].answer.body})\n"
    "    end}\n";

struct box {
    char folder[128];
    char *client_folder;
    struct host *host;
    struct host_client *client;
};

static void write_file(const char *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    free(path);
}

static void declare(struct box *box, int timeout_ms)
{
    char *text = xasprintf(manifest, timeout_ms);
    write_file(box->client_folder, "client.lua", text);
    free(text);
}

static void box_open(struct box *box)
{
    memset(box, 0, sizeof *box);
    temp_folder_make(box->folder, sizeof box->folder);
    box->client_folder = xasprintf("%s/acme", box->folder);
    char *data = xasprintf("%s/data", box->folder);
    CHECK_INT(mkdir(box->client_folder, 0700), 0);
    declare(box, 10000);
    write_file(box->client_folder, "main.lua", flow);
    const char *const clients[] = {box->client_folder, NULL};
    struct host_options options = {.data_folder = data,
                                   .client_folders = clients,
                                   .scripts_root = "scripts",
                                   .is_virtual = true,
                                   .seed = 1};
    struct error err;
    error_clear(&err);
    if (host_open(&box->host, &options, &err) != 0) {
        printf("Bail out! %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    box->client = host_find_client(box->host, "acme", 4);
    free(data);
}

static void box_close(struct box *box)
{
    host_close(box->host);
    free(box->client_folder);
    temp_folder_remove(box->folder);
}

static uint64_t sent_by(struct box *box, const char *name)
{
    struct connection_stats stats;
    connection_stats(host_client_connection(box->client, name), &stats);
    return stats.sent;
}

/* Seen before: b was freed at once, because nothing was queued on it, and the second call of the
 * run was sent through freed memory. */
static void a_replaced_connection_outlives_the_runs_that_know_it(void)
{
    struct box box;
    box_open(&box);
    for (int i = 0; i < TURNS_MAX && sent_by(&box, "a") == 0; i++) {
        (void)host_turn(box.host, true);
    }
    CHECK_INT(sent_by(&box, "a"), 1);
    declare(&box, 20000);
    CHECK_INT(reload_now(box.client->reload), 0);
    CHECK_INT(box.client->retired_count, 1);
    struct bytes json = {0};
    int rc = ERROR_NOT_FOUND;
    for (int i = 0; i < TURNS_MAX && rc != 0; i++) {
        (void)host_turn(box.host, true);
        rc = script_table_get(box.client->work, bytes_str("out"), bytes_str("answers"), &json);
    }
    CHECK_INT(rc, 0);
    CHECK(json.size == 15 && memcmp(json.data, "[\"slow\",\"slow\"]", 15) == 0);
    declare(&box, 10000);
    CHECK_INT(reload_now(box.client->reload), 0);
    CHECK_INT(box.client->retired_count, 1); /* the first is gone, the second may be known */
    box_close(&box);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_JSON);
    tap_case("a replaced connection outlives the runs that know it",
             a_replaced_connection_outlives_the_runs_that_know_it);
    return tap_done();
}
