/* neap order REF: facts, jobs, causes, timeline and penny trail of one key, with the jobs and the
 * timeline of the keys that are about it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/ops/admin_private.h"
#include "core/work/dossier.h"
#include "core/work/effect.h"
#include "core/work/exception.h"
#include "core/work/inbox.h"
#include "core/work/job.h"
#include "core/work/timeline.h"

/* ---- Finding the key ------------------------------------------------------------------------- */

struct search {
    struct work *work;
    const char *ref;
    char *key;
    uint64_t found;
};

static int match_link(void *arg, const char *system, const char *id)
{
    (void)system;
    struct search *s = arg;
    return strcmp(id, s->ref) == 0;
}

static bool ends_in_part(const char *key, const char *part)
{
    size_t key_size = strlen(key);
    size_t size = strlen(part);
    return key_size > size && strcmp(key + key_size - size, part) == 0 &&
           key[key_size - size - 1] == ':';
}

/* A key answers to its last part, to a word of its title and to any of its links; one that ends in
 * the key that was found ("units:order:fo:7") is that one's business. */
static int match_key(void *arg, const char *key, const struct dossier_facts *facts)
{
    struct search *s = arg;
    size_t ref_size = strlen(s->ref);
    if (s->key != NULL && ends_in_part(key, s->key)) {
        return 0;
    }
    bool is_tail = ends_in_part(key, s->ref);
    const char *title = facts->title == NULL ? "" : facts->title;
    size_t title_size = strlen(title);
    bool is_title = title_size > ref_size && title[title_size - ref_size - 1] == ' ' &&
                    strcmp(title + title_size - ref_size, s->ref) == 0;
    if (is_tail || is_title || dossier_each_link(s->work, key, match_link, s) != 0) {
        free(s->key);
        s->key = xstrdup(key);
        s->found++;
    }
    return s->found > 1;
}

static int is_any(void *arg, const struct job_info *info)
{
    (void)arg;
    (void)info;
    return 1;
}

char *admin_find_key(struct work *work, const char *ref, uint64_t *found_out)
{
    char *key = inbox_resolve(work, ref);
    if (key != NULL && (strcmp(key, ref) != 0 || job_each_of_key(work, key, is_any, NULL) != 0)) {
        *found_out = 1;
        return key;
    }
    free(key);
    struct search s = {.work = work, .ref = ref};
    dossier_each(work, "", match_key, &s);
    *found_out = s.found;
    if (s.found != 1) {
        free(s.key);
        s.key = NULL;
    }
    return s.key;
}

/* ---- Related keys and the timeline of all -----------------------------------------------------
 */

struct name_list {
    char **names; /* owned; the key itself first */
    size_t count;
};

static int add_name(void *arg, const char *name)
{
    struct name_list *list = arg;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return 0;
        }
    }
    list->names = xrealloc(list->names, (list->count + 1) * sizeof(*list->names));
    list->names[list->count++] = xstrdup(name);
    return 0;
}

static void find_names(struct work *work, const char *key, struct name_list *list)
{
    memset(list, 0, sizeof(*list));
    add_name(list, key);
    inbox_each_related(work, key, add_name, list);
}

static void name_list_free(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
}

struct line {
    struct timeline_entry entry; /* its texts are owned */
    const char *other;           /* the related key; NULL: the order's own. In the name list */
};

struct line_list {
    struct line *lines;
    size_t count;
    size_t capacity;
    const char *other;
};

static int add_line(void *arg, const struct timeline_entry *entry)
{
    struct line_list *list = arg;
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        list->lines = xrealloc(list->lines, list->capacity * sizeof(*list->lines));
    }
    struct line *line = &list->lines[list->count++];
    line->entry = *entry;
    line->entry.kind = xstrdup(entry->kind);
    line->entry.text = xstrdup(entry->text);
    line->entry.data_json = entry->data_json == NULL ? NULL : xstrdup(entry->data_json);
    line->other = list->other;
    return 0;
}

/* One sequence numbers the lines of all keys. */
static int by_seq(const void *a, const void *b)
{
    const struct line *first = a;
    const struct line *second = b;
    return (first->entry.seq > second->entry.seq) - (first->entry.seq < second->entry.seq);
}

static void find_lines(struct work *work, const struct name_list *names, struct line_list *list)
{
    memset(list, 0, sizeof(*list));
    for (size_t i = 0; i < names->count; i++) {
        list->other = i == 0 ? NULL : names->names[i];
        timeline_each(work, names->names[i], false, add_line, list);
    }
    if (list->count > 0) {
        qsort(list->lines, list->count, sizeof(*list->lines), by_seq);
    }
}

static void line_list_free(struct line_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)list->lines[i].entry.kind);
        free((char *)list->lines[i].entry.text);
        free((char *)list->lines[i].entry.data_json);
    }
    free(list->lines);
}

/* ---- Text -------------------------------------------------------------------------------------
 */

static int print_link(void *arg, const char *system, const char *id)
{
    struct admin_context *c = arg;
    buf_addf(c->out, "  %s %s\n", system, id);
    return 0;
}

