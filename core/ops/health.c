/* See health.h. One walk over each kind of record; every finding is added to its flow with a
 * colour, and the flow is as bad as the worst of them. */
#include "core/ops/health.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/ops/health_private.h"
#include "core/work/counter.h"
#include "core/work/dossier.h"
#include "core/work/exception.h"
#include "core/work/job.h"
#include "core/work/pause.h"
#include "core/work/schedule.h"

#define JOB_LATE_MS  (5 * INT64_C(60000))  /* a job waits its turn, or runs: amber */
#define TICK_LATE_MS (10 * INT64_C(60000)) /* a tick that is due: red; one under way: amber */
#define STANDS_MS    (60 * INT64_C(60000)) /* nothing seems to get through: red */
#define TICK_KEY     "schedule:"
#define WORDS_MAX    200 /* of one finding; `neap exceptions` and `neap order` have all of it */
#define WHY_MAX      (64u << 10)

static const char *const colour_names[] = {
#define COLOUR_NAME(symbol, name) [symbol] = (name),
    HEALTH_COLOUR_LIST(COLOUR_NAME)
#undef COLOUR_NAME
};

const char *health_colour_name(enum health_colour colour)
{
    return colour_names[colour];
}

/* What one flow was found to have, until its words are made. */
struct finding {
    char *dead; /* words of the first one; NULL = none */
    char *parked;
    char *paused_on; /* the connection, paused by a person, that the first of `resting` waits for */
    char *broken;
    char *held;
    char *retrying;
    char *red;     /* of the first standing exception that stops people */
    char *problem; /* of the first other one */
    char *paused;
    char *late;       /* a tick or job that does not get on */
    char *slow;       /* one that might */
    char *red_lag;    /* figures of stock that the shop lacks for too long */
    char *amber_lag;  /* for long */
    uint64_t overdue; /* held jobs whose deadline is past */
    uint64_t failing; /* held jobs that the scripts fail in: they do not run at all */
    uint64_t resting; /* jobs that wait for a connection which a person paused */
};

struct reading {
    const struct ops_view *view;
    const struct ops_client *client;
    struct health *health;
    struct finding *findings; /* of the flows, by place */
    struct finding own;       /* of what concerns all flows */
    size_t looked;
};

static size_t place_of(struct reading *r, const char *name)
{
    struct health *h = r->health;
    for (size_t i = 0; i < h->flow_count; i++) {
        if (strcmp(h->flows[i].name, name) == 0) {
            return i;
        }
    }
    size_t count = h->flow_count + 1;
    h->flows = xrealloc(h->flows, count * sizeof(*h->flows));
    r->findings = xrealloc(r->findings, count * sizeof(*r->findings));
    memset(&h->flows[count - 1], 0, sizeof(*h->flows));
    memset(&r->findings[count - 1], 0, sizeof(*r->findings));
    h->flows[count - 1].name = xstrdup(name);
    h->flow_count = count;
    return count - 1;
}

static void keep_first(char **words, const char *text)
{
    if (*words == NULL) {
        *words = xstrdup(text);
    }
}

/* ---- Which flows there are
 * ------------------------------------------------------------------------ */

static int add_scheduled(void *arg, const struct schedule_info *info)
{
    struct reading *r = arg;
    size_t at = place_of(r, info->flow);
    int64_t late_ms = r->view->now_ms - info->next_ms;
    if (r->view->is_live && info->next_ms > 0 && late_ms > TICK_LATE_MS) {
        char *words =
            xasprintf("its schedule %s is %" PRId64 " min late", info->name, late_ms / 60000);
        keep_first(&r->findings[at].late, words);
        free(words);
    }
    return 0;
}

static int add_counted(void *arg, const char *name, int64_t value)
{
    (void)value;
    const char *flow = strrchr(name, '.');
    if (flow != NULL && flow[1] != '\0') {
        place_of(arg, flow + 1);
    }
    return 0;
}

