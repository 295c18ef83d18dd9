/* Erasure: what goes and what stays, that the bytes leave the file, and that a restore cannot bring
 * them back. */
#define _GNU_SOURCE /* memmem */
#include "core/work/erasure.h"

#include <sys/stat.h>

#include "core/base/buf.h"
#include "core/work/document.h"
#include "core/work/event_record.h"
#include "core/work/script_table.h"
#include "tests/support/work_world.h"

#define KEY "order:5001"
/* In everything personal that the test stores. */
#define NAME "Marchbanks"

static const struct effect_spec post = {"khaos", "post", "5001", EFFECT_LOOKUP, "fp", NULL};
static uint64_t effect_id;
static char journal[96];
static bool fails_at_the_end;

static enum slice_end post_once(struct job *job, struct failure *failure)
{
    struct effect effect;
    struct bytes json;
    CHECK_INT(effect_find(job->work, &post, &effect), 0);
    enum effect_state state = effect.state;
    effect_free(&effect);
    if (state == EFFECT_CONFIRMED) {
        return fails_at_the_end ? world_fail(failure, "no such town for " NAME, false) : SLICE_DONE;
    }
    if (step_find(job, "fetch", &json) == ERROR_NOT_FOUND) {
        CHECK_INT(step_put(job, "fetch", bytes_str("{\"name\":\"" NAME "\"}")), 0);
    }
    CHECK_INT(document_put(job->work, job->info.id, "mapping", bytes_str("\"" NAME "\"")), 0);
    if (state == EFFECT_NONE) {
        CHECK_INT(effect_intend(job, &post, bytes_str("<name>" NAME "</name>"), &effect_id), 0);
    }
    return SLICE_SUSPENDED;
}

static enum slice_end hold_it(struct job *job, struct failure *failure)
{
    (void)failure;
    return world_hold(job, "address", job->info.key, RECHECK_MANUAL);
}

static uint64_t accept_named(struct world *w, const char *key, const char *id, const char *payload)
{
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = "order.placed",
                              .flow = "orders",
                              .payload = bytes_str(payload)};
    return world_accept(w, &event);
}

static void keep_dossier(struct world *w, const char *key)
{
    struct dossier_facts facts = {
        .title = (char[]){"SCAYLE order 5001"},
        .state = (char[]){"held: the town of " NAME " is too long"},
        .currency = (char[]){"GBP"},
        .amount_minor = 16492,
        .deadline_ms = WORLD_START_MS + 900,
        .json = (char[]){"{\"amount\":{\"currency\":\"GBP\",\"minor\":16492},\"customer\":\"" NAME
                         "\",\"deadlines\":[{\"at_ms\":1800000000900,\"name\":\"promise\"}],"
                         "\"title\":\"SCAYLE order 5001\"}"}};
    CHECK_INT(dossier_put_facts(w->work, key, &facts), 0);
    CHECK_INT(dossier_put_trail(w->work, key, bytes_str("{\"lines\":[\"" NAME "\"]}")), 0);
    CHECK_INT(dossier_put_link(w->work, key, "khaos", "SO1"), 0);
    for (int i = 0; i < 40; i++) {
        struct timeline_entry line = {.kind = "note", .text = "to " NAME, .data_json = "{}"};
        CHECK_INT(timeline_add(w->work, key, &line), 0);
        CHECK_INT(timeline_add(w->work, "order:6000", &line), 0);
        line.text = "somebody else";
        CHECK_INT(timeline_add(w->work, "order:5002", &line), 0);
    }
    struct exception_cause cause = {"address", key, NAME " lives nowhere", "", RECHECK_MANUAL};
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "corrected"};
    CHECK_INT(exception_open(w->work, &cause), 0);
    CHECK_INT(exception_close(w->work, "address", key, &closing), 0);
}