static int print_cause(void *arg, const struct exception *e)
{
    struct admin_context *c = arg;
    buf_addf(c->out, "    held on %s%s%s: %s\n", e->cause, e->subject[0] == '\0' ? "" : " ",
             e->subject, e->message);
    return 0;
}

static int print_job(void *arg, const struct job_info *info)
{
    struct admin_context *c = arg;
    buf_addf(c->out, "  job %" PRIu64 " %s: %s, attempt %u%s%s\n", info->id, info->flow,
             job_state_name(info->state), info->attempt, info->reason[0] == '\0' ? "" : ", ",
             info->reason);
    if (info->last_error[0] != '\0') {
        buf_addf(c->out, "    last error: %s\n", info->last_error);
    }
    exception_each_of_job(c->client->work, info->id, print_cause, c);
    return 0;
}

static void print_lines(struct admin_context *c, const struct name_list *names)
{
    struct line_list list;
    find_lines(c->client->work, names, &list);
    buf_add_str(c->out, "timeline\n");
    for (size_t i = 0; i < list.count; i++) {
        const struct line *line = &list.lines[i];
        char at[32];
        json_format_instant(line->entry.at_ms, at);
        buf_addf(c->out, "  %s  %-10s %s%s%s%s\n", at, line->entry.kind,
                 line->other == NULL ? "" : "[", line->other == NULL ? "" : line->other,
                 line->other == NULL ? "" : "] ", line->entry.text);
    }
    line_list_free(&list);
}

static void print_jobs(struct admin_context *c, const struct name_list *names)
{
    buf_add_str(c->out, "jobs\n");
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0) {
            buf_addf(c->out, "jobs of %s\n", names->names[i]);
        }
        job_each_of_key(c->client->work, names->names[i], print_job, c);
    }
}

static void print_deadlines(struct admin_context *c, const struct dossier_facts *facts)
{
    struct bytes list;
    struct bytes deadline;
    if (facts->json == NULL || !json_find(bytes_str(facts->json), "deadlines", &list)) {
        return;
    }
    while (json_next(&list, &deadline)) {
        struct bytes name;
        struct bytes at;
        int64_t at_ms = 0;
        struct buf text;
        buf_init(&text, 1024);
        if (json_find(deadline, "name", &name) && json_find(deadline, "at_ms", &at) &&
            json_integer(at, &at_ms) && json_text(name, &text)) {
            char instant[32];
            char distance[32];
            json_format_instant(at_ms, instant);
            admin_format_distance(at_ms - c->view->now_ms, distance, sizeof(distance));
            buf_addf(c->out, "  %s: %s (%s)\n", buf_text(&text), instant, distance);
        }
        buf_free(&text);
    }
}

static void print_trail(struct admin_context *c, struct bytes trail)
{
    struct bytes lines;
    struct bytes line;
    buf_add_str(c->out, "penny trail\n");
    if (!json_find(trail, "lines", &lines)) {
        return;
    }
    while (json_next(&lines, &line)) {
        buf_add_str(c->out, "  ");
        json_text(line, c->out);
        buf_add_char(c->out, '\n');
    }
}

