/* neap test: golden cases of clients and library tests, in the host's own states, as TAP or JSON.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/api/api_test.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/aside.h"
#include "core/script/vm_files.h"

#define ROOTS_MAX     16
#define ROOT_MARK     "-- neap-test-root:"
#define TEST_JSON_MAX (64u << 20)
#define TEST_LINE_MAX 4096

struct tally {
    struct json_writer *json; /* NULL: TAP */
    const char *file;         /* shown with each case in JSON */
    size_t count;
    size_t failed;
};

/* ---- Results
 * -------------------------------------------------------------------------------------- */

/* TAP comments, so that what failed stays with its case: each line behind "# ". */
static void print_details(const char *details)
{
    while (details[0] != '\0') {
        size_t size = strcspn(details, "\n");
        printf("#   %.*s\n", (int)size, details);
        details += size + (details[size] == '\n' ? 1 : 0);
    }
}

static void on_case(void *arg, bool is_ok, const char *sentence, const char *details)
{
    struct tally *t = arg;
    t->count++;
    t->failed += is_ok ? 0 : 1;
    if (t->json == NULL) {
        printf("%s %zu - %s\n", is_ok ? "ok" : "not ok", t->count, sentence);
        print_details(details);
        fflush(stdout);
        return;
    }
    json_object_begin(t->json);
    json_member_str(t->json, "file", t->file);
    json_member_str(t->json, "name", sentence);
    json_member_bool(t->json, "ok", is_ok);
    if (!is_ok) {
        json_member_str(t->json, "details", details);
    }
    json_object_end(t->json);
}

static void on_file_failed(struct tally *t, const char *what, const char *message)
{
    char *sentence = xasprintf("%s runs", what);
    on_case(t, false, sentence, message);
    free(sentence);
}

static void begin_file(struct tally *t, const char *file)
{
    t->file = file;
    if (t->json == NULL) {
        printf("# %s\n", file);
    }
}

/* ---- Library tests
 * -------------------------------------------------------------------------------- */

/* Further roots of require that the first comment lines of a test name. */
struct roots {
    char *list[ROOTS_MAX + 1];
    size_t count;
};

static void add_roots(struct roots *roots, const char *base, const char *words)
{
    static const char BLANKS[] = " \t\r\n";
    words += strspn(words, BLANKS);
    while (*words != '\0' && roots->count < ROOTS_MAX) {
        size_t size = strcspn(words, BLANKS);
        roots->list[roots->count++] = xasprintf("%s/%.*s", base, (int)size, words);
        words += size;
        words += strspn(words, BLANKS);
    }
}