static const struct {
    const char *table;
    const char *key;
    bool goes;
} RECORDS[] = {{"personal_a", KEY, true},
               {"personal_documents", KEY, true},
               {"personal_documents", KEY "\nSC5001", true},
               {"personal_documents", "ref:ABC\nSC5001", true},
               {"personal_documents", KEY "0", false},
               {"personal_documents", "order:4001\n" KEY, false},
               {"personal_", KEY, false}, /* a name alone is no personal table */
               {"orders", KEY, false},
               {"zones", KEY "\nSC5001", false}};

static void keep_records(struct world *w)
{
    for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++) {
        CHECK_INT(script_table_put(w->work, bytes_str(RECORDS[i].table), bytes_str(RECORDS[i].key),
                                   bytes_str(RECORDS[i].goes ? "\"" NAME "\"" : "\"\"")),
                  0);
    }
}

static void check_records(struct world *w)
{
    for (size_t i = 0; i < sizeof(RECORDS) / sizeof(RECORDS[0]); i++) {
        struct bytes json;
        CHECK_INT(script_table_get(w->work, bytes_str(RECORDS[i].table), bytes_str(RECORDS[i].key),
                                   &json),
                  RECORDS[i].goes ? ERROR_NOT_FOUND : 0);
    }
}

/* An order that came under its alias first, was posted and is done. */
static struct world *open_order(uint64_t *id_out)
{
    struct world *w = world_open(post_once);
    snprintf(journal, sizeof journal, "%.63s.erasures", w->folder);
    struct error err;
    CHECK_INT(erasure_attach(w->work, journal, &err), 0);
    world_overtake(w, "ref:ABC", "order.noticed", EVENT_IDLE_KEEP);
    struct timeline_entry line = {.kind = "note", .text = NAME " called"};
    CHECK_INT(timeline_add(w->work, "ref:ABC", &line), 0);
    *id_out = accept_named(w, KEY, "a", "{\"name\":\"" NAME "\"}");
    CHECK_INT(inbox_alias(w->work, KEY, "ref:ABC"), 0);
    world_settle(w);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("<ok>" NAME "</ok>")), 0);
    CHECK_INT(effect_confirm(w->work, effect_id, bytes_str("{\"code\":\"SO1\"}")), 0);
    job_wake(job_find_live(w->work, *id_out));
    world_settle(w);
    keep_dossier(w, KEY);
    keep_records(w);
    world_settle(w);
    return w;
}

/* world_close removes the world's folder; the journal is beside it. */
static void close_order(struct world *w)
{
    world_close(w);
    unlink(journal);
    fails_at_the_end = false;
}

static int erase(struct world *w, bool is_forced, bool is_dry_run, struct erasure_report *report)
{
    struct erasure_request request = {.key = KEY,
                                      .who = "eve",
                                      .reason = "asked by letter",
                                      .is_forced = is_forced,
                                      .is_dry_run = is_dry_run};
    struct error err;
    return erasure_apply(w->work, &request, report, &err);
}

static size_t count_in_file(const char *folder)
{
    char path[128];
    struct buf all;
    char chunk[65536];
    size_t got;
    size_t count = 0;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    buf_init(&all, UINT64_C(256) << 20);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    while (file != NULL && (got = fread(chunk, 1, sizeof chunk, file)) > 0) {
        CHECK_INT(buf_add(&all, chunk, got), 0);
    }
    if (file != NULL) {
        fclose(file);
    }
    const char *at = all.data;
    while (at != NULL &&
           (at = memmem(at, all.size - (size_t)(at - all.data), NAME, strlen(NAME))) != NULL) {
        at++;
        count++;
    }
    buf_free(&all);
    return count;
}

static int count_line(void *arg, const struct timeline_entry *entry)
{
    CHECK(strstr(entry->text, NAME) == NULL);
    (*(int *)arg)++;
    return 0;
}

static int lines_of(struct world *w, const char *key)
{
    int count = 0;
    CHECK_INT(timeline_each(w->work, key, false, count_line, &count), 0);
    return count;
}

/* ---- What goes, what stays ---------------------------------------------------------------------
 */

