/* The command line: options, exit codes, and the verbs that need no host: new, check, test. */
#include "core/cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/xalloc.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

#define WORDS_MAX  (CLI_VALUES_MAX + 8)
#define OUTPUT_MAX 65536

static char the_folder[256]; /* of the case */
static char the_out[OUTPUT_MAX];
static char the_err[OUTPUT_MAX];

static int open_scratch(int fd, int *kept_out)
{
    char path[] = "/tmp/neap-cli-XXXXXX";
    int scratch = mkstemp(path);
    if (scratch < 0) {
        abort();
    }
    unlink(path);
    *kept_out = dup(fd);
    dup2(scratch, fd);
    return scratch;
}

static void close_scratch(int fd, int scratch, int kept, char text[OUTPUT_MAX])
{
    ssize_t size = pread(scratch, text, OUTPUT_MAX - 1, 0);
    text[size < 0 ? 0 : size] = '\0';
    dup2(kept, fd);
    close(kept);
    close(scratch);
}

/* Runs the words (NULL ends them); "@/x" stands for x in the case's folder. */
static int run(const char *const *words)
{
    char *argv[WORDS_MAX + 2] = {xstrdup("neap")};
    int argc = 1;
    for (; words[argc - 1] != NULL && argc < WORDS_MAX; argc++) {
        const char *word = words[argc - 1];
        argv[argc] = word[0] == '@' ? xasprintf("%s%s", the_folder, word + 1) : xstrdup(word);
    }
    int kept[2];
    fflush(stdout);
    int out = open_scratch(STDOUT_FILENO, &kept[0]);
    int err = open_scratch(STDERR_FILENO, &kept[1]);
    int code = cli_main(argc, argv);
    fflush(stdout);
    close_scratch(STDOUT_FILENO, out, kept[0], the_out);
    close_scratch(STDERR_FILENO, err, kept[1], the_err);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
    return code;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* What must be there, in the output or the messages. */
static void check_said(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        printf("# \"%s\" is not in: %s\n", part, text);
    }
    CHECK(strstr(text, part) != NULL);
}

static void change_file(const char *name, const char *from, const char *to)
{
    char *path = xasprintf("%s/%s", the_folder, name);
    static char text[OUTPUT_MAX];
    FILE *file = fopen(path, "r+");
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    char *at = strstr(text, from);
    if (at == NULL) {
        abort();
    }
    rewind(file);
    fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(file);
    free(path);
}

/* ---- Options
 * -------------------------------------------------------------------------------------- */

struct usage_case {
    const char *words[8];
    int code;
    const char *said; /* on standard error */
};

static void check_usage(void)
{
    static const struct usage_case CASES[] = {
        {{"frobnicate"}, 2, "there is no verb \"frobnicate\""},
        {{"check"}, 2, "say which"},
        {{"check", "--frob", "x"}, 2, "there is no option --frob (see neap check --help)"},
        {{"check", "--stric", "x"}, 2, "there is no option --stric"},
        {{"check", "--strict=yes", "x"}, 2, "--strict takes no value"},
        {{"check", "x", "--set"}, 2, "--set wants a value: NAME=VALUE"},
        {{"check", "--", "--strict"}, 3, "there is no --strict/client.lua"},
        {{"check", "no/such/folder"}, 3, "there is no no/such/folder/client.lua"},
        {{"help", "frobnicate"}, 3, "there is no verb \"frobnicate\""},
        {{"new"}, 2, "say where"},
        {{"new", "a", "b"}, 2, "say where"},
        {{"new", "--name=x y", "@/n"}, 2, "\"x y\" is no name for a client"},
        {{"test"}, 2, "say what"},
        {{"test", "no/such/folder"}, 3, "there is no no/such/folder/client.lua"},
        {{"run"}, 2, "no client"},
        {{"run", "--client", "x", "--drain-ms", "soon"},
         2,
         "--drain-ms takes a whole number from 0 to 600000, not \"soon\""},
        {{"run", "--clients", "no/such/folder"}, 3, "there is no folder no/such/folder"},
        {{"status", "--data", "no/such/folder"}, 4, "there is no data folder no/such/folder"},
    };
    temp_folder_make(the_folder, sizeof(the_folder));
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK_INT(run(CASES[i].words), CASES[i].code);
        check_said(the_err, CASES[i].said);
    }
    temp_folder_remove(the_folder);
}

static void check_help(void)
{
    for (size_t i = 0; CLI_VERBS[i] != NULL; i++) {
        CHECK_INT(RUN(CLI_VERBS[i]->name, "--help"), 0);
        check_said(the_out, CLI_VERBS[i]->usage);
        check_said(the_out, "--json");
    }
    CHECK_INT(RUN("help", "check"), 0);
    check_said(the_out, "--strict");
    CHECK_INT(RUN("--help"), 0);
    check_said(the_out, "usage: neap VERB");
    CHECK_INT(RUN("--version"), 0);
    check_said(the_out, "neap ");
    CHECK_INT(RUN("version", "--json"), 0);
    check_said(the_out, "\"libcurl\":\"");
}

