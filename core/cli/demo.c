/*
 * neap demo: the demo client and both sandboxes in one host, played by examples/demo_driver.
 *
 * Lines come from the timelines as they are written. The driver compares the books of both sides;
 * whether the held orders wait on the right causes is looked up here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/demo_verbs.h"
#include "core/cli/files.h"
#include "core/cli/serve.h"
#include "core/host_private.h"
#include "core/work/dossier.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "core/work/timeline.h"

#define DEMO_FIRST_PORT 8080
#define DEMO_PORTS      100
#define DEMO_LIMIT_MS   120000 /* the play takes seconds; this only ends a demo that would hang */
#define DEMO_VARIABLES  9
#define SPOILT_VARIANTS 2 /* that examples/demo_driver puts into the shop */

struct demo {
    struct host *host;
    bool has_colour;
    char *books; /* JSON of the driver's comparison */
    char folder[64];
    char *examples;
    char *variables[DEMO_VARIABLES + 1]; /* NAME=VALUE for the manifests */
};

/* ---- Lines as they happen
 * ----------------------------------------------------------------------------- */

static const char *colour_of(const struct demo *d, const char *kind)
{
    static const struct {
        const char *kind;
        const char *colour;
    } COLOURS[] = {{"held", "\x1b[33m"},
                   {"failed", "\x1b[31m"},
                   {"released", "\x1b[36m"},
                   {"post", "\x1b[32m"},
                   {"acknowledge", "\x1b[32m"}};
    for (size_t i = 0; d->has_colour && i < sizeof(COLOURS) / sizeof(COLOURS[0]); i++) {
        if (strcmp(COLOURS[i].kind, kind) == 0) {
            return COLOURS[i].colour;
        }
    }
    return "";
}

static void print_line(const struct demo *d, const char *key, const struct timeline_entry *entry)
{
    static const char *const TOLD[] = {"accepted", "post",         "acknowledge", "held",
                                       "despatch", "cancellation", "released",    "retry",
                                       "failed",   "dead"};
    size_t k = 0;
    while (k < sizeof(TOLD) / sizeof(TOLD[0]) && strcmp(TOLD[k], entry->kind) != 0) {
        k++;
    }
    if (k == sizeof(TOLD) / sizeof(TOLD[0]) || strstr(entry->text, ".notice") != NULL) {
        return;
    }
    if (strncmp(key, "order:", 6) != 0) {
        return;
    }
    char at[32];
    json_format_instant(clock_wall_ms(d->host->clock), at);
    const char *colour = colour_of(d, entry->kind);
    const char *number = strrchr(key, ':') + 1;
    printf("%.8s  order %-8s %s%-11s%s %s\n", at + 11, number, colour, entry->kind,
           colour[0] == '\0' ? "" : "\x1b[0m", entry->text);
}

static void on_timeline(void *arg, struct host_client *client, const char *key,
                        const struct timeline_entry *entry)
{
    struct demo *d = arg;
    if (strcmp(client->name, "demo") == 0) {
        print_line(d, key, entry);
    } else if (strcmp(entry->kind, "demo") == 0) {
        printf("%s-- %s%s\n", d->has_colour ? "\x1b[1m" : "", entry->text,
               d->has_colour ? "\x1b[0m" : "");
    } else if (strcmp(entry->kind, "demo.books") == 0 && entry->data_json != NULL) {
        free(d->books);
        d->books = xstrdup(entry->data_json);
    }
    fflush(stdout);
}

/* ---- Summary
 * -------------------------------------------------------------------------------------------- */

static int64_t figure(const struct demo *d, const char *name)
{
    struct bytes value;
    int64_t number = -1;
    if (d->books == NULL || !json_find(bytes_str(d->books), name, &value) ||
        !json_integer(value, &number)) {
        return -1;
    }
    return number;
}

struct held_check {
    const char *cause;
    struct work *work;
    bool is_right;
};

static int check_cause(void *arg, const struct exception *e)
{
    struct held_check *check = arg;
    check->is_right = check->is_right || strcmp(e->cause, check->cause) == 0;
    return 0;
}

