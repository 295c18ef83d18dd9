/* Two hosts in one simulated world: time, names, and one of them dying within a turn. */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/host_world.h"
#include "core/work/script_table.h"
#include "core/work/work_state.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

#define START_MS  INT64_C(1777888800000)
#define TURNS_MAX 20000

/* Asks the other side once a second, and counts what it was asked and what it heard. */
static const char client[] =
    "return {name = '%s', live_from = '2020-01-01T00:00:00Z', flows = {main = {use = 'main'}},\n"
    "    connections = {other = {base_url = 'http://%s.test/%s', breaker_failures = 1000000}}}\n";
static const char flow[] =
    "local http, store = require('neap.http'), require('neap.store')\n"
    "return {name = 'main', version = 1,\n"
    "    triggers = {{kind = 'schedule', name = 'go', every_ms = 1000},\n"
    "        {kind = 'route', name = 'ask', method = 'POST', path = '/ask',\n"
    "        handle = function()\n"
    "            return {status = 200, body = tostring(store.increment('out', 'asked'))}\n"
    "        end}},\n"
    "    run = function(job)\n"
    "        local answer = http.request({connection = 'other', method = 'POST', path = '/ask'})\n"
    "        local what = answer and answer.status == 200 and 'heard' or 'failed'\n"
    "        store.increment('out', what)\n"
    "    end}\n";

struct box {
    struct host_world world;
    char folder[128];
    struct host *hosts[2];
};

static const char *const NAMES[] = {"left", "right"};

static void write_file(const char *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    free(path);
}

static void open_one(struct box *box, size_t i)
{
    const char *name = NAMES[i];
    char *folder = xasprintf("%s/%s", box->folder, name);
    char *data = xasprintf("%s/%s-data", box->folder, name);
    char *address = xasprintf("%s.test", name);
    char *manifest = xasprintf(client, name, NAMES[1 - i], NAMES[1 - i]);
    mkdir(folder, 0777);
    write_file(folder, "client.lua", manifest);
    write_file(folder, "main.lua", flow);
    struct host_options options = {
        .data_folder = data,
        .client_folders = (const char *const[]){folder, NULL},
        .scripts_root = "scripts",
        .is_virtual = true,
        .world = &box->world,
        .world_name = address,
        .seed = i + 1,
    };
    struct error err = {0};
    CHECK(host_open(&box->hosts[i], &options, &err) == 0);
    free(manifest);
    free(address);
    free(data);
    free(folder);
}

static void box_open(struct box *box)
{
    memset(box, 0, sizeof(*box));
    temp_folder_make(box->folder, sizeof(box->folder));
    host_world_open(&box->world, START_MS);
    open_one(box, 0);
    open_one(box, 1);
}

static void box_close(struct box *box)
{
    host_close(box->hosts[0]);
    host_close(box->hosts[1]);
    host_world_close(&box->world);
    temp_folder_remove(box->folder);
}

static void play_until(struct box *box, int64_t at_ms)
{
    bool is_over = false;
    for (int i = 0; i < TURNS_MAX && !is_over && clock_wall_ms(box->world.clock) < at_ms; i++) {
        CHECK(!host_world_turn(box->hosts, 2, NULL, &is_over));
    }
}

/* The number that the client of a host counted under a name. */
static int counted(const struct host *host, const char *name)
{
    struct work *work = host->clients[0]->work;
    struct bytes value;
    if (script_table_get(work, bytes_str("out"), bytes_str(name), &value) != 0) {
        return 0;
    }
    char text[32];
    snprintf(text, sizeof(text), "%.*s", (int)value.size, (const char *)value.data);
    return (int)strtol(text, NULL, 10);
}

static void share_time(void)
{
    struct box box;
    box_open(&box);
    play_until(&box, START_MS + 10500);
    for (size_t i = 0; i < 2; i++) {
        CHECK(counted(box.hosts[i], "heard") >= 9);
        CHECK_INT(counted(box.hosts[i], "failed"), 0);
        CHECK(counted(box.hosts[i], "asked") >= 9);
    }
    box_close(&box);
}

static void wrong_clock(void)
{
    struct box box;
    box_open(&box);
    clock_jump_wall(box.hosts[0]->clock, -3600000);
    CHECK(clock_wall_ms(box.hosts[0]->clock) == START_MS - 3600000);
    CHECK(clock_wall_ms(box.hosts[1]->clock) == START_MS);
    int64_t before_ms = clock_mono_ms(box.hosts[0]->clock);
    play_until(&box, START_MS + 2000);
    CHECK(clock_mono_ms(box.hosts[0]->clock) - before_ms >= 2000);
    box_close(&box);
}

/* What was not committed is gone, the other one sees its connection break, both go on. */
static void dies_within_a_turn(void)
{
    struct box box;
    box_open(&box);
    play_until(&box, START_MS + 5500);
    int asked = counted(box.hosts[0], "asked");
    bool is_over = false;
    int turns = 0;
    while (turns < TURNS_MAX && !host_world_turn(box.hosts, 2, box.hosts[0], &is_over)) {
        turns++;
    }
    CHECK(turns < TURNS_MAX);
    box.hosts[0] = NULL;
    play_until(&box, START_MS + 12000);
    CHECK(counted(box.hosts[1], "failed") >= 5);
    open_one(&box, 0);
    CHECK(counted(box.hosts[0], "asked") >= asked);
    int heard = counted(box.hosts[1], "heard");
    play_until(&box, START_MS + 20000);
    CHECK(counted(box.hosts[1], "heard") >= heard + 6);
    CHECK(counted(box.hosts[0], "asked") >= asked + 6);
    /* Each time the other one heard an answer, the count behind it was kept. */
    CHECK(counted(box.hosts[0], "asked") >= counted(box.hosts[1], "heard"));
    box_close(&box);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_JSON);
    tap_case("two hosts talk by name and share one clock", share_time);
    tap_case("a host's wall clock can be wrong, its timers are not", wrong_clock);
    tap_case("a host that dies within a turn loses that turn alone", dies_within_a_turn);
    return tap_done();
}