static void check_too_many(void)
{
    const char *words[WORDS_MAX] = {"check"};
    for (int i = 1; i <= CLI_VALUES_MAX + 1; i++) {
        words[i] = "--strict";
    }
    CHECK_INT(run(words), 2);
    check_said(the_err, "too many options");
    for (int i = 1; i <= CLI_VALUES_MAX + 1; i++) {
        words[i] = "x";
    }
    CHECK_INT(run(words), 2);
    check_said(the_err, "too many arguments");
}

static void check_values(void)
{
    struct cli_args args = {.verb = &CLI_RUN,
                            .option_count = 3,
                            .options = {{"--set", "A=1"}, {"--drain-ms", "7"}, {"--set", "B=2"}}};
    long long value = 5;
    CHECK_STR(cli_option(&args, "--set"), "B=2");
    CHECK_STR(cli_option_at(&args, "--set", 0), "A=1");
    CHECK_STR(cli_option_at(&args, "--set", 1), "B=2");
    CHECK(cli_option_at(&args, "--set", 2) == NULL);
    CHECK(!cli_has(&args, "--json"));
    CHECK(cli_option_int(&args, "--log", 0, 9, &value));
    CHECK_INT(value, 5);
    CHECK(cli_option_int(&args, "--drain-ms", 0, 9, &value));
    CHECK_INT(value, 7);
    static const char *const WRONG[] = {"", "x", "7x", "-1", "10", "99999999999999999999", "7.5"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        args.options[1].value = WRONG[i];
        int kept;
        int scratch = open_scratch(STDERR_FILENO, &kept);
        CHECK(!cli_option_int(&args, "--drain-ms", 0, 9, &value));
        close_scratch(STDERR_FILENO, scratch, kept, the_err);
        CHECK_INT(value, 7);
    }
}

/* ---- new, check, test
 * ----------------------------------------------------------------------------- */

static void check_new(void)
{
    temp_folder_make(the_folder, sizeof(the_folder));
    CHECK_INT(RUN("new", "--dry-run", "@/a/acme"), 0);
    check_said(the_out, "/a/acme/client.lua");
    CHECK_INT(RUN("check", "@/a/acme"), 3);
    CHECK_INT(RUN("new", "--name", "x y", "--name", "fell", "@/a/acme/"), 0);
    check_said(the_out, "(client fell)");
    check_said(the_out, "neap check ");
    CHECK_INT(RUN("check", "@/a/acme"), 0);
    check_said(the_out, ": ok (8 flows, 3 routes, 13 schedules)");
    check_said(the_out, "warning: secret SCAYLE_TOKEN is not");
    check_said(the_out, "payment paypal is paid");
    CHECK_INT(RUN("test", "@/a/acme"), 0);
    check_said(the_out, "\n1..9\n");
    CHECK_INT(RUN("new", "@/a/acme"), 1);
    check_said(the_err, "is there already and not empty");
    CHECK_INT(RUN("new", "--json", "@/b"), 0);
    check_said(the_out, "\"dry_run\":false,\"files\":[");
    temp_folder_remove(the_folder);
}

static void check_check(void)
{
    temp_folder_make(the_folder, sizeof(the_folder));
    CHECK_INT(RUN("new", "@/acme"), 0);
    CHECK_INT(RUN("check", "--strict", "@/acme"), 1);
    check_said(the_out, "alerts: nobody reads operations@acme.example, told of what nobody owns");
    check_said(the_out, "6 errors");
    change_file("acme/client.lua", "acme.example", "acme-shop.com");
    setenv("SCAYLE_TOKEN", "token-of-scayle", 1);
    setenv("KHAOS_PASSWORD", "password-of-khaos", 1);
    setenv("DELEGATION_PASSWORD", "password-of-scayle", 1);
    CHECK_INT(RUN("check", "--strict", "--json", "@/acme"), 0);
    check_said(the_out, "\"ok\":true,\"client\":\"acme\",\"flows\":8");
    check_said(the_out, "\"errors\":[],\"warnings\":[]");
    unsetenv("SCAYLE_TOKEN");
    unsetenv("KHAOS_PASSWORD");
    unsetenv("DELEGATION_PASSWORD");
    CHECK_INT(RUN("check", "--set", "SCAYLE_URL=gopher://x", "@/acme"), 1);
    check_said(the_out, "client.lua:18: connections.scayle.base_url: ");
    change_file("acme/mappings/tax.lua", "code = 1}", "code = 0}");
    change_file("acme/mappings/companies.lua", "\"gross\",", "\"grss\",");
    CHECK_INT(RUN("check", "@/acme"), 1);
    check_said(the_out, "mappings/tax.lua:4: flows.orders.settings.mappings.tax.uk[\"0.2\"].code");
    check_said(the_out, "mappings/companies.lua:7: ");
    check_said(the_out, "did you mean \"gross\"?");
    check_said(the_out, ": 2 errors");
    change_file("acme/client.lua", "return {", "return {{");
    CHECK_INT(RUN("check", "@/acme", "no/such"), 3);
    check_said(the_out, "client.lua:");
    temp_folder_remove(the_folder);
}