static int check_job(void *arg, const struct job_info *info)
{
    struct held_check *check = arg;
    if (info->state == JOB_HELD) {
        exception_each_of_job(check->work, info->id, check_cause, check);
    }
    return 0;
}

/* True when the order waits on the cause it should wait on. */
static bool is_held_right(struct work *work, struct bytes element, bool wants_words)
{
    struct bytes order;
    struct bytes cause;
    struct buf number;
    struct buf words;
    buf_init(&number, 256);
    buf_init(&words, 256);
    bool is_right = false;
    if (json_find(element, "order", &order) && json_find(element, "cause", &cause) &&
        json_text(order, &number) && json_text(cause, &words)) {
        char *key = xasprintf("order:fo:%s", buf_text(&number));
        struct held_check check = {buf_text(&words), work, false};
        job_each_of_key(work, key, check_job, &check);
        is_right = check.is_right;
        if (!is_right && wants_words) {
            printf("  order %s is not held on %s\n", buf_text(&number), buf_text(&words));
        }
        free(key);
    }
    buf_free(&number);
    buf_free(&words);
    return is_right;
}

static bool are_held_right(const struct demo *d, bool wants_words)
{
    struct host_client *client = host_find_client(d->host, "demo", 4);
    struct bytes list;
    struct bytes element;
    bool is_right =
        client != NULL && d->books != NULL && json_find(bytes_str(d->books), "held", &list);
    while (client != NULL && d->books != NULL && json_next(&list, &element)) {
        is_right = is_held_right(client->work, element, wants_words) && is_right;
    }
    return is_right;
}

static size_t print_open(const struct demo *d)
{
    struct bytes list;
    struct bytes element;
    size_t count = 0;
    if (d->books == NULL || !json_find(bytes_str(d->books), "open", &list)) {
        return 1;
    }
    while (json_next(&list, &element)) {
        struct buf text;
        buf_init(&text, 1024);
        json_text(element, &text);
        printf("  order %s\n", buf_text(&text));
        buf_free(&text);
        count++;
    }
    return count;
}

static int print_exception(void *arg, const struct exception *e)
{
    (void)arg;
    printf("  %3" PRIu64 " on %s%s%s: %s\n", e->waiting, e->cause, e->subject[0] == '\0' ? "" : " ",
           e->subject, e->message);
    return 0;
}

static int count_unsold(void *arg, const struct exception *e)
{
    *(int *)arg += strcmp(e->cause, "unknown_stock_code") == 0 && e->waiting == 0 ? 1 : 0;
    return 0;
}

struct foreseen_check {
    const struct demo *demo;
    bool is_right;
};

static int check_foreseen(void *arg, const struct exception *e)
{
    struct foreseen_check *check = arg;
    struct bytes list;
    struct bytes element;
    struct bytes cause;
    bool is_foreseen = e->waiting == 0;
    bool is_there = json_find(bytes_str(check->demo->books), "held", &list);
    while (!is_foreseen && is_there && json_next(&list, &element)) {
        struct buf words;
        buf_init(&words, 256);
        is_foreseen = json_find(element, "cause", &cause) && json_text(cause, &words) &&
                      strcmp(buf_text(&words), e->cause) == 0;
        buf_free(&words);
    }
    if (!is_foreseen) {
        printf("  nobody foresaw %s %s\n", e->cause, e->subject);
    }
    check->is_right = check->is_right && is_foreseen;
    return 0;
}

/* True when nothing waits on a cause that the play did not bring about. */
static bool is_all_foreseen(const struct demo *d)
{
    struct foreseen_check check = {d, d->books != NULL};
    struct host_client *client = host_find_client(d->host, "demo", 4);
    if (client != NULL && d->books != NULL) {
        exception_each(client->work, NULL, check_foreseen, &check);
    }
    return check.is_right;
}

/* Variants that no order could be posted with, found before anybody ordered them. */
static int unsold_variants(const struct demo *d)
{
    int count = 0;
    struct host_client *client = host_find_client(d->host, "demo", 4);
    if (client != NULL) {
        exception_each(client->work, NULL, count_unsold, &count);
    }
    return count;
}