static void check_kept(struct world *w, uint64_t id)
{
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.state, EFFECT_CONFIRMED);
    CHECK_STR(effect.fingerprint, "fp");
    CHECK_STR(effect.result, "{\"code\":\"SO1\"}");
    CHECK(effect.request == NULL && effect.answer == NULL);
    effect_free(&effect);
    struct dossier_facts facts;
    CHECK_INT(dossier_get_facts(w->work, KEY, &facts), 0);
    CHECK_INT(facts.amount_minor, 16492);
    CHECK_INT(facts.deadline_ms, WORLD_START_MS + 900);
    CHECK_STR(facts.currency, "GBP");
    CHECK_STR(facts.title, "SCAYLE order 5001");
    CHECK_STR(facts.state, "held");
    CHECK_STR(facts.json, "{\"amount\":{\"currency\":\"GBP\",\"minor\":16492},"
                          "\"deadlines\":[{\"at_ms\":1800000000900,\"name\":\"promise\"}],"
                          "\"title\":\"SCAYLE order 5001\",\"state\":\"held\"}");
    dossier_facts_free(&facts);
    char *key = dossier_find_by_link(w->work, "khaos", "SO1");
    CHECK_STR(key, KEY);
    free(key);
    key = inbox_resolve(w->work, "ref:ABC");
    CHECK_STR(key, KEY);
    free(key);
    uint64_t seq;
    CHECK_INT(event_find(w->work, "test", "a", &seq), 0);
    CHECK_STATE(w, id, "done");
}

static void all_that_is_personal_goes(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    world_settle(w);
    CHECK_INT(report.names, 2);
    CHECK_INT(report.payloads, 1);
    CHECK_INT(report.documents, 1);
    CHECK_INT(report.trails, 1);
    CHECK_INT(report.effects, 1);
    CHECK_INT(report.facts, 1);
    CHECK_INT(report.records, 4);
    check_records(w);
    CHECK_INT(report.errors, 1);    /* the closed exception */
    CHECK_INT(lines_of(w, KEY), 1); /* that it was erased */
    CHECK_INT(lines_of(w, "ref:ABC"), 0);
    CHECK_INT(lines_of(w, "order:5002"), 40);
    check_kept(w, id);
    uint64_t records;
    struct error err;
    CHECK_INT(audit_verify(w->work, &records, &err), 0);
    CHECK_INT(records, 1);
    close_order(w);
}

static void accept_units(struct world *w, const char *about)
{
    struct event_new event = {.source = "test",
                              .id = "units",
                              .key = "units:" KEY,
                              .about = about,
                              .name = "units.cancelled",
                              .flow = "orders",
                              .payload = bytes_str("{\"town\":\"Keswick\"}")};
    world_accept(w, &event);
    world_settle(w);
}

static void check_units_go(struct world *w)
{
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    world_settle(w);
    CHECK_INT(report.names, 3);
    CHECK_INT(report.payloads, 2);
    CHECK_INT(lines_of(w, "units:" KEY), 0);
}

/* Seen before: what was sent to amend an order kept its address, because its job had another key.
 */
static void what_others_did_about_it_goes_too(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    accept_units(w, KEY);
    check_units_go(w);
    close_order(w);
}

/* As older scripts accepted it, which did not say what an event is about. */
static void what_a_repeat_alone_says_it_is_about_counts(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    accept_units(w, NULL);
    accept_units(w, KEY);
    CHECK_INT(work_stats(w->work)->duplicates, 1);
    check_units_go(w);
    close_order(w);
}

static void tell_of_cancelling(struct world *w, const char *id, const char *about)
{
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = "cancellation:ABC",
                              .about = about,
                              .name = "cancellation.asked",
                              .flow = "orders",
                              .payload = bytes_str("{}")};
    world_accept(w, &event);
    world_settle(w);
}

