/* neap new: a client folder that passes check and test, copied from examples/template. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/buf.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/cli.h"
#include "core/cli/files.h"

#define NEW_FILE_MAX (1u << 20)
#define NEW_LIST_MAX (1u << 20)
#define NAME_MARK    "{{name}}"

struct copying {
    const struct cli_args *args;
    const char *from;
    const char *to;
    const char *name;
    struct json_writer *json; /* NULL: text */
    bool is_dry_run;
};

/* ---- One file
 * ------------------------------------------------------------------------------------- */

static void fill_in(const char *text, const char *name, struct buf *out)
{
    for (const char *mark = strstr(text, NAME_MARK); mark != NULL; mark = strstr(text, NAME_MARK)) {
        buf_add(out, text, (size_t)(mark - text));
        buf_add_str(out, name);
        text = mark + strlen(NAME_MARK);
    }
    buf_add_str(out, text);
}

static int copy_file(const struct copying *c, const char *from, const char *to)
{
    struct buf template;
    struct buf text;
    buf_init(&template, NEW_FILE_MAX);
    buf_init(&text, NEW_FILE_MAX);
    int rc = files_read(from, &template);
    if (rc == 0) {
        fill_in(buf_text(&template), c->name, &text);
        rc = text.has_failed ? ERROR_LIMIT : files_write(to, buf_bytes(&text), false);
    }
    buf_free(&template);
    buf_free(&text);
    return rc;
}

/* ---- The folder
 * ------------------------------------------------------------------------------------- */

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int copy_entry(const struct copying *c, const FTSENT *entry)
{
    const char *below = entry->fts_path + strlen(c->from);
    char *to = xasprintf("%s%s", c->to, below);
    int rc = 0;
    if (entry->fts_info == FTS_F) {
        rc = c->is_dry_run ? 0 : copy_file(c, entry->fts_accpath, to);
        if (c->json != NULL) {
            json_str(c->json, to);
        } else {
            printf("  %s\n", to);
        }
    } else if (entry->fts_info == FTS_D && !c->is_dry_run) {
        rc = mkdir(to, 0777) == 0 || errno == EEXIST ? 0 : ERROR_IO;
    }
    if (rc != 0) {
        cli_fail(c->args, CLI_WRONG, "cannot write %s: %s", to, strerror(errno));
    }
    free(to);
    return rc;
}

static int copy_folder(const struct copying *c)
{
    char *roots[] = {(char *)c->from, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, compare_entries);
    if (walk == NULL) {
        return cli_fail(c->args, CLI_NOT_FOUND, "there is no %s", c->from);
    }
    int rc = 0;
    for (FTSENT *entry = fts_read(walk); entry != NULL && rc == 0; entry = fts_read(walk)) {
        rc = copy_entry(c, entry);
    }
    fts_close(walk);
    return rc == 0 ? CLI_OK : CLI_WRONG;
}

/* mkdir -p of what is above the new folder. */
static int make_parents(const struct cli_args *args, const char *folder)
{
    char *path = xstrdup(folder);
    int rc = CLI_OK;
    for (char *slash = strchr(path + 1, '/'); slash != NULL && rc == CLI_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            rc = cli_fail(args, CLI_WRONG, "cannot make %s: %s", path, strerror(errno));
        }
        *slash = '/';
    }
    free(path);
    return rc;
}

/* An empty folder is as good as none. */
static bool is_free(const char *folder)
{
    struct stat info;
    if (stat(folder, &info) != 0) {
        return true;
    }
    DIR *dir = opendir(folder);
    size_t count = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        count++; /* "." and ".." too */
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return dir != NULL && count <= 2;
}

/* ---- The verb
 * ------------------------------------------------------------------------------------- */

static bool is_client_name(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return size > 0 && name[size] == '\0';
}

static void print_next_steps(const char *folder)
{
    printf("\nNext:\n"
           "  neap check %s            is it right? after every change\n"
           "  neap test %s             its golden cases; add one per real order that matters\n"
           "  edit %s/client.lua and %s/mappings/*.lua: they hold examples, not your client\n"
           "  neap run --client %s --set SCAYLE_URL=... --set KHAOS_URL=... --secrets DIR\n",
           folder, folder, folder, folder, folder);
}

static int create(struct copying *c, const char *folder)
{
    struct buf list;
    struct json_writer w;
    buf_init(&list, NEW_LIST_MAX);
    json_writer_init(&w, &list);
    json_object_begin(&w);
    json_member_str(&w, "folder", folder);
    json_member_str(&w, "name", c->name);
    json_member_bool(&w, "dry_run", c->is_dry_run);
    json_key(&w, "files");
    json_array_begin(&w);
    bool is_json = cli_has(c->args, "--json");
    c->json = is_json ? &w : NULL;
    if (!is_json) {
        printf("%s %s (client %s)\n", c->is_dry_run ? "would make" : "made", folder, c->name);
    }
    int rc = c->is_dry_run ? CLI_OK : make_parents(c->args, folder);
    rc = rc == CLI_OK ? copy_folder(c) : rc;
    c->json = NULL;
    json_array_end(&w);
    json_object_end(&w);
    if (rc == CLI_OK && is_json) {
        printf("%s\n", buf_text(&list));
    } else if (rc == CLI_OK && !c->is_dry_run) {
        print_next_steps(folder);
    }
    buf_free(&list);
    return rc;
}

/* The last part of the path, without slashes at the end. */
static char *name_of_folder(const char *folder)
{
    char *path = xstrdup(folder);
    for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--) {
        path[size - 1] = '\0';
    }
    const char *slash = strrchr(path, '/');
    char *name = xstrdup(slash == NULL ? path : slash + 1);
    free(path);
    return name;
}

static int run_new(const struct cli_args *args)
{
    if (args->word_count != 1) {
        return cli_fail(args, CLI_USAGE, "say where: neap new DIR");
    }
    const char *folder = args->words[0];
    bool is_dry_run = cli_has(args, "--dry-run");
    const char *given = cli_option(args, "--name");
    char *name = given != NULL ? xstrdup(given) : name_of_folder(folder);
    char *examples = cli_examples_root(args);
    char *from = xasprintf("%s/template", examples == NULL ? "" : examples);
    struct stat info;
    int rc = CLI_OK;
    if (!is_client_name(name)) {
        rc = cli_fail(
            args, CLI_USAGE,
            "\"%s\" is no name for a client: letters, digits, \"-\" and \"_\" (--name NAME)", name);
    } else if (examples == NULL || stat(from, &info) != 0) {
        rc = cli_fail(args, CLI_NOT_FOUND, "the template is nowhere: set NEAP_EXAMPLES");
    } else if (!is_free(folder)) {
        rc = cli_fail(args, CLI_WRONG, "%s is there already and not empty", folder);
    }
    if (rc == CLI_OK) {
        struct copying copying = {
            .args = args, .from = from, .to = folder, .name = name, .is_dry_run = is_dry_run};
        rc = create(&copying, folder);
    }
    free(from);
    free(examples);
    free(name);
    return rc;
}

const struct cli_verb CLI_NEW = {
    .name = "new",
    .summary = "a new client that passes check and test",
    .usage = "neap new [options] DIR",
    .details = "Copies the template: manifest, mappings, a place for own stages, golden cases of "
               "every flow.",
    .options = (const struct cli_option[]){{"--name", "NAME",
                                            "of the client (default: that of the folder)"},
                                           {"--dry-run", NULL, "list the files, write nothing"},
                                           {NULL, NULL, NULL}},
    .run = run_new,
};
