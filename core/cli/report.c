/* See report.h. The rows go to files as they are told; lines and the document are printed when the
 * report is done, so that a failing one prints nothing. */
#define _GNU_SOURCE
#include "core/cli/report.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/api/api_report.h"
#include "core/base/instant.h"
#include "core/base/xalloc.h"
#include "core/cli/ask.h"
#include "core/cli/report_asking.h"
#include "core/cli/report_table.h"
#include "core/work/work.h"

#define DOCUMENT_MAX (256u << 20)
#define MEMORY_MAX   ((size_t)1 << 30)
#define MINUTE_MS    60000
#define RUN_US       ((int64_t)4 * 3600 * 1000000) /* CPU time of a report that asks */

struct report_run {
    const struct cli_report *report;
    struct aside aside;
    struct api_report_hooks hooks;
    struct generation *generation; /* or: */
    struct vm *vm;
    struct store *store;
    struct work *work;
    char *client;
    struct report_table *table;
    struct buf lines;
    struct buf document;
    struct error page_err; /* code 0: the page was written, or there was none */
    bool is_watched;       /* somebody sits before it and sees how it goes on */
    bool is_ok;
};

/* ---- What it tells
 * -------------------------------------------------------------------------------- */

static void on_sheet(void *arg, const char *name, const struct api_report_column *columns,
                     size_t count, bool is_in_csv)
{
    struct report_run *run = arg;
    report_table_sheet(run->table, name, columns, count, is_in_csv);
}

static void on_row(void *arg, size_t sheet, const struct bytes *cells, size_t count)
{
    struct report_run *run = arg;
    report_table_row(run->table, sheet, cells, count);
}

/* A line may hold names from outside: nothing in it commands the terminal or begins a line. */
static void on_say(void *arg, const char *line)
{
    struct report_run *run = arg;
    for (const unsigned char *at = (const unsigned char *)line; *at != '\0'; at++) {
        bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f; /* U+0080 to U+009F */
        bool is_control = *at < 0x20 || *at == 0x7f || is_c1;
        (void)!buf_add(&run->lines, is_control ? "?" : (const char *)at, 1);
        at += is_c1 ? 1 : 0;
    }
    (void)!buf_add(&run->lines, "\n", 1);
}

static void on_page(void *arg, struct bytes html)
{
    struct report_run *run = arg;
    const char *path = cli_option(run->report->args, "--html");
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    if (path == NULL) {
        return;
    }
    bool is_written = file != NULL && fwrite(html.data, 1, html.size, file) == html.size;
    is_written = (file == NULL || fclose(file) == 0) && is_written;
    if (!is_written) {
        error_set_errno(&run->page_err, ERROR_IO, errno, "%s cannot be written", path);
    }
}

static void on_progress(void *arg, const char *text)
{
    struct report_run *run = arg;
    if (run->is_watched) {
        fprintf(stderr, "\r\033[K%s", text);
        fflush(stderr);
    }
}

/* ---- What it reads
 * -------------------------------------------------------------------------------- */

