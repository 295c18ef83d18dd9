/* A whole installation in one process and simulated time: host, demo client, both sandboxes and the
 * driver. */
#include "core/base/log.h"
#include "core/host_private.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "core/work/timeline.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

#define TURNS_MAX 400000

struct watch {
    uint64_t hash; /* over every line of every timeline, in order */
    char books[16384];
};

static void note_text(struct watch *w, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        w->hash = (w->hash ^ (unsigned char)*c) * 1099511628211u;
    }
}

static void on_timeline(void *arg, struct host_client *client, const char *key,
                        const struct timeline_entry *entry)
{
    struct watch *w = arg;
    note_text(w, client->name);
    note_text(w, key);
    note_text(w, entry->kind);
    note_text(w, entry->text);
    if (strcmp(entry->kind, "demo.books") == 0 && entry->data_json != NULL) {
        snprintf(w->books, sizeof(w->books), "%s", entry->data_json);
    }
}

static int count_one(void *arg, const struct exception *e)
{
    (void)e;
    (*(int *)arg)++;
    return 0;
}

/* Plays `orders` orders; returns how many problems are open at the end. */
static int play(struct watch *w, const char *folder, uint64_t seed)
{
    char demo_seed[32];
    snprintf(demo_seed, sizeof(demo_seed), "DEMO_SEED=%d", (int)seed);
    static const char *const CLIENTS[] = {"examples/demo", "examples/sandbox/scayle",
                                          "examples/sandbox/khaos", "examples/demo_driver", NULL};
    const char *const variables[] = {"SCAYLE_URL=http://neap.test/scayle/api/admin/v1",
                                     "KHAOS_URL=http://neap.test/khaos",
                                     "SANDBOX_MERCHANT_URL=http://neap.test/demo",
                                     "SCAYLE_CONTROL_URL=http://neap.test/scayle/_control",
                                     "KHAOS_CONTROL_URL=http://neap.test/khaos/_control",
                                     "SANDBOX_LAG_MS=60000",
                                     "DEMO_INTERVAL_MS=5000",
                                     "DEMO_LOOK_MS=10000",
                                     demo_seed,
                                     NULL};
    struct host_options options = {
        .data_folder = folder,
        .client_folders = CLIENTS,
        .scripts_root = "scripts",
        .secrets_folder = "examples/demo/secrets",
        .variables = variables,
        .is_virtual = true,
        .seed = seed,
    };
    struct error err = {0};
    struct host *host = NULL;
    memset(w, 0, sizeof(*w));
    if (host_open(&host, &options, &err) != 0) {
        printf("# %s\n", err.message);
        return -1;
    }
    host->on_timeline = on_timeline;
    host->timeline_arg = w;
    for (int i = 0; i < TURNS_MAX && w->books[0] == '\0'; i++) {
        if (!host_turn(host, true)) {
            break;
        }
    }
    int open = 0;
    exception_each(host_find_client(host, "demo", 4)->work, NULL, count_one, &open);
    host_close(host);
    return open;
}

static void plays_to_the_penny(void)
{
    struct watch w;
    char folder[128];
    temp_folder_make(folder, sizeof(folder));
    int open = play(&w, folder, 1);
    printf("# %.300s\n", w.books);
    CHECK(strstr(w.books, "\"pennies\":0") != NULL);
    CHECK(strstr(w.books, "\"open\":[]") != NULL);
    CHECK(strstr(w.books, "\"received\":45") != NULL);
    CHECK(open > 0);
    temp_folder_remove(folder);
}

static void repeats_from_a_seed(void)
{
    struct watch first;
    struct watch second;
    struct watch other;
    char folders[3][128];
    for (size_t i = 0; i < 3; i++) {
        temp_folder_make(folders[i], sizeof(folders[i]));
    }
    play(&first, folders[0], 7);
    play(&second, folders[1], 7);
    play(&other, folders[2], 8);
    CHECK(first.books[0] != '\0');
    CHECK(first.hash == second.hash);
    CHECK(first.hash != other.hash);
    for (size_t i = 0; i < 3; i++) {
        temp_folder_remove(folders[i]);
    }
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_JSON);
    tap_case("forty-five orders go through host and both sandboxes in simulated time",
             plays_to_the_penny);
    tap_case("the same seed gives the same run, line by line", repeats_from_a_seed);
    return tap_done();
}