static void print_next(const struct demo *d)
{
    printf(
        "\nto try next (another terminal):\n"
        "  build/neap exceptions --data %s\n"
        "  build/neap order 300001 --data %s\n"
        "  build/neap status --data %s\n"
        "  curl http://127.0.0.1:%u/metrics\n"
        "  edit examples/demo/mappings/*.lua and save: held orders run again on the new scripts\n",
        d->folder, d->folder, d->folder, host_port(d->host));
}

/* True when every order is where it should be. */
static bool print_summary(const struct demo *d)
{
    printf("\n%" PRId64 " orders received, %" PRId64 " delegations answered (slowest %" PRId64
           " ms)\n",
           figure(d, "received"), figure(d, "answered"), figure(d, "slowest_answer_ms"));
    printf("%" PRId64 " posted to Khaos and known to SCAYLE by their Khaos code (slowest %" PRId64
           " ms from the basket)\n%" PRId64 " pennies of difference\n",
           figure(d, "posted"), figure(d, "slowest_posting_ms"), figure(d, "pennies"));
    printf("%" PRId64 " parcels sent by Khaos are in SCAYLE, %" PRId64
           " order cancelled on both sides; 12 in Khaos - 3 buffer = %" PRId64 " in the shop\n",
           figure(d, "parcels"), figure(d, "cancelled"), figure(d, "stock"));
    printf("%" PRId64 " alerts told the owners of problems, one for each kind\n",
           figure(d, "alerts"));
    int unsold = unsold_variants(d);
    printf("%d variants without a stock code in Khaos, found before anybody ordered one\n", unsold);
    struct host_client *client = host_find_client(d->host, "demo", 4);
    printf("held, with their causes:\n");
    exception_each(client->work, NULL, print_exception, NULL);
    size_t open = print_open(d);
    bool is_held_well = are_held_right(d, true);
    bool is_foreseen = is_all_foreseen(d);
    struct demo_place place = {d->host, d->folder, d->examples, (const char *const *)d->variables};
    bool verbs_agree = demo_verbs_print(&place);
    bool is_right = open == 0 && is_held_well && is_foreseen && verbs_agree &&
                    figure(d, "pennies") == 0 && unsold == SPOILT_VARIANTS;
    printf("\n%s\n", is_right ? "every order is where it should be"
                              : "NOT every order is where it should be");
    return is_right;
}

/* ---- The host
 * --------------------------------------------------------------------------------------------- */

static bool is_port_free(unsigned port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_free;
}

static unsigned find_port(void)
{
    for (unsigned port = DEMO_FIRST_PORT; port < DEMO_FIRST_PORT + DEMO_PORTS; port++) {
        if (is_port_free(port)) {
            return port;
        }
    }
    return 0;
}