/* Seen before: it counted twice, and what had not left was refused as settled already. */
static void a_key_told_of_by_alias_and_by_key_is_erased_once(void)
{
    struct world *w = world_open(post_once);
    snprintf(journal, sizeof journal, "%.63s.erasures", w->folder);
    CHECK_INT(inbox_alias(w->work, KEY, "ref:ABC"), 0);
    tell_of_cancelling(w, "before the order was known", "ref:ABC");
    tell_of_cancelling(w, "afterwards", KEY);
    w->script = hold_it;
    world_restart(w);
    world_settle(w);
    CHECK_INT(effect_absent(w->work, effect_id), 0);
    struct erasure_report report;
    CHECK_INT(erase(w, true, false, &report), 0);
    CHECK_INT(report.names, 3); /* the order, its alias, what was asked of it */
    CHECK_INT(report.payloads, 2);
    world_settle(w);
    close_order(w);
}

static void a_dry_run_counts_and_keeps(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct erasure_report dry;
    struct erasure_report wet;
    struct bytes json;
    CHECK_INT(erase(w, false, true, &dry), 0);
    CHECK_INT(dossier_get_trail(w->work, KEY, &json), 0);
    CHECK(!erasure_wants_compaction(w->work));
    CHECK_INT(erase(w, false, false, &wet), 0);
    CHECK(memcmp(&dry, &wet, sizeof dry) == 0);
    CHECK(erasure_wants_compaction(w->work));
    CHECK_INT(erase(w, false, false, &wet), 0); /* again: only our own line is left to take */
    CHECK_INT(wet.payloads + wet.trails + wet.effects + wet.errors, 0);
    CHECK_INT(wet.timeline_lines, 1);
    close_order(w);
}

static void the_title_goes_when_asked(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct erasure_request request = {
        .key = KEY, .who = "eve", .reason = "letter", .with_title = true};
    struct erasure_report report;
    struct dossier_facts facts;
    struct error err;
    CHECK_INT(erasure_apply(w->work, &request, &report, &err), 0);
    CHECK_INT(dossier_get_facts(w->work, KEY, &facts), 0);
    CHECK_STR(facts.title, "");
    CHECK(strstr(facts.json, "SCAYLE") == NULL);
    CHECK_INT(facts.amount_minor, 16492);
    dossier_facts_free(&facts);
    close_order(w);
}

/* ---- What is still open ------------------------------------------------------------------------
 */

static void an_open_job_refuses_until_forced(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    w->script = hold_it;
    uint64_t held = accept_named(w, KEY, "b", "{\"name\":\"" NAME "\"}");
    uint64_t behind = accept_named(w, KEY, "c", "{\"name\":\"" NAME "\"}");
    world_settle(w);
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), ERROR_INVALID);
    CHECK_STATE(w, held, "held");
    struct bytes json;
    CHECK_INT(dossier_get_trail(w->work, KEY, &json), 0);
    CHECK_INT(erase(w, true, false, &report), 0);
    world_settle(w);
    CHECK_INT(report.jobs_dismissed, 2);
    CHECK_INT(report.payloads, 3);
    CHECK_STATE(w, held, "done");
    CHECK_STATE(w, behind, "done");
    CHECK_INT(inbox_depth(w->work, KEY), 0);
    close_order(w);
}

static void an_effect_without_outcome_refuses_even_when_forced(void)
{
    struct world *w = world_open(post_once);
    snprintf(journal, sizeof journal, "%.63s.erasures", w->folder);
    uint64_t id = accept_named(w, KEY, "a", "{}");
    world_settle(w);
    struct erasure_report report;
    CHECK_INT(erase(w, true, false, &report), ERROR_INVALID); /* its coroutine is alive */
    w->script = hold_it;
    world_restart(w);
    world_settle(w);
    CHECK_STATE(w, id, "held");
    CHECK_INT(erase(w, true, false, &report), ERROR_EXISTS);
    CHECK_STATE(w, id, "held"); /* all or nothing */
    CHECK_INT(effect_absent(w->work, effect_id), 0);
    CHECK_INT(erase(w, true, false, &report), 0); /* it never left: refused now */
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.state, EFFECT_REFUSED);
    CHECK(effect.request == NULL);
    effect_free(&effect);
    close_order(w);
}

