/* The verbs' table, option parsing and what verbs share. */
#define _GNU_SOURCE
#include "core/cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/xalloc.h"

const struct cli_verb *const CLI_VERBS[] = {
    &CLI_DEMO,      &CLI_NEW,     &CLI_RUN,        &CLI_CHECK,  &CLI_TEST,     &CLI_AUDIT,
    &CLI_REPLAY,    &CLI_ORDER,   &CLI_EXCEPTIONS, &CLI_STOCK,  &CLI_PRODUCTS, &CLI_STATUS,
    &CLI_RECONCILE, &CLI_PAUSE,   &CLI_RESUME,     &CLI_RELOAD, &CLI_ERASE,    &CLI_SIMULATE,
    &CLI_VERIFY,    &CLI_VERSION, &CLI_HELP,       NULL,
};

const char *cli_option(const struct cli_args *args, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < args->option_count; i++) {
        if (strcmp(args->options[i].name, name) == 0) {
            value = args->options[i].value;
        }
    }
    return value;
}

bool cli_has(const struct cli_args *args, const char *name)
{
    return cli_option(args, name) != NULL;
}

const char *cli_option_at(const struct cli_args *args, const char *name, size_t i)
{
    for (size_t at = 0; at < args->option_count; at++) {
        if (strcmp(args->options[at].name, name) == 0 && i-- == 0) {
            return args->options[at].value;
        }
    }
    return NULL;
}

bool cli_option_int(const struct cli_args *args, const char *name, long long min, long long max,
                    long long *value_inout)
{
    const char *text = cli_option(args, name);
    if (text == NULL) {
        return true;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        cli_fail(args, CLI_USAGE, "%s takes a whole number from %lld to %lld, not \"%s\"", name,
                 min, max, text);
        return false;
    }
    *value_inout = value;
    return true;
}

int cli_fail(const struct cli_args *args, int code, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    fprintf(stderr, "neap %s: ", args->verb->name);
    vfprintf(stderr, fmt, list);
    fputc('\n', stderr);
    va_end(list);
    return code;
}

static const struct cli_option *find_option(const struct cli_verb *verb, const char *name,
                                            size_t size)
{
    static const struct cli_option COMMON[] = {
        {"--json", NULL, "print JSON"},
        {"--help", NULL, "print this help"},
        {NULL, NULL, NULL},
    };
    const struct cli_option *lists[] = {verb->options, COMMON};
    for (size_t l = 0; l < 2; l++) {
        for (const struct cli_option *o = lists[l]; o != NULL && o->name != NULL; o++) {
            if (strlen(o->name) == size && strncmp(o->name, name, size) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

/* Takes one option at argv[*i]; moves *i over its value. */
static int parse_option(struct cli_args *args, int argc, char **argv, int *i)
{
    const char *text = argv[*i];
    const char *equals = strchr(text, '=');
    size_t size = equals == NULL ? strlen(text) : (size_t)(equals - text);
    const struct cli_option *option = find_option(args->verb, text, size);
    if (option == NULL) {
        return cli_fail(args, CLI_USAGE, "there is no option %.*s (see neap %s --help)", (int)size,
                        text, args->verb->name);
    }
    if (args->option_count == CLI_VALUES_MAX) {
        return cli_fail(args, CLI_USAGE, "too many options");
    }
    const char *value = "";
    if (option->value == NULL && equals != NULL) {
        return cli_fail(args, CLI_USAGE, "%s takes no value", option->name);
    }
    if (option->value != NULL) {
        value = equals != NULL ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (value == NULL) {
            return cli_fail(args, CLI_USAGE, "%s wants a value: %s", option->name, option->value);
        }
    }
    args->options[args->option_count].name = option->name;
    args->options[args->option_count++].value = value;
    return CLI_OK;
}

static int parse_args(struct cli_args *args, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 2; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
            int rc = parse_option(args, argc, argv, &i);
            if (rc != CLI_OK) {
                return rc;
            }
        } else if (args->word_count == CLI_VALUES_MAX) {
            return cli_fail(args, CLI_USAGE, "too many arguments");
        } else {
            args->words[args->word_count++] = argv[i];
        }
    }
    return CLI_OK;
}

static void print_verb_help(const struct cli_verb *verb)
{
    printf("%s: %s\n\nusage: %s\n", verb->name, verb->summary, verb->usage);
    if (verb->details != NULL) {
        printf("\n%s\n", verb->details);
    }
    printf("\noptions:\n");
    for (const struct cli_option *o = verb->options; o != NULL && o->name != NULL; o++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", o->name, o->value == NULL ? "" : " ",
                 o->value == NULL ? "" : o->value);
        printf("  %-26s %s\n", left, o->help);
    }
    printf("  %-26s %s\n  %-26s %s\n", "--json", "print JSON", "--help", "print this help");
    printf("\nexit codes: 0 done; 1 something wrong was found; 2 command line wrong; 3 not found;\n"
           "            4 host or data not reachable or locked; 5 host stopped to stay safe\n");
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; CLI_VERBS[i] != NULL; i++) {
        if (strcmp(CLI_VERBS[i]->name, name) == 0) {
            return CLI_VERBS[i];
        }
    }
    return NULL;
}

int cli_main(int argc, char **argv)
{
    const char *name = argc < 2 ? "help" : argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    const struct cli_verb *verb = find_verb(name);
    if (verb == NULL) {
        fprintf(stderr, "neap: there is no verb \"%s\" (see neap help)\n", name);
        return CLI_USAGE;
    }
    struct cli_args args = {.verb = verb};
    int rc = parse_args(&args, argc, argv);
    if (rc != CLI_OK) {
        return rc;
    }
    if (verb == &CLI_HELP && args.word_count > 0 && find_verb(args.words[0]) != NULL) {
        print_verb_help(find_verb(args.words[0]));
        return CLI_OK;
    }
    if (cli_has(&args, "--help")) {
        print_verb_help(verb);
        return CLI_OK;
    }
    return verb->run(&args);
}

/* The folder `name` beside the binary, one to three levels up (build/, build/MODE/, bin/). */
static char *find_beside_binary(const char *name)
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (size <= 0) {
        return NULL;
    }
    self[size] = '\0';
    static const char *const PLACES[] = {"", "/share/neap"};
    for (int level = 0; level < 4; level++) {
        char *slash = strrchr(self, '/');
        if (slash == NULL) {
            return NULL;
        }
        *slash = '\0';
        for (size_t p = 0; p < 2; p++) {
            char *folder = xasprintf("%s%s/%s", self, PLACES[p], name);
            if (access(folder, R_OK | X_OK) == 0 && level > 0) {
                return folder;
            }
            free(folder);
        }
    }
    return NULL;
}

char *cli_scripts_root(const struct cli_args *args)
{
    const char *given = cli_option(args, "--scripts");
    if (given == NULL) {
        given = getenv("NEAP_SCRIPTS");
    }
    return given != NULL ? xstrdup(given) : find_beside_binary("scripts");
}

char *cli_examples_root(const struct cli_args *args)
{
    (void)args;
    const char *given = getenv("NEAP_EXAMPLES");
    return given != NULL ? xstrdup(given) : find_beside_binary("examples");
}

const char *cli_data_folder(const struct cli_args *args)
{
    const char *given = cli_option(args, "--data");
    if (given == NULL) {
        given = getenv("NEAP_DATA");
    }
    return given != NULL ? given : "data";
}

bool cli_has_store(const char *data, const char *name)
{
    char *file = xasprintf("%s/%s/data.mdb", data, name);
    bool is_there = name[0] != '.' && access(file, F_OK) == 0;
    free(file);
    return is_there;
}
