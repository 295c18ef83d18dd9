/* neap verify: is what lies in the data folder whole? Beside a running host or after one. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/ask.h"
#include "core/work/integrity.h"

#define VERIFY_ANSWER_MAX (16u << 20)
#define VERIFY_TOLD_MAX   1000 /* problems of one client that are told one by one */

struct verifying {
    const char *client;
    struct buf out;
    struct json_writer json;
    bool wants_json;
    uint64_t told;
    bool is_wrong;
    size_t clients;
};

static void tell(void *arg, const char *record, const char *problem)
{
    struct verifying *v = arg;
    if (v->told++ >= VERIFY_TOLD_MAX) {
        return;
    }
    if (v->wants_json) {
        json_object_begin(&v->json);
        json_member_str(&v->json, "record", record);
        json_member_str(&v->json, "problem", problem);
        json_object_end(&v->json);
    } else {
        buf_addf(&v->out, "%s: %s: %s\n", v->client, record, problem);
    }
}

static void sum_up(struct verifying *v, const struct integrity_report *report)
{
    if (v->wants_json) {
        json_array_end(&v->json);
        json_member_int(&v->json, "records", (int64_t)report->records);
        json_member_int(&v->json, "problems", (int64_t)report->problems);
        json_member_int(&v->json, "broken", (int64_t)report->broken);
        json_object_end(&v->json);
    } else {
        buf_addf(&v->out, "%s: %llu records, %llu problems, %llu broken records put aside\n",
                 v->client, (unsigned long long)report->records,
                 (unsigned long long)report->problems, (unsigned long long)report->broken);
    }
    v->is_wrong = v->is_wrong || report->problems > 0;
}

static int verify_store(struct verifying *v, struct store *store, struct error *err)
{
    struct work *work = NULL;
    struct integrity_report report;
    struct clock *clock = clock_new_system();
    struct work_options options = {
        .client = v->client, .store = store, .clock = clock, .is_read_only = true};
    int rc = work_open(&work, &options, err);
    if (rc == 0) {
        if (v->wants_json) {
            json_object_begin(&v->json);
            json_member_str(&v->json, "client", v->client);
            json_key(&v->json, "found");
            json_array_begin(&v->json);
        }
        v->told = 0;
        rc = integrity_check(work, tell, v, &report);
        sum_up(v, &report);
        if (rc != 0) {
            error_set(err, rc, "the store of %s cannot be read: %s", v->client,
                      error_code_name(rc));
        }
    }
    work_close(work);
    clock_free(clock);
    return rc;
}

static int verify_client(struct verifying *v, const char *data, struct error *err)
{
    char *path = xasprintf("%s/%s", data, v->client);
    struct store *store = NULL;
    struct store_options options = {.path = path, .is_read_only = true};
    int rc = store_open(&store, &options, err);
    rc = rc != 0 ? rc : verify_store(v, store, err);
    store_close(store);
    free(path);
    return rc;
}

static int verify_all(struct verifying *v, const char *data, const char *only, struct error *err)
{
    struct dirent **names = NULL;
    int count = scandir(data, &names, NULL, alphasort);
    int rc = count < 0 ? error_set(err, ERROR_IO, "there is no data folder %s", data) : 0;
    for (int i = 0; i < count; i++) {
        v->client = names[i]->d_name;
        bool is_wanted = only == NULL || strcmp(only, v->client) == 0;
        if (rc == 0 && is_wanted && cli_has_store(data, v->client)) {
            rc = verify_client(v, data, err);
            v->clients++;
        }
        free(names[i]);
    }
    free(names);
    if (rc == 0 && only != NULL && v->clients == 0) {
        rc = error_set(err, ERROR_NOT_FOUND, "there is no client %s in %s", only, data);
    }
    return rc;
}

static int run(const struct cli_args *args)
{
    struct verifying v = {.wants_json = cli_has(args, "--json")};
    struct error err = {0};
    buf_init(&v.out, VERIFY_ANSWER_MAX);
    json_writer_init(&v.json, &v.out);
    if (v.wants_json) {
        json_array_begin(&v.json);
    }
    int rc = verify_all(&v, cli_data_folder(args), cli_option(args, "--client"), &err);
    if (v.wants_json) {
        json_array_end(&v.json);
        buf_add_char(&v.out, '\n');
    }
    int code = v.is_wrong ? CLI_WRONG : CLI_OK;
    if (rc != 0) {
        code = cli_fail(args,
                        rc == ERROR_CORRUPT     ? CLI_WRONG
                        : rc == ERROR_NOT_FOUND ? CLI_NOT_FOUND
                                                : CLI_UNREACHABLE,
                        "%s", err.message);
    } else {
        fputs(buf_text(&v.out), stdout);
    }
    buf_free(&v.out);
    return code;
}

const struct cli_verb CLI_VERIFY = {
    .name = "verify",
    .summary = "is what lies in the data folder whole?",
    .usage = "neap verify [--data DIR] [--client NAME]",
    .details =
        "Reads every record and holds it against those it must agree with: jobs with their shelf,\n"
        "inbox and event, effects with their indexes and bytes, causes with the jobs that wait,\n"
        "aliases, links, numbers, the audit chain. Writes nothing; runs beside a serving host, on\n"
        "one moment's snapshot. For after a restore, or when something looks odd.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS, {NULL, NULL, NULL}},
    .run = run,
};