static void the_last_error_of_a_job_goes(void)
{
    uint64_t id;
    fails_at_the_end = true;
    struct world *w = open_order(&id);
    struct job_info info;
    struct erasure_report report;
    CHECK_INT(erase(w, true, false, &report), 0);
    world_settle(w);
    CHECK_INT(job_load(w->work, id, &info), 0);
    CHECK_STR(info.last_error, "");
    CHECK_INT(report.jobs_dismissed, 1);
    CHECK_INT(report.steps, 0); /* a dismissed job has none left */
    job_info_free(&info);
    close_order(w);
}

/* ---- The bytes ---------------------------------------------------------------------------------
 */

static void the_bytes_leave_the_file_of_a_running_host(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    struct erasure_request other = {.key = "order:6000", .who = "eve", .reason = "letter"};
    struct error err;
    CHECK_INT(erasure_apply(w->work, &other, &report, &err), 0);
    world_settle(w);
    CHECK(count_in_file(w->folder) > 0); /* or the check below would prove nothing */
    world_pass(w, ERASURE_SETTLE_MS - 1);
    CHECK(erasure_wants_compaction(w->work));
    world_pass(w, 1);
    CHECK(!erasure_wants_compaction(w->work));
    CHECK_INT(count_in_file(w->folder), 0);
    check_kept(w, id);
    w->script = world_done;
    uint64_t later = world_order(w, "order:7000", "later"); /* the store goes on */
    world_settle(w);
    CHECK_STATE(w, later, "done");
    world_restart(w);
    CHECK_STATE(w, later, "done");
    CHECK_STATE(w, id, "done");
    CHECK_INT(count_in_file(w->folder), 0);
    close_order(w);
}

static void the_wish_to_compact_survives_a_crash(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    struct erasure_request other = {.key = "order:6000", .who = "eve", .reason = "letter"};
    struct error err;
    CHECK_INT(erasure_apply(w->work, &other, &report, &err), 0);
    CHECK_INT(world_turn(w), 0);
    world_restart(w);
    CHECK_INT(world_turn(w), 0);
    CHECK(!erasure_wants_compaction(w->work));
    CHECK_INT(count_in_file(w->folder), 0);
    world_restart(w);
    CHECK(!erasure_wants_compaction(w->work));
    check_kept(w, id);
    close_order(w);
}

/* ---- A restore ---------------------------------------------------------------------------------
 */

static void copy_back(const char *backup, struct world *w)
{
    char from[128];
    char to[128];
    snprintf(from, sizeof from, "%s/data.mdb", backup);
    snprintf(to, sizeof to, "%.63s/data.mdb", w->folder);
    CHECK_INT(rename(from, to), 0);
    snprintf(to, sizeof to, "%.63s/lock.mdb", w->folder);
    unlink(to);
}

static void a_restore_is_erased_again(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct error err;
    char backup[96];
    snprintf(backup, sizeof backup, "%.63s.backup", w->folder);
    CHECK_INT(mkdir(backup, 0700), 0);
    CHECK_INT(store_copy(w->store, backup, &err), 0);
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    world_settle(w);

    world_crash(w);
    copy_back(backup, w);
    rmdir(backup);
    world_open_work(w);
    struct bytes json;
    CHECK_INT(dossier_get_trail(w->work, KEY, &json), 0); /* it is back */
    CHECK_INT(erasure_attach(w->work, journal, &err), 0);
    world_settle(w);
    CHECK_INT(dossier_get_trail(w->work, KEY, &json), ERROR_NOT_FOUND);
    CHECK_INT(lines_of(w, KEY), 1);
    check_kept(w, id);
    uint64_t count;
    CHECK_INT(erasure_reapply(w->work, &count, &err), 0);
    CHECK_INT(count, 0); /* once */
    CHECK(erasure_wants_compaction(w->work));
    close_order(w);
}