static void list_flows(struct reading *r)
{
    const struct ops_client *client = r->client;
    for (size_t i = 0; client->flow_at != NULL; i++) {
        const char *name = client->flow_at(client->arg, i);
        if (name == NULL) {
            break;
        }
        place_of(r, name);
    }
    schedule_each(client->work, add_scheduled, r);
    if (client->flow_at == NULL) { /* a stopped host: those that did anything */
        counter_each(client->work, "jobs.done.", add_counted, r);
    }
}

/* ---- Jobs
 * ----------------------------------------------------------------------------------------- */

static bool is_overdue(const struct reading *r, const char *key)
{
    struct dossier_facts facts = {0};
    if (dossier_get_facts(r->client->work, key, &facts) != 0) {
        return false;
    }
    bool is_past = facts.deadline_ms != 0 && facts.deadline_ms < r->view->now_ms;
    dossier_facts_free(&facts);
    return is_past;
}

static bool is_tick(const struct job_info *info)
{
    return strncmp(info->key, TICK_KEY, strlen(TICK_KEY)) == 0;
}

/* It is due, or under way, for longer than such a job should be. */
static void note_late(const struct reading *r, struct finding *f, const struct job_info *info,
                      const char *what, int64_t since_ms)
{
    int64_t late_ms = r->view->now_ms - since_ms;
    if (r->view->is_live && late_ms > (is_tick(info) ? TICK_LATE_MS : JOB_LATE_MS)) {
        char *words = xasprintf("%s %s for %" PRId64 " min", info->key, what, late_ms / 60000);
        keep_first(late_ms > STANDS_MS ? &f->late : &f->slow, words);
        free(words);
    }
}

static void note_waiting(const struct reading *r, struct health_flow *flow, struct finding *f,
                         const struct job_info *info)
{
    if (info->parked_on[0] == '\0') {
        flow->retrying += info->failures > 0;
        keep_first(&f->retrying, info->last_error);
    } else if (pause_is_set(r->client->work, PAUSE_CONNECTION, info->parked_on)) {
        f->resting++;
        keep_first(&f->paused_on, info->parked_on);
    } else {
        flow->parked++;
        keep_first(&f->parked, info->parked_on);
    }
}

/* The next tick is skipped while one is under way, whatever that one waits for. */
static void note_tick(const struct reading *r, struct finding *f, const struct job_info *info)
{
    if (is_tick(info) && info->parked_on[0] == '\0') {
        note_late(r, f, info, "is under way", info->created_ms);
    }
}

static int note_job(void *arg, const struct job_info *info)
{
    struct reading *r = arg;
    size_t at = place_of(r, info->flow);
    struct health_flow *flow = &r->health->flows[at];
    struct finding *f = &r->findings[at];
    if (info->state == JOB_DEAD) {
        flow->dead++;
        keep_first(&f->dead, info->reason);
    } else if (info->state == JOB_HELD) {
        flow->held++;
        f->overdue += is_overdue(r, info->key);
        keep_first(&f->held, info->reason);
        r->health->orders.held += strncmp(info->key, "order:", strlen("order:")) == 0;
    } else if (info->state == JOB_WAITING) {
        note_waiting(r, flow, f, info);
        note_tick(r, f, info);
    } else if (info->state == JOB_AWAITING) {
        note_tick(r, f, info);
    } else if (info->is_head) {
        note_late(r, f, info, info->state == JOB_RUNNING ? "runs" : "waits its turn",
                  info->state_since_ms);
    }
    return ++r->looked >= HEALTH_LOOK_AT;
}

static void read_jobs(struct reading *r)
{
    static const enum job_state STATES[] = {JOB_DEAD,     JOB_HELD,    JOB_WAITING,
                                            JOB_AWAITING, JOB_RUNNING, JOB_READY};
    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        r->looked = 0;
        job_each(r->client->work, STATES[i], note_job, r);
    }
}

/* ---- Exceptions and pauses
 * ------------------------------------------------------------------------ */

