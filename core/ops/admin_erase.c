/* neap erase REF: the personal data of one key go. Words after REF: "force", "title". */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/ops/admin_private.h"
#include "core/work/erasure.h"

static bool has_word(const struct admin_context *c, const char *word)
{
    for (size_t i = 2; admin_word(c, i) != NULL; i++) {
        if (strcmp(admin_word(c, i), word) == 0) {
            return true;
        }
    }
    return false;
}

/* The one key that ref names among the clients asked about; NULL and *found_out: none or many. */
static char *find_one(struct admin_context *c, const char *ref, uint64_t *found_out)
{
    char *key = NULL;
    *found_out = 0;
    for (size_t i = 0; i < c->view->count; i++) {
        const struct ops_client *client = &c->view->clients[i];
        uint64_t found = 0;
        char *found_key =
            admin_wants_client(c, client) ? admin_find_key(client->work, ref, &found) : NULL;
        *found_out += found;
        if (found_key != NULL && key == NULL) {
            key = found_key;
            c->client = client;
        } else {
            free(found_key);
        }
    }
    if (*found_out != 1) {
        free(key);
        key = NULL;
    }
    return key;
}

static const struct {
    const char *name;
    const char *words;
    size_t offset;
} FIGURES[] = {
    {"payloads", "payloads of events", offsetof(struct erasure_report, payloads)},
    {"documents", "documents kept by jobs", offsetof(struct erasure_report, documents)},
    {"timeline_lines", "lines of the timeline", offsetof(struct erasure_report, timeline_lines)},
    {"trails", "penny trails", offsetof(struct erasure_report, trails)},
    {"facts", "sets of facts (amount, deadlines, state kept)",
     offsetof(struct erasure_report, facts)},
    {"effects", "effects' requests and answers", offsetof(struct erasure_report, effects)},
    {"steps", "step memos", offsetof(struct erasure_report, steps)},
    {"records", "records of scripts' tables", offsetof(struct erasure_report, records)},
    {"errors", "error texts", offsetof(struct erasure_report, errors)},
    {"broken", "broken records", offsetof(struct erasure_report, broken)},
    {"jobs_dismissed", "open jobs dismissed", offsetof(struct erasure_report, jobs_dismissed)},
};

static uint64_t figure_of(const struct erasure_report *report, size_t i)
{
    return *(const uint64_t *)(const void *)((const char *)report + FIGURES[i].offset);
}

static void print_report(struct admin_context *c, const char *key,
                         const struct erasure_report *report)
{
    buf_addf(c->out, "%s %s: personal data %s\n", c->client->name, key,
             c->request->is_dry_run ? "that would be erased" : "erased");
    for (size_t i = 0; i < sizeof(FIGURES) / sizeof(FIGURES[0]); i++) {
        if (figure_of(report, i) > 0) {
            buf_addf(c->out, "  %" PRIu64 " %s\n", figure_of(report, i), FIGURES[i].words);
        }
    }
    if (!c->request->is_dry_run) {
        buf_add_str(c->out, "Its bytes leave the data file when the store is compacted: at once "
                            "when the host is\nstopped, else within a minute, or at the next start "
                            "when the store is large.\nBackups made before still hold them; a "
                            "restored one is erased again.\n");
    }
}

static void write_report(struct admin_context *c, const char *key,
                         const struct erasure_report *report)
{
    struct json_writer *w = &c->json;
    json_object_begin(w);
    json_member_str(w, "act", "erase");
    json_member_str(w, "client", c->client->name);
    json_member_str(w, "key", key);
    json_member_bool(w, "dry_run", c->request->is_dry_run);
    json_key(w, "erased");
    json_object_begin(w);
    for (size_t i = 0; i < sizeof(FIGURES) / sizeof(FIGURES[0]); i++) {
        json_member_int(w, FIGURES[i].name, (int64_t)figure_of(report, i));
    }
    json_object_end(w);
    json_object_end(w);
    buf_add_char(c->out, '\n');
}

static int erase_key(struct admin_context *c, const char *key)
{
    struct erasure_report report;
    struct error err;
    struct erasure_request request = {
        .key = key,
        .who = c->request->who,
        .reason = c->request->reason,
        .with_title = has_word(c, "title"),
        .is_forced = has_word(c, "force"),
        .is_dry_run = c->request->is_dry_run,
    };
    if (erasure_apply(c->client->work, &request, &report, &err) != 0) {
        return admin_fail(c, ADMIN_WRONG, "nothing was erased: %s", err.message);
    }
    if (c->request->wants_json) {
        write_report(c, key, &report);
    } else {
        print_report(c, key, &report);
    }
    return ADMIN_OK;
}

int admin_erase(struct admin_context *c)
{
    const char *ref = admin_word(c, 1);
    if (ref == NULL) {
        return admin_fail(c, ADMIN_USAGE, "say whose: neap erase REF --reason \"...\"");
    }
    if (c->request->reason == NULL || c->request->reason[0] == '\0') {
        return admin_fail(c, ADMIN_USAGE,
                          "erase needs --reason \"...\": it goes to the audit "
                          "chain");
    }
    if (!c->view->is_live) {
        return admin_fail(c, ADMIN_UNREACHABLE, "erase cannot work on data opened for reading");
    }
    uint64_t found = 0;
    char *key = find_one(c, ref, &found);
    if (key == NULL && found > 1) {
        return admin_fail(c, ADMIN_USAGE,
                          "more than one order answers to %s: give the whole key, and --client",
                          ref);
    }
    if (key == NULL) {
        return admin_fail(c, ADMIN_NOT_FOUND, "no order answers to %s", ref);
    }
    int code = erase_key(c, key);
    free(key);
    return code;
}