static void a_restored_open_job_is_erased_when_it_is_done(void)
{
    struct world *w = world_open(hold_it);
    struct error err;
    snprintf(journal, sizeof journal, "%.63s.erasures", w->folder);
    FILE *file = fopen(journal, "w");
    CHECK(file != NULL);
    fprintf(file, "{\"at_ms\":%lld,\"key\":\"" KEY "\",\"who\":\"eve\",\"reason\":\"r\"}\n{\"at_m",
            WORLD_START_MS + 5);
    fclose(file);
    uint64_t id = accept_named(w, KEY, "a", "{\"name\":\"" NAME "\"}");
    world_settle(w);
    CHECK_INT(erasure_attach(w->work, journal, &err), 0);
    struct event_record event;
    CHECK_INT(event_load(w->work, 1, &event), 0);
    CHECK(event.payload_size > 0);
    event_record_free(&event);
    CHECK_INT(job_dismiss(w->work, id, "eve", "by hand"), 0);
    world_settle(w);
    uint64_t count;
    CHECK_INT(erasure_reapply(w->work, &count, &err), 0);
    CHECK_INT(count, 1);
    CHECK_INT(event_load(w->work, 1, &event), 0);
    CHECK_INT(event.payload_size, 0);
    event_record_free(&event);
    close_order(w);
}

static int count_erasure(void *arg, const char *key, int64_t at_ms, const char *who)
{
    (void)key;
    CHECK_STR(who, "eve");
    CHECK(at_ms >= WORLD_START_MS);
    (*(int *)arg)++;
    return 0;
}

/* The crash between the commit and the journal; then a torn line in it. */
static void a_journal_that_missed_a_line_gets_it(void)
{
    uint64_t id;
    struct world *w = open_order(&id);
    struct error err;
    struct erasure_report report;
    CHECK_INT(erase(w, false, false, &report), 0);
    world_settle(w);
    FILE *file = fopen(journal, "w");
    CHECK(file != NULL && fputs("{\"at_ms\":18000", file) > 0);
    fclose(file);
    world_restart(w);
    CHECK_INT(erasure_attach(w->work, journal, &err), 0);
    int count = 0;
    CHECK_INT(erasure_each(w->work, count_erasure, &count), 0);
    CHECK_INT(count, 1);
    char text[512] = "";
    file = fopen(journal, "r");
    CHECK(file != NULL && fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    CHECK(strstr(text, "\n{\"at_ms\":1800000000000,\"key\":\"" KEY "\",\"title\":false,") != NULL);
    CHECK_INT(erasure_attach(w->work, journal, &err), 0);
    struct stat info;
    CHECK_INT(stat(journal, &info), 0);
    CHECK_INT((size_t)info.st_size, strlen(text)); /* not twice */
    close_order(w);
}

static void the_generation_of_a_stopped_host_is_known(void)
{
    struct world *w = world_open(world_done);
    world_settle(w);
    CHECK_INT(erasure_stored_generation(w->store), 1);
    world_close(w);
}

int main(void)
{
    tap_case("all that is personal goes, the rest stays", all_that_is_personal_goes);
    tap_case("what others did about it goes too", what_others_did_about_it_goes_too);
    tap_case("what a repeat alone says it is about counts",
             what_a_repeat_alone_says_it_is_about_counts);
    tap_case("a key told of by alias and by key is erased once",
             a_key_told_of_by_alias_and_by_key_is_erased_once);
    tap_case("a dry run counts and keeps", a_dry_run_counts_and_keeps);
    tap_case("the title goes when asked", the_title_goes_when_asked);
    tap_case("an open job refuses until forced", an_open_job_refuses_until_forced);
    tap_case("an effect without outcome refuses even when forced",
             an_effect_without_outcome_refuses_even_when_forced);
    tap_case("the last error of a job goes", the_last_error_of_a_job_goes);
    tap_case("the bytes leave the file of a running host",
             the_bytes_leave_the_file_of_a_running_host);
    tap_case("the wish to compact survives a crash", the_wish_to_compact_survives_a_crash);
    tap_case("a restore is erased again", a_restore_is_erased_again);
    tap_case("a restored open job is erased when it is done",
             a_restored_open_job_is_erased_when_it_is_done);
    tap_case("a journal that missed a line gets it", a_journal_that_missed_a_line_gets_it);
    tap_case("the generation of a stopped host is known",
             the_generation_of_a_stopped_host_is_known);
    return tap_done();
}