/* Those that mean that nothing gets through, or not in time. */
static bool is_stop(const char *cause)
{
    static const char *const STOPS[] = {"stuck_order", "silence", "khaos_silent",
                                        "connection_refused", EXCEPTION_SCRIPT_ERROR};
    for (size_t i = 0; i < sizeof(STOPS) / sizeof(STOPS[0]); i++) {
        if (strcmp(cause, STOPS[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_flow(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->health->flow_count; i++) {
        if (strcmp(r->health->flows[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

struct failing {
    struct reading *r;
    const struct exception *e;
};

static int note_failing(void *arg, uint64_t job_id)
{
    struct failing *failing = arg;
    struct reading *r = failing->r;
    struct job_info info;
    if (job_load(r->client->work, job_id, &info) == 0) {
        struct finding *f = &r->findings[place_of(r, info.flow)];
        f->failing++;
        keep_first(&f->broken, failing->e->message);
        job_info_free(&info);
    }
    return ++r->looked >= HEALTH_LOOK_AT;
}

static int note_exception(void *arg, const struct exception *e)
{
    struct reading *r = arg;
    struct finding *f = &r->own;
    if (e->waiting > 0 && strcmp(e->cause, EXCEPTION_SCRIPT_ERROR) == 0) {
        struct failing failing = {r, e};
        r->looked = 0;
        exception_each_waiter(r->client->work, e->cause, e->subject, note_failing, &failing);
        return 0;
    }
    /* Silence is heard by the alerts flow; what is silent is its subject. */
    bool is_of_subject = strcmp(e->cause, "silence") == 0 && is_flow(r, e->subject);
    const char *name = is_of_subject ? e->subject : e->flow;
    if (name[0] != '\0') {
        size_t at = place_of(r, name);
        r->health->flows[at].problems++;
        f = &r->findings[at];
    } else if (e->waiting > 0 && !is_stop(e->cause)) {
        return 0; /* its jobs tell */
    }
    keep_first(is_stop(e->cause) ? &f->red : &f->problem, e->message);
    return 0;
}

static int note_pause(void *arg, const struct pause *pause)
{
    struct reading *r = arg;
    bool is_of_flow = pause->kind == PAUSE_FLOW;
    struct finding *f = is_of_flow ? &r->findings[place_of(r, pause->name)] : &r->own;
    char since[32];
    json_format_instant(pause->since_ms, since);
    char *words = is_of_flow
                      ? xasprintf("paused by %s since %.16sZ: %s", pause->who, since, pause->reason)
                      : xasprintf("connection %s is paused by %s since %.16sZ: %s", pause->name,
                                  pause->who, since, pause->reason);
    keep_first(&f->paused, words);
    free(words);
    return 0;
}

/* ---- Words
 * ---------------------------------------------------------------------------------------- */

struct verdict {
    enum health_colour colour;
    struct buf why;
};

/* One line, cut between two characters. */
static void add_words(struct verdict *v, enum health_colour colour, const char *text)
{
    size_t size = strnlen(text, WORDS_MAX);
    while (text[size] != '\0' && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    v->colour = colour > v->colour ? colour : v->colour;
    buf_add_str(&v->why, v->why.size > 0 ? "; " : "");
    for (size_t i = 0; i < size; i++) {
        buf_add_char(&v->why, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i]);
    }
    buf_add_str(&v->why, text[size] == '\0' ? "" : "...");
}

static void add_counted_words(struct verdict *v, enum health_colour colour, uint64_t count,
                              const char *what, const char *first)
{
    if (count > 0) {
        char *text =
            xasprintf("%" PRIu64 " %s%s%s", count, what,
                      first == NULL || first[0] == '\0' ? "" : ": ", first == NULL ? "" : first);
        add_words(v, colour, text);
        free(text);
    }
}

static void add_if(struct verdict *v, enum health_colour colour, const char *text)
{
    if (text != NULL) {
        add_words(v, colour, text);
    }
}

static void finding_clear(struct finding *f)
{
    free(f->dead);
    free(f->parked);
    free(f->paused_on);
    free(f->broken);
    free(f->held);
    free(f->retrying);
    free(f->red);
    free(f->problem);
    free(f->paused);
    free(f->late);
    free(f->slow);
    free(f->red_lag);
    free(f->amber_lag);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void judge_flow(struct health_flow *flow, const struct finding *f)
{
    struct verdict v = {.colour = HEALTH_GREEN};
    buf_init(&v.why, WHY_MAX);
    add_if(&v, HEALTH_RED, f->red);
    add_counted_words(&v, HEALTH_RED, flow->dead, "given up", f->dead);
    add_counted_words(&v, HEALTH_RED, flow->parked, "wait, as a connection is down", f->parked);
    add_counted_words(&v, HEALTH_RED, f->failing, "held, as the scripts fail", f->broken);
    add_counted_words(&v, HEALTH_RED, f->overdue, "held beyond a deadline", NULL);
    add_if(&v, HEALTH_RED, f->late);
    add_if(&v, HEALTH_RED, f->red_lag);
    add_counted_words(&v, HEALTH_AMBER, flow->held - min_u64(f->failing, flow->held), "held",
                      f->held);
    add_if(&v, HEALTH_AMBER, f->problem);
    add_counted_words(&v, HEALTH_AMBER, flow->retrying, "tried again", f->retrying);
    add_if(&v, HEALTH_AMBER, f->slow);
    add_if(&v, HEALTH_AMBER, f->amber_lag);
    add_counted_words(&v, HEALTH_AMBER, f->resting, "wait, as a person paused the connection",
                      f->paused_on);
    add_if(&v, HEALTH_AMBER, f->paused);
    flow->colour = v.colour;
    flow->why = xstrdup(buf_text(&v.why));
    buf_free(&v.why);
}

static void judge(struct reading *r)
{
    struct health *h = r->health;
    struct verdict v = {.colour = HEALTH_GREEN};
    buf_init(&v.why, WHY_MAX);
    if (work_is_full(r->client->work)) {
        add_words(&v, HEALTH_RED, "there is no space: nothing is accepted");
    }
    add_if(&v, HEALTH_RED, r->own.red);
    add_if(&v, HEALTH_AMBER, r->own.problem);
    add_if(&v, HEALTH_AMBER, r->own.paused);
    if (r->client->load_error != NULL && r->client->load_error[0] != '\0') {
        add_words(&v, HEALTH_AMBER, "the newest scripts do not serve");
    }
    h->colour = v.colour;
    h->why = xstrdup(buf_text(&v.why));
    buf_free(&v.why);
    for (size_t i = 0; i < h->flow_count; i++) {
        judge_flow(&h->flows[i], &r->findings[i]);
        h->colour = h->flows[i].colour > h->colour ? h->flows[i].colour : h->colour;
        finding_clear(&r->findings[i]);
    }
    finding_clear(&r->own);
}

/* How late figures may be is the stock flow's policy. While all of Khaos is read for the first time
 * there is more to send than can be in time. */
static void note_lag(struct reading *r)
{
    const struct health_stock *stock = &r->health->stock;
    if (!stock->is_known || stock->flow == NULL || stock->lag_ms <= stock->amber_ms) {
        return;
    }
    bool is_red = stock->lag_ms > stock->red_ms && stock->full_ms > 0;
    struct finding *f = &r->findings[place_of(r, stock->flow)];
    char *words =
        xasprintf("figures are due in the shop for %" PRId64 " min", stock->lag_ms / 60000);
    keep_first(is_red ? &f->red_lag : &f->amber_lag, words);
    free(words);
}

void health_read(const struct ops_view *view, const struct ops_client *client,
                 struct health *health_out)
{
    memset(health_out, 0, sizeof(*health_out));
    struct reading r = {.view = view, .client = client, .health = health_out};
    list_flows(&r);
    read_jobs(&r);
    exception_each(client->work, NULL, note_exception, &r);
    pause_each(client->work, note_pause, &r);
    health_read_tables(view, client, health_out);
    note_lag(&r);
    judge(&r);
    free(r.findings);
}

void health_free(struct health *health)
{
    for (size_t i = 0; i < health->flow_count; i++) {
        free(health->flows[i].name);
        free(health->flows[i].why);
    }
    free(health->flows);
    free(health->why);
    free(health->orders.oldest);
    free(health->stock.flow);
    memset(health, 0, sizeof(*health));
}