static int open_demo(struct demo *d, const struct cli_args *args, unsigned port, struct error *err)
{
    d->examples = cli_examples_root(args);
    char *scripts = cli_scripts_root(args);
    if (d->examples == NULL || scripts == NULL) {
        free(scripts);
        return error_set(err, ERROR_NOT_FOUND,
                         "the scripts and examples of Neap are nowhere: set "
                         "NEAP_SCRIPTS and NEAP_EXAMPLES");
    }
    static const char *const CLIENTS[] = {"demo", "sandbox/scayle", "sandbox/khaos", "demo_driver"};
    static const struct {
        const char *name;
        const char *path;
    } URLS[] = {
        {"SCAYLE_URL", "/scayle/api/admin/v1"},   {"KHAOS_URL", "/khaos"},
        {"SANDBOX_MERCHANT_URL", "/demo"},        {"SCAYLE_CONTROL_URL", "/scayle/_control"},
        {"KHAOS_CONTROL_URL", "/khaos/_control"}, {"ALERTS_URL", "/driver"}};
    const size_t url_count = sizeof(URLS) / sizeof(URLS[0]);
    char *folders[5] = {NULL};
    for (size_t i = 0; i < 4; i++) {
        folders[i] = xasprintf("%s/%s", d->examples, CLIENTS[i]);
    }
    for (size_t i = 0; i < url_count; i++) {
        d->variables[i] = xasprintf("%s=http://127.0.0.1:%u%s", URLS[i].name, port, URLS[i].path);
    }
    d->variables[url_count] = xstrdup("SANDBOX_LAG_MS=200");
    d->variables[url_count + 1] = xstrdup("SANDBOX_RETRY_FACTOR=0.001");
    char *listen = xasprintf("127.0.0.1:%u", port);
    char *secrets = xasprintf("%s/demo/secrets", d->examples);
    struct host_options options = {
        .data_folder = d->folder,
        .client_folders = (const char *const *)folders,
        .scripts_root = scripts,
        .secrets_folder = secrets,
        .variables = (const char *const *)d->variables,
        .listen = (const char *const[]){listen, NULL},
        .drain_ms = 2000,
    };
    int rc = host_open(&d->host, &options, err);
    for (size_t i = 0; i < 4; i++) {
        free(folders[i]);
    }
    free(listen);
    free(secrets);
    free(scripts);
    return rc;
}

/* Plays until the books are compared and the held orders are held. */
static void play(struct demo *d)
{
    int64_t end = clock_mono_ms(d->host->clock) + DEMO_LIMIT_MS;
    while (host_turn(d->host, true) && clock_mono_ms(d->host->clock) < end) {
        if (d->books != NULL && are_held_right(d, false) && unsold_variants(d) == SPOILT_VARIANTS) {
            return;
        }
    }
}

static void close_demo(struct demo *d)
{
    host_close(d->host);
    files_remove_folder(d->folder);
    for (size_t i = 0; i < DEMO_VARIABLES; i++) {
        free(d->variables[i]);
    }
    free(d->examples);
    free(d->books);
    log_shutdown();
}

static int run_demo(const struct cli_args *args)
{
    serve_configure_log(args, LOG_ERROR);
    struct demo d = {.has_colour = isatty(STDOUT_FILENO) != 0, .folder = "/tmp/neap-demo-XXXXXX"};
    unsigned port = find_port();
    struct error err = {0};
    if (port == 0 || mkdtemp(d.folder) == NULL) {
        return cli_fail(args, CLI_UNREACHABLE, "no free port from %d on, or no room in /tmp",
                        DEMO_FIRST_PORT);
    }
    if (open_demo(&d, args, port, &err) != 0) {
        close_demo(&d);
        return cli_fail(args, CLI_WRONG, "%s", err.message);
    }
    d.host->on_timeline = on_timeline;
    d.host->timeline_arg = &d;
    printf(
        "Neap on http://127.0.0.1:%u with the demo client, SCAYLE and Khaos (both simulated)\n\n",
        host_port(d.host));
    play(&d);
    bool is_right = print_summary(&d);
    if (!cli_has(args, "--once")) {
        print_next(&d);
        printf("\nserving until Ctrl-C\n");
        fflush(stdout);
        is_right = host_run(d.host, &err) == 0 && is_right;
    }
    close_demo(&d);
    return is_right ? CLI_OK : CLI_WRONG;
}

const struct cli_verb CLI_DEMO = {
    .name = "demo",
    .summary = "play about 45 orders through a demo client and both sandboxes",
    .usage = "neap demo [--once]",
    .details =
        "Prints what happens as it happens, then a summary with what audit, reconcile, replay,\n"
        "products, stock, stock drift, verify and status say of it, then keeps serving. Data is "
        "kept\n"
        "in a folder of its own under /tmp, which goes at the end.",
    .options =
        (const struct cli_option[]){
            {"--once", NULL, "end after the summary; exit code 0 only if every order is right"},
            {"--scripts", "DIR", "connectors and flows shipped with the host"},
            {"--log", "json|human", "default: human on a terminal"},
            {"--log-level", "LEVEL", "debug, info, warn or error (default)"},
            {NULL, NULL, NULL}},
    .run = run_demo,
};
