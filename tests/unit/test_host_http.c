/* Requests from outside, through a whole host in virtual time. */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/host_private.h"
#include "core/work/work_state.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

static const char manifest[] = "return {name = 'acme', live_from = '2020-01-01T00:00:00Z',\n"
                               "    flows = {main = {use = 'flows.main'}}}\n";

static const char flow[] =
    "return {name = 'main',\n"
    "    triggers = {{kind = 'route', name = 'slow', method = 'POST', path = '/slow/{id}',\n"
    "        answer_within_ms = 3000,\n"
    "        handle = function(ctx, request)\n"
    "            while request.params.id == 'endless' do end\n"
    "            return {status = 202, body = 'not yet', events = {{source = 'slow',\n"
    "                id = request.params.id, name = 'slow', payload = request.body}}}\n"
    "        end}},\n"
    "    run = function(job)\n"
    "        if job.event.payload == 'now' then job:answer{status = 201, body = 'now'} end\n"
    "    end}\n";

struct box {
    char folder[128];
    struct host *host;
    struct work *work;
    int status;
    char body[ERROR_MESSAGE_SIZE];
};

static void write_file(const char *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        printf("Bail out! %s cannot be written\n", path);
        exit(EXIT_FAILURE);
    }
    free(path);
}

static void box_open(struct box *box)
{
    memset(box, 0, sizeof *box);
    temp_folder_make(box->folder, sizeof box->folder);
    char *client = xasprintf("%s/acme", box->folder);
    char *flows = xasprintf("%s/flows", client);
    char *data = xasprintf("%s/data", box->folder);
    CHECK_INT(mkdir(client, 0700), 0);
    CHECK_INT(mkdir(flows, 0700), 0);
    write_file(client, "client.lua", manifest);
    write_file(flows, "main.lua", flow);
    const char *const clients[] = {client, NULL};
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
    box->work = host_find_client(box->host, "acme", 4)->work;
    free(client);
    free(flows);
    free(data);
}

static void box_close(struct box *box)
{
    host_close(box->host);
    temp_folder_remove(box->folder);
}

static void on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct box *box = arg;
    box->status = answer == NULL ? -1 : answer->status;
    snprintf(box->body, sizeof box->body, "%s",
             answer == NULL ? err->message : buf_text(&answer->body));
}

/* Sends and turns until it is answered; the turn that accepts it is dropped when asked to. */
static void post(struct box *box, const char *id, const char *body, bool drops_turn)
{
    struct transport *t = box->host->transport;
    struct transport_policy policy = {.connect_timeout_ms = 1000, .max_answer_bytes = 1000000};
    struct http_request request = {0};
    request.method = xstrdup("POST");
    request.url = xasprintf("http://neap.test/acme/slow/%s", id);
    request.body = xstrdup(body);
    request.body_size = strlen(body);
    request.timeout_ms = 30000;
    box->status = 0;
    uint64_t before = work_stats(box->work)->accepted;
    t->ops->start(t, &request, &policy, on_done, box);
    for (int i = 0; i < 1000 && box->status == 0; i++) {
        loop_poll(box->host->loop, !work_has_ready(box->work));
        if (drops_turn && work_stats(box->work)->accepted > before) {
            box->work->must_drop = true; /* as a full map does */
            drops_turn = false;
        }
        if (!drops_turn) {
            (void)host_turn(box->host, false);
        }
    }
    http_request_free(&request);
}

static void a_job_answers_or_the_time_is_up(void)
{
    struct box box;
    box_open(&box);
    post(&box, "1", "now", false);
    CHECK_INT(box.status, 201);
    CHECK_STR(box.body, "now");
    int64_t start = clock_wall_ms(box.host->clock);
    post(&box, "2", "later", false);
    CHECK_INT(box.status, 202);
    CHECK(clock_wall_ms(box.host->clock) - start >= 3000);
    post(&box, "2", "later", false); /* a repeat hears the same at once */
    CHECK_STR(box.body, "not yet");
    box_close(&box);
}

/* Seen before: the event was lost with its turn, and three seconds later the shop was told 202. */
static void a_dropped_turn_refuses_what_waits_for_its_job(void)
{
    struct box box;
    box_open(&box);
    post(&box, "1", "later", true);
    CHECK_INT(box.status, 503);
    uint64_t seq;
    CHECK_INT(event_find(box.work, "slow", "1", &seq), ERROR_NOT_FOUND);
    post(&box, "1", "now", false);
    CHECK_INT(box.status, 201);
    box_close(&box);
}

/* Seen before: each of many requests took a second of the host, and nobody else had a turn. */
static void a_route_that_does_not_end_rests(void)
{
    struct box box;
    box_open(&box);
    post(&box, "endless", "", false);
    CHECK_INT(box.status, 500);
    post(&box, "1", "now", false);
    CHECK_INT(box.status, 503);
    clock_advance(box.host->clock, 10001);
    post(&box, "1", "now", false);
    CHECK_INT(box.status, 201);
    post(&box, "endless", "", false);
    CHECK_INT(box.status, 500);
    host_reload(box.host);
    post(&box, "2", "now", false);
    CHECK_INT(box.status, 201);
    box_close(&box);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_JSON);
    tap_case("a job answers, or the time is up", a_job_answers_or_the_time_is_up);
    tap_case("a dropped turn refuses what waits for its job",
             a_dropped_turn_refuses_what_waits_for_its_job);
    tap_case("a route whose handler does not end rests, until new scripts serve",
             a_route_that_does_not_end_rests);
    return tap_done();
}