static void read_roots(struct roots *roots, const char *base, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[TEST_LINE_MAX];
    while (file != NULL && fgets(line, sizeof(line), file) != NULL && strncmp(line, "--", 2) == 0) {
        if (strncmp(line, ROOT_MARK, strlen(ROOT_MARK)) == 0) {
            add_roots(roots, base, line + strlen(ROOT_MARK));
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void free_roots(struct roots *roots)
{
    for (size_t i = 0; i < roots->count; i++) {
        free(roots->list[i]);
    }
}

struct run {
    struct aside *aside;
    struct tally *tally;
    const char *settings[CLI_VALUES_MAX + 1];
};

static void fill_options(struct run *run, const char *client, const char *data,
                         struct api_test_options *options)
{
    memset(options, 0, sizeof(*options));
    options->clock = run->aside->clock;
    options->scripts_folder = run->aside->scripts;
    options->client_folder = client;
    options->data_folder = data;
    options->settings = run->settings;
    options->on_case = on_case;
    options->arg = run->tally;
}

/* Each file has its own beginning of time. */
static void restart_clock(struct aside *aside)
{
    clock_free(aside->clock);
    aside->clock = clock_new_virtual(API_TEST_START_MS);
}

static void run_library_test(struct run *run, const char *path, const char *client,
                             const char *data)
{
    restart_clock(run->aside);
    struct roots roots = {.count = 0};
    read_roots(&roots, data, path);
    struct api_test_options options;
    fill_options(run, client, data, &options);
    options.more_folders = (const char *const *)roots.list;
    begin_file(run->tally, path);
    size_t before = run->tally->count;
    struct error err = {0};
    if (api_test_file(&options, path, &err) != 0) {
        on_file_failed(run->tally, path, err.message);
    } else if (run->tally->count == before) {
        on_file_failed(run->tally, path, "it has no case");
    }
    free_roots(&roots);
}

static void run_libraries(struct run *run, const struct cli_args *args)
{
    char *scripts = xstrdup(run->aside->scripts);
    const char *tree = dirname(scripts);
    for (size_t i = 0; i < args->word_count; i++) {
        char *path = xstrdup(args->words[i]);
        run_library_test(run, args->words[i], dirname(path), tree);
        free(path);
    }
    free(scripts);
}

/* ---- Clients
 * -------------------------------------------------------------------------------------- */

static int is_test(const struct dirent *entry)
{
    static const char ENDING[] = "_test.lua";
    size_t size = strlen(entry->d_name);
    return size > strlen(ENDING) && strcmp(entry->d_name + size - strlen(ENDING), ENDING) == 0;
}

static void find_tests(void *arg, const char *folder)
{
    struct aside_texts *files = arg;
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_test, alphasort);
    for (int i = 0; i < count; i++) {
        char *path = xasprintf("%s/%s", folder, names[i]->d_name);
        aside_add(files, path);
        free(path);
        free(names[i]);
    }
    free(names);
}

static void run_golden(struct run *run, const char *folder)
{
    restart_clock(run->aside);
    struct api_test_hooks hooks;
    api_test_hooks_init(&hooks);
    struct generation *generation = aside_load(run->aside, folder, &hooks.hooks);
    if (generation == NULL) {
        for (size_t i = 0; i < run->aside->errors.count; i++) {
            on_file_failed(run->tally, folder, run->aside->errors.list[i]);
        }
        return;
    }
    struct api_test_options options;
    fill_options(run, folder, folder, &options);
    struct error err = {0};
    if (api_test_golden(generation, &options, &err) != 0) {
        on_file_failed(run->tally, "cases", err.message);
    }
    generation_free(generation);
}

static int run_client(struct run *run, const char *folder)
{
    char *manifest = xasprintf("%s/client.lua", folder);
    bool is_there = access(manifest, R_OK) == 0;
    free(manifest);
    if (!is_there) {
        return cli_fail(run->aside->args, CLI_NOT_FOUND, "there is no %s/client.lua", folder);
    }
    begin_file(run->tally, folder);
    size_t before = run->tally->count;
    run_golden(run, folder);
    struct aside_texts tests = {NULL, 0};
    vm_files_each_folder(folder, find_tests, &tests);
    for (size_t i = 0; i < tests.count; i++) {
        run_library_test(run, tests.list[i], folder, folder);
    }
    aside_clear(&tests);
    if (run->tally->count == before) {
        return cli_fail(run->aside->args, CLI_NOT_FOUND, "%s has no cases/*.lua and no *_test.lua",
                        folder);
    }
    return CLI_OK;
}

static int run_all(struct run *run, const struct cli_args *args)
{
    int worst = CLI_OK;
    if (cli_has(args, "--lua")) {
        run_libraries(run, args);
    }
    for (size_t i = 0; !cli_has(args, "--lua") && i < args->word_count; i++) {
        int rc = run_client(run, args->words[i]);
        worst = rc > worst ? rc : worst;
    }
    return worst;
}

/* ---- The verb
 * ------------------------------------------------------------------------------------- */

static int run_and_print(struct run *run, const struct cli_args *args)
{
    struct buf out;
    buf_init(&out, TEST_JSON_MAX);
    struct json_writer w;
    json_writer_init(&w, &out);
    bool is_json = cli_has(args, "--json");
    run->tally->json = is_json ? &w : NULL;
    json_object_begin(&w);
    json_key(&w, "cases");
    json_array_begin(&w);
    int worst = run_all(run, args);
    run->tally->json = NULL;
    json_array_end(&w);
    json_member_int(&w, "passed", (int64_t)(run->tally->count - run->tally->failed));
    json_member_int(&w, "failed", (int64_t)run->tally->failed);
    json_object_end(&w);
    if (is_json) {
        printf("%s\n", buf_text(&out));
    } else {
        printf("1..%zu\n", run->tally->count);
    }
    buf_free(&out);
    return run->tally->failed > 0 && worst < CLI_WRONG ? CLI_WRONG : worst;
}

static int run_test(const struct cli_args *args)
{
    if (args->word_count == 0) {
        return cli_fail(args, CLI_USAGE, "say what: neap test DIR, or neap test --lua FILE...");
    }
    struct aside aside;
    int rc = aside_open(&aside, args, clock_new_virtual(API_TEST_START_MS));
    if (rc == CLI_OK) {
        struct tally tally = {NULL, "", 0, 0};
        struct run run = {.aside = &aside, .tally = &tally};
        const char *text = NULL;
        for (size_t i = 0; (text = cli_option_at(args, "--set", i)) != NULL; i++) {
            run.settings[i] = text;
        }
        rc = run_and_print(&run, args);
    }
    aside_close(&aside);
    return rc;
}

const struct cli_verb CLI_TEST = {
    .name = "test",
    .summary = "do a client's golden cases still come out?",
    .usage = "neap test [options] DIR... | --lua FILE...",
    .details =
        "Runs DIR/cases/*.lua through the client's own mappings and settings, and its *_test.lua "
        "files:\n"
        "offline, in virtual time, the same each time. A case without `flow` is an order and its "
        "posting;\n"
        "one that names a flow says what it must tell whom, and what a person is asked. What "
        "differs is\n"
        "shown field by field. Output is TAP. docs/golden-cases.md\n"
        "With --lua the arguments are library tests, each a file that returns function(t); a "
        "first\n"
        "comment line \"-- neap-test-root: FOLDER...\" names further folders for its require.",
    .options = (const struct cli_option[]){ASIDE_OPTIONS,
                                           {"--lua", NULL, "the arguments are library tests"},
                                           {NULL, NULL, NULL}},
    .run = run_test,
};