static void print_order(struct admin_context *c, const char *key)
{
    struct work *work = c->client->work;
    struct dossier_facts facts;
    memset(&facts, 0, sizeof(facts));
    bool has_facts = dossier_get_facts(work, key, &facts) == 0;
    buf_addf(c->out, "%s %s\n", c->client->name, key);
    if (has_facts) {
        char money[32] = "";
        if (facts.currency != NULL && facts.currency[0] != '\0') {
            admin_format_minor(facts.amount_minor, facts.currency, money, sizeof(money));
        }
        buf_addf(c->out, "  %s  %s %s  %s\n", facts.title ? facts.title : "",
                 facts.currency ? facts.currency : "", money, facts.state ? facts.state : "");
        print_deadlines(c, &facts);
    }
    dossier_each_link(work, key, print_link, c);
    struct name_list names;
    find_names(work, key, &names);
    print_jobs(c, &names);
    print_lines(c, &names);
    name_list_free(&names);
    struct bytes trail;
    if (dossier_get_trail(work, key, &trail) == 0) {
        print_trail(c, trail);
    }
    dossier_facts_free(&facts);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static int json_link(void *arg, const char *system, const char *id)
{
    json_member_str(arg, system, id);
    return 0;
}

static int json_cause(void *arg, const struct exception *e)
{
    struct json_writer *w = arg;
    json_object_begin(w);
    json_member_str(w, "cause", e->cause);
    json_member_str(w, "subject", e->subject);
    json_member_str(w, "message", e->message);
    json_object_end(w);
    return 0;
}

/* The event that made the job: what to look for on the other side. */
static void json_event(struct json_writer *w, struct work *work, uint64_t seq)
{
    struct event_record event;
    if (event_load(work, seq, &event) != 0) {
        return;
    }
    json_member_str(w, "source", event.source);
    json_member_str(w, "event", event.id);
    event_record_free(&event);
}

static int json_job(void *arg, const struct job_info *info)
{
    struct admin_context *c = arg;
    struct json_writer *w = &c->json;
    json_object_begin(w);
    json_member_int(w, "id", (int64_t)info->id);
    json_member_str(w, "flow", info->flow);
    json_event(w, c->client->work, info->event_seq);
    json_member_str(w, "state", job_state_name(info->state));
    json_member_int(w, "attempt", info->attempt);
    json_member_str(w, "reason", info->reason);
    json_member_str(w, "last_error", info->last_error);
    json_member_int(w, "created_ms", info->created_ms);
    json_member_int(w, "until_ms", info->until_ms);
    json_key(w, "causes");
    json_array_begin(w);
    exception_each_of_job(c->client->work, info->id, json_cause, w);
    json_array_end(w);
    json_object_end(w);
    return 0;
}

static int json_effect(void *arg, const struct effect *effect)
{
    struct json_writer *w = arg;
    json_object_begin(w);
    json_member_str(w, "connection", effect->connection);
    json_member_str(w, "name", effect->name);
    json_member_str(w, "key", effect->key);
    json_member_str(w, "state", effect_state_name(effect->state));
    json_member_int(w, "attempts", effect->attempts);
    json_object_end(w);
    return 0;
}

static void json_line(struct json_writer *w, const struct line *line)
{
    const struct timeline_entry *entry = &line->entry;
    json_object_begin(w);
    if (line->other != NULL) {
        json_member_str(w, "key", line->other);
    }
    json_member_int(w, "at_ms", entry->at_ms);
    json_member_int(w, "job", (int64_t)entry->job_id);
    json_member_str(w, "kind", entry->kind);
    json_member_str(w, "text", entry->text);
    if (entry->data_json != NULL && entry->data_json[0] != '\0') {
        json_key(w, "data");
        json_raw(w, bytes_str(entry->data_json));
    }
    json_object_end(w);
}

/* The jobs of the related keys, and the timeline of all. */
static void json_related(struct admin_context *c, const struct name_list *names)
{
    struct json_writer *w = &c->json;
    json_key(w, "related");
    json_array_begin(w);
    for (size_t i = 1; i < names->count; i++) {
        json_object_begin(w);
        json_member_str(w, "key", names->names[i]);
        json_key(w, "jobs");
        json_array_begin(w);
        job_each_of_key(c->client->work, names->names[i], json_job, c);
        json_array_end(w);
        json_key(w, "open_effects");
        json_array_begin(w);
        effect_each_open(c->client->work, names->names[i], json_effect, w);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
    struct line_list list;
    find_lines(c->client->work, names, &list);
    json_key(w, "timeline");
    json_array_begin(w);
    for (size_t i = 0; i < list.count; i++) {
        json_line(w, &list.lines[i]);
    }
    json_array_end(w);
    line_list_free(&list);
}

static void write_order_json(struct admin_context *c, const char *key)
{
    struct work *work = c->client->work;
    struct json_writer *w = &c->json;
    struct dossier_facts facts;
    memset(&facts, 0, sizeof(facts));
    bool has_facts = dossier_get_facts(work, key, &facts) == 0 && facts.json != NULL;
    json_object_begin(w);
    json_member_str(w, "client", c->client->name);
    json_member_str(w, "key", key);
    json_key(w, "facts");
    json_raw(w, bytes_str(has_facts ? facts.json : "null"));
    json_key(w, "links");
    json_object_begin(w);
    dossier_each_link(work, key, json_link, w);
    json_object_end(w);
    json_key(w, "jobs");
    json_array_begin(w);
    job_each_of_key(work, key, json_job, c);
    json_array_end(w);
    json_key(w, "open_effects");
    json_array_begin(w);
    effect_each_open(c->client->work, key, json_effect, w);
    json_array_end(w);
    struct name_list names;
    find_names(work, key, &names);
    json_related(c, &names);
    name_list_free(&names);
    struct bytes trail;
    if (dossier_get_trail(work, key, &trail) == 0) {
        json_key(w, "trail");
        json_raw(w, trail);
    }
    json_object_end(w);
    buf_add_char(c->out, '\n');
    dossier_facts_free(&facts);
}

int admin_order(struct admin_context *c)
{
    const char *ref = admin_word(c, 1);
    if (ref == NULL) {
        return admin_fail(c, ADMIN_USAGE,
                          "say which: its number, key, shop reference or Khaos order code");
    }
    uint64_t most = 0;
    for (size_t i = 0; i < c->view->count; i++) {
        c->client = &c->view->clients[i];
        if (!admin_wants_client(c, c->client)) {
            continue;
        }
        uint64_t found = 0;
        char *key = admin_find_key(c->client->work, ref, &found);
        most = found > most ? found : most;
        if (key != NULL) {
            if (c->request->wants_json) {
                write_order_json(c, key);
            } else {
                print_order(c, key);
            }
            free(key);
            return ADMIN_OK;
        }
    }
    if (most > 1) {
        return admin_fail(c, ADMIN_USAGE, "more than one order answers to %s: give the whole key",
                          ref);
    }
    return admin_fail(c, ADMIN_NOT_FOUND, "no order answers to %s", ref);
}
