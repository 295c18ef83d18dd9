/* See report.h. The rows go to files as they are told; lines and the document are printed when the
 * report is done, so that a failing one prints nothing. */
#define _GNU_SOURCE
#include "core/cli/report.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_report.h"
#include "core/base/instant.h"
#include "core/base/xalloc.h"
#include "core/cli/ask.h"
#include "core/cli/report_table.h"
#include "core/work/work.h"

#define DOCUMENT_MAX (256u << 20)
#define MEMORY_MAX   ((size_t)1 << 30)
#define MINUTE_MS    60000

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

static void on_say(void *arg, const char *line)
{
    struct report_run *run = arg;
    buf_addf(&run->lines, "%s\n", line);
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
    return run->generation == NULL ? CLI_WRONG : CLI_OK;
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

static int tell(struct report_run *run)
{
    const struct cli_args *args = run->report->args;
    struct error err = {0};
    run->table = report_table_open(cli_option(args, "--csv"), cli_option(args, "--xlsx"),
                                   run->report->at_ms, &err);
    if (run->table == NULL) {
        return cli_fail(args, CLI_UNREACHABLE, "%s", err.message);
    }
    struct api_report report = {
        .module = run->report->module,
        .work = run->work,
        .generation = run->generation,
        .options = run->report->options,
        .sink = {run, on_sheet, on_row, on_say},
    };
    struct vm *vm = run->generation != NULL ? generation_vm(run->generation) : run->vm;
    int rc = api_report_run(vm, &report, &run->is_ok, &run->document, &err);
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
    if (code == CLI_OK && report->folder != NULL) {
        code = load_client(run);
    }
    code = code != CLI_OK ? code : open_store(run);
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
