/* neap check: would a host take this client? And what does its configuration mean for people? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/api/api_modules.h"
#include "core/api/api_test.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/aside.h"
#include "core/script/source_syntax.h"

#define CHECK_JSON_MAX (16u << 20)
#define WARNING        "warning: " /* begins a line of a flow's report that is one */

/* What was found out about one folder. */
struct finding {
    const char *folder;
    const struct manifest *manifest; /* NULL when it does not load */
    struct aside_texts report;
    const struct aside_texts *errors;
    struct aside_texts *warnings;
    bool is_strict;
};

static bool is_good(const struct finding *f)
{
    return f->errors->count == 0 && (!f->is_strict || f->warnings->count == 0);
}

static void add_report_line(void *arg, const char *flow, const char *line)
{
    struct finding *f = arg;
    bool is_warning = strncmp(line, WARNING, strlen(WARNING)) == 0;
    char *text = xasprintf("%s: %s", flow, is_warning ? line + strlen(WARNING) : line);
    aside_add(is_warning ? f->warnings : &f->report, text);
    free(text);
}

/* Problems must reach somebody. A module of the client's own may stand around the shipped one. */
static void look_for_alerts(struct finding *f)
{
    bool has_alerts = f->manifest->is_sandbox; /* nobody owns its problems */
    for (size_t i = 0; i < f->manifest->flow_count; i++) {
        has_alerts = has_alerts || strstr(f->manifest->flows[i].module, "alerts") != NULL;
    }
    if (has_alerts) {
        return;
    }
    aside_add(f->warnings, "no flow tells problems to anybody: add flows.alerts "
                           "(docs/flows-alerts.md)");
}

/* ---- Text
 * ----------------------------------------------------------------------------------------- */

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_text(const struct finding *f)
{
    for (size_t i = 0; i < f->errors->count; i++) {
        printf("%s: %s\n", f->folder, f->errors->list[i]);
    }
    for (size_t i = 0; i < f->warnings->count; i++) {
        printf("%s: %s%s\n", f->folder, f->is_strict ? "" : "warning: ", f->warnings->list[i]);
    }
    size_t errors = f->errors->count + (f->is_strict ? f->warnings->count : 0);
    if (!is_good(f) || f->manifest == NULL) {
        printf("%s: %zu error%s\n", f->folder, errors, plural(errors));
        return;
    }
    for (size_t i = 0; i < f->report.count; i++) {
        printf("  %s\n", f->report.list[i]);
    }
    const struct manifest *m = f->manifest;
    printf("%s: ok (%zu flow%s, %zu route%s, %zu schedule%s)\n", f->folder, m->flow_count,
           plural(m->flow_count), m->route_count, plural(m->route_count), m->schedule_count,
           plural(m->schedule_count));
}

/* ---- JSON
 * ----------------------------------------------------------------------------------------- */

static void write_texts(struct json_writer *w, const char *key, const struct aside_texts *texts)
{
    json_key(w, key);
    json_array_begin(w);
    for (size_t i = 0; i < texts->count; i++) {
        json_str(w, texts->list[i]);
    }
    json_array_end(w);
}

static void write_json(struct json_writer *w, const struct finding *f)
{
    json_object_begin(w);
    json_member_str(w, "folder", f->folder);
    json_member_bool(w, "ok", is_good(f));
    if (f->manifest != NULL) {
        json_member_str(w, "client", f->manifest->name);
        json_member_int(w, "flows", (int64_t)f->manifest->flow_count);
        json_member_int(w, "routes", (int64_t)f->manifest->route_count);
        json_member_int(w, "schedules", (int64_t)f->manifest->schedule_count);
    }
    write_texts(w, "errors", f->errors);
    write_texts(w, "warnings", f->warnings);
    write_texts(w, "report", &f->report);
    json_object_end(w);
}

/* ---- The verb
 * ------------------------------------------------------------------------------------- */

/* What loading ran into already is said there, once. */
static void add_syntax_problem(void *arg, const char *text)
{
    struct aside_texts *errors = arg;
    for (size_t i = 0; i < errors->count; i++) {
        if (strstr(errors->list[i], text) != NULL) {
            return;
        }
    }
    aside_add(errors, text);
}

static int check_folder(struct aside *aside, const char *folder, struct json_writer *json)
{
    char *manifest = xasprintf("%s/client.lua", folder);
    bool is_there = access(manifest, R_OK) == 0;
    free(manifest);
    if (!is_there) {
        return cli_fail(aside->args, CLI_NOT_FOUND, "there is no %s/client.lua", folder);
    }
    struct generation *generation = aside_load(aside, folder, api_hooks());
    struct finding f = {
        .folder = folder,
        .errors = &aside->errors,
        .warnings = &aside->warnings,
        .is_strict = cli_has(aside->args, "--strict"),
    };
    if (generation != NULL) {
        struct error err = {0};
        f.manifest = generation_manifest(generation);
        if (api_flow_reports(generation, add_report_line, &f, &err) != 0) {
            aside_add(&aside->errors, err.message);
        }
        look_for_alerts(&f);
    }
    source_syntax_check(folder, add_syntax_problem, &aside->errors);
    if (json != NULL) {
        write_json(json, &f);
    } else {
        print_text(&f);
    }
    int rc = is_good(&f) ? CLI_OK : CLI_WRONG;
    aside_clear(&f.report);
    generation_free(generation);
    return rc;
}

static int check_all(struct aside *aside, const struct cli_args *args)
{
    struct buf out;
    buf_init(&out, CHECK_JSON_MAX);
    struct json_writer w;
    json_writer_init(&w, &out);
    json_array_begin(&w);
    int worst = CLI_OK;
    for (size_t i = 0; i < args->word_count; i++) {
        int rc = check_folder(aside, args->words[i], cli_has(args, "--json") ? &w : NULL);
        worst = rc > worst ? rc : worst;
    }
    json_array_end(&w);
    if (cli_has(args, "--json")) {
        printf("%s\n", buf_text(&out));
    }
    buf_free(&out);
    return worst;
}

static int run_check(const struct cli_args *args)
{
    if (args->word_count == 0) {
        return cli_fail(args, CLI_USAGE, "say which: neap check DIR (a folder with a client.lua)");
    }
    struct aside aside;
    int rc = aside_open(&aside, args, clock_new_system());
    if (rc == CLI_OK) {
        rc = check_all(&aside, args);
    }
    aside_close(&aside);
    return rc;
}

const struct cli_verb CLI_CHECK = {
    .name = "check",
    .summary = "is this client right? manifest, mappings and scripts, with file and line",
    .usage = "neap check [options] DIR...",
    .details = "Loads each client as a host would, runs its self-tests, sends nothing. Files "
               "that\n"
               "nothing requires yet must compile too. Says what its settings\n"
               "mean where a flow can say it: for orders, what Khaos can still cancel per payment "
               "method.\n"
               "A secret that is not set is a warning here; the host does not start without it.",
    .options = (const struct cli_option[]){ASIDE_OPTIONS,
                                           {"--strict", NULL, "warnings are errors"},
                                           {NULL, NULL, NULL}},
    .run = run_check,
};