static int only_client(struct report_run *run, const char *data)
{
    struct dirent **names = NULL;
    const struct cli_args *args = run->report->args;
    int count = scandir(data, &names, NULL, alphasort);
    size_t found = 0;
    for (int i = 0; i < count; i++) {
        if (cli_has_store(data, names[i]->d_name) && found++ == 0) {
            run->client = xstrdup(names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    if (found == 1) {
        return CLI_OK;
    }
    return found == 0
               ? cli_fail(args, CLI_UNREACHABLE, "%s holds no client's data: give --data DIR", data)
               : cli_fail(args, CLI_USAGE, "%s holds %zu clients: give --client NAME", data, found);
}

static int open_store(struct report_run *run)
{
    const struct cli_args *args = run->report->args;
    const char *data = cli_data_folder(args);
    struct error err = {0};
    if (run->generation != NULL) {
        run->client = xstrdup(generation_manifest(run->generation)->name);
    } else if (cli_has(args, "--client")) {
        run->client = xstrdup(cli_option(args, "--client"));
    } else {
        int code = only_client(run, data);
        if (code != CLI_OK) {
            return code;
        }
    }
    char *path = xasprintf("%s/%s", data, run->client);
    struct store_options store = {.path = path, .is_read_only = true};
    int rc = store_open(&run->store, &store, &err);
    free(path);
    if (rc != 0) {
        return cli_fail(args, rc == ERROR_NOT_FOUND ? CLI_NOT_FOUND : CLI_UNREACHABLE, "%s",
                        err.message);
    }
    struct work_options work = {.client = run->client,
                                .store = run->store,
                                .clock = run->aside.clock,
                                .is_read_only = true};
    rc = work_open(&run->work, &work, &err);
    return rc == 0 ? CLI_OK : cli_fail(args, CLI_UNREACHABLE, "%s", err.message);
}

static int load_client(struct report_run *run)
{
    const struct cli_args *args = run->report->args;
    run->generation = aside_load(&run->aside, run->report->folder, &run->hooks.hooks);
    for (size_t i = 0; run->generation == NULL && i < run->aside.errors.count; i++) {
        cli_fail(args, CLI_WRONG, "%s: %s", run->report->folder, run->aside.errors.list[i]);
    }
    if (run->generation == NULL) {
        return CLI_WRONG;
    }
    for (size_t i = 0; run->report->bounds != NULL && i < run->aside.warnings.count; i++) {
        cli_fail(args, CLI_WRONG, "%s", run->aside.warnings.list[i]);
    }
    return run->report->bounds != NULL && run->aside.warnings.count > 0 ? CLI_WRONG : CLI_OK;
}

static int make_state(struct report_run *run)
{
    struct error err = {0};
    struct vm_options options = {
        .clock = run->aside.clock,
        .random_seed = 1,
        .client_name = run->client,
        .scripts_folder = run->aside.scripts,
        .modules = run->hooks.modules,
        .limits = {.memory_bytes = MEMORY_MAX},
    };
    run->vm = vm_new(&options, &err);
    return run->vm != NULL ? CLI_OK : cli_fail(run->report->args, CLI_WRONG, "%s", err.message);
}

/* ---- The run
 * -------------------------------------------------------------------------------------- */

static int run_script(struct report_run *run, struct error *err)
{
    struct api_report report = {
        .module = run->report->module,
        .work = run->work,
        .generation = run->generation,
        .options = run->report->options,
        .sink = {.arg = run,
                 .sheet = on_sheet,
                 .row = on_row,
                 .say = on_say,
                 .page = on_page,
                 .progress = on_progress},
    };
    struct vm *vm = run->generation != NULL ? generation_vm(run->generation) : run->vm;
    if (run->report->bounds == NULL) {
        return api_report_run(vm, &report, &run->is_ok, &run->document, err);
    }
    struct report_asking asking = {run->aside.clock, run->generation, run->report->bounds, &report,
                                   &run->document};
    run->generation = NULL; /* taken over */
    int rc = report_asking_run(&asking, &run->is_ok, err);
    on_progress(run, "");
    if (rc == 0 && run->page_err.code != 0) {
        *err = run->page_err;
        rc = err->code;
    }
    return rc;
}

static int tell(struct report_run *run)
{
    const struct cli_args *args = run->report->args;
    struct error err = {0};
    run->table = report_table_open(cli_option(args, "--csv"), cli_option(args, "--xlsx"),
                                   run->report->at_ms, &err);
    if (run->table == NULL) {
        return cli_fail(args, CLI_UNREACHABLE, "%s", err.message);
    }
    int rc = run_script(run, &err);
    int rc_files = report_table_close(run->table, rc == 0 ? &err : &(struct error){0});
    if (rc != 0 || rc_files != 0) {
        return cli_fail(args, rc == ERROR_NOT_FOUND ? CLI_NOT_FOUND : CLI_UNREACHABLE, "%s",
                        err.message);
    }
    if (cli_has(args, "--json")) {
        printf("%s\n", buf_text(&run->document));
    } else {
        fputs(buf_text(&run->lines), stdout);
    }
    if (run->report->on_end != NULL) {
        run->report->on_end(run->report, run->client, run->is_ok);
    }
    return run->is_ok ? CLI_OK : CLI_WRONG;
}

static void run_close(struct report_run *run)
{
    generation_free(run->generation);
    vm_free(run->vm);
    work_close(run->work);
    store_close(run->store);
    free(run->client);
    buf_free(&run->lines);
    buf_free(&run->document);
    aside_close(&run->aside);
    free(run);
}

int cli_report(const struct cli_report *report)
{
    struct report_run *run = xcalloc(1, sizeof(*run));
    run->report = report;
    buf_init(&run->lines, DOCUMENT_MAX);
    buf_init(&run->document, DOCUMENT_MAX);
    api_report_hooks_init(&run->hooks);
    int code = aside_open(&run->aside, report->args, clock_new_system());
    if (report->bounds != NULL) {
        run->aside.limits = (struct vm_limits){.memory_bytes = MEMORY_MAX, .job_us = RUN_US};
        run->aside.overlay = REPORT_ASKING_OVERLAY;
        run->is_watched = isatty(STDERR_FILENO) == 1;
    }
    if (code == CLI_OK && report->folder != NULL) {
        code = load_client(run);
    }
    if (code == CLI_OK && report->bounds == NULL) {
        code = open_store(run);
    }
    if (code == CLI_OK && report->folder == NULL) {
        code = make_state(run);
    }
    code = code != CLI_OK ? code : tell(run);
    run_close(run);
    return code;
}

bool cli_option_instant(const struct cli_args *args, const char *name, int64_t *ms_inout)
{
    const char *text = cli_option(args, name);
    if (text == NULL) {
        return true;
    }
    struct instant_text parsed;
    struct error err = {0};
    bool is_good = instant_parse(bytes_str(text), &parsed, &err) == 0 &&
                   (parsed.has_offset || !parsed.has_time);
    if (!is_good) {
        cli_fail(args, CLI_USAGE,
                 "%s takes an instant such as 2026-11-30T23:59:59Z or a day, not \"%s\"", name,
                 text);
        return false;
    }
    *ms_inout = instant_from_parts(&parsed.parts) - (int64_t)parsed.offset_minutes * MINUTE_MS;
    return true;
}