/* What loads, but does not do what its people think it does. */
static void check_warnings(void)
{
    temp_folder_make(the_folder, sizeof(the_folder));
    CHECK_INT(RUN("new", "@/acme"), 0);
    change_file("acme/client.lua", "default = OPERATIONS", "default = \"operations\"");
    change_file("acme/client.lua", "use = \"flows.stock\",",
                "use = \"flows.stock\", schedules = {send = {every_ms = 30000}},");
    CHECK_INT(RUN("check", "@/acme"), 0);
    check_said(the_out, "warning: alerts: no route reaches the owner \"operations\"");
    check_said(the_out, "warning: stock: figures are sent every 30 s, but a silence of");
    change_file("acme/client.lua", "nobody = OPERATIONS", "nobody = \"operations\"");
    CHECK_INT(RUN("check", "@/acme"), 1);
    check_said(the_out, "nobody: no route reaches \"operations\"");
    change_file("acme/client.lua", "alerts = {use", "alerts = nil, nothing = nil and {use");
    CHECK_INT(RUN("check", "@/acme"), 0);
    check_said(the_out, "warning: no flow tells problems to anybody");
    temp_folder_remove(the_folder);
}

static void write_file(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", the_folder, name);
    FILE *file = fopen(path, "w");
    free(path);
    if (file == NULL) {
        abort();
    }
    fputs(text, file);
    fclose(file);
}

static void check_unloaded(void)
{
    temp_folder_make(the_folder, sizeof(the_folder));
    CHECK_INT(RUN("new", "@/acme"), 0);
    write_file("acme/flows/fine.lua", "error(\"never run\")\n");
    CHECK_INT(RUN("check", "@/acme"), 0);
    write_file("acme/flows/later.lua", "return {\n    name = = 1}\n");
    write_file("acme/cases/99-cut.lua", "return {\n");
    write_file("acme/mappings/binary.lua", "\033Lua");
    CHECK_INT(RUN("check", "@/acme"), 1);
    check_said(the_out, "acme: flows/later.lua:2: unexpected symbol near '='\n");
    check_said(the_out, "acme: cases/99-cut.lua:");
    check_said(the_out, "acme: mappings/binary.lua: attempt to load a binary chunk");
    check_said(the_out, ": 3 errors");
    change_file("acme/mappings/tax.lua", "return {", "return {{{");
    CHECK_INT(RUN("check", "@/acme"), 1);
    check_said(the_out, "mappings/tax.lua:");
    check_said(the_out, ": 4 errors"); /* loading it and compiling it say the same */
    temp_folder_remove(the_folder);
}

static void check_test(void)
{
    temp_folder_make(the_folder, sizeof(the_folder));
    CHECK_INT(RUN("new", "@/acme"), 0);
    change_file("acme/cases/01-plain.lua", "quantity = 2", "quantity = 3");
    char *path = xasprintf("%s/acme/own_test.lua", the_folder);
    FILE *file = fopen(path, "w");
    free(path);
    fputs("local t0 = require(\"neap.time\").now_ms()\n"
          "return function(t)\n"
          "    t.case(\"virtual time\", function()\n"
          "        t.advance(500)\n"
          "        t.equal(require(\"neap.time\").now_ms() - t0, 500)\n"
          "        assert(t.read_file(\"cases/01-plain.lua\"))\n"
          "        t.equal(t.read_file(\"../../etc/passwd\"), nil)\n"
          "    end)\n"
          "    t.case(\"fails\", function() t.equal({a = 1}, {a = 2}) end)\n"
          "end\n",
          file);
    fclose(file);
    CHECK_INT(RUN("test", "@/acme"), 1);
    check_said(the_out, "not ok 1 - 01-plain: plain order");
    check_said(the_out, "#   posted.lines[1].quantity: expected 3, got 2\n");
    check_said(the_out, "ok 10 - virtual time\n");
    check_said(the_out, "a: expected 2, got 1\n");
    check_said(the_out, "own_test.lua:9");
    check_said(the_out, "\n1..11\n");
    CHECK_INT(RUN("test", "--json", "@/acme"), 1);
    check_said(the_out, "\"passed\":9,\"failed\":2}");
    CHECK_INT(RUN("test", "--lua", "@/none_test.lua"), 1);
    check_said(the_out, "No such file");
    temp_folder_remove(the_folder);
}

int main(void)
{
    setenv("NEAP_EXAMPLES", "examples", 0);
    setenv("NEAP_SCRIPTS", "scripts", 0);
    tap_case("a wrong command line is told, with the exit code that says what kind", check_usage);
    tap_case("every verb has help", check_help);
    tap_case("more options or words than fit are refused", check_too_many);
    tap_case("the last value of an option counts, integers are checked", check_values);
    tap_case("a new client passes check and test as it is", check_new);
    tap_case("check finds every problem with file and line", check_check);
    tap_case("check warns of what loads and reaches nobody", check_warnings);
    tap_case("check compiles what nothing requires yet", check_unloaded);
    tap_case("test shows what differs and runs the client's own tests", check_test);
    return tap_done();
}
