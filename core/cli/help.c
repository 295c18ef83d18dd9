/* neap help, neap version. */
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <lmdb.h>

#include "core/base/json_writer.h"
#include "core/cli/cli.h"
#include "neap/version.h"

static int run_help(const struct cli_args *args)
{
    if (args->word_count > 0) {
        return cli_fail(args, CLI_NOT_FOUND, "there is no verb \"%s\"", args->words[0]);
    }
    printf("Neap %s, a scripted integration host.\n\nusage: neap VERB [options] [arguments]\n\n",
           neap_version());
    for (size_t i = 0; CLI_VERBS[i] != NULL; i++) {
        printf("  %-12s %s\n", CLI_VERBS[i]->name, CLI_VERBS[i]->summary);
    }
    printf("\nneap VERB --help tells the rest. Every verb takes --json.\n");
    return CLI_OK;
}

const struct cli_verb CLI_HELP = {
    .name = "help",
    .summary = "what neap can do; neap help VERB for one verb",
    .usage = "neap help [VERB]",
    .run = run_help,
};

static int run_version(const struct cli_args *args)
{
    if (!cli_has(args, "--json")) {
        printf("neap %s\n", neap_version());
        return CLI_OK;
    }
    struct buf out;
    buf_init(&out, 4096);
    struct json_writer w;
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_member_str(&w, "neap", neap_version());
    json_member_str(&w, "libcurl", curl_version_info(CURLVERSION_NOW)->version);
    json_member_str(&w, "libevent", event_get_version());
    json_member_str(&w, "lmdb", mdb_version(NULL, NULL, NULL));
    json_object_end(&w);
    printf("%s\n", buf_text(&out));
    buf_free(&out);
    return CLI_OK;
}

const struct cli_verb CLI_VERSION = {
    .name = "version",
    .summary = "the version (with --json: of the libraries too)",
    .usage = "neap version",
    .run = run_version,
};
