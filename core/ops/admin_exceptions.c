/* neap exceptions ls | show | retry | release | dismiss. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/ops/admin_private.h"
#include "core/work/dossier.h"
#include "core/work/effect.h"
#include "core/work/exception.h"
#include "core/work/job.h"

/* The money and the earliest deadline of the jobs that wait on one exception. */
struct stake {
    struct work *work;
    uint64_t jobs;
    char currency[8]; /* of the first; other currencies are counted apart */
    int64_t minor;
    uint64_t other_currency;
    int64_t deadline_ms;
};

static int add_stake(void *arg, uint64_t job_id)
{
    struct stake *s = arg;
    struct job_info info;
    memset(&info, 0, sizeof(info));
    if (job_load(s->work, job_id, &info) != 0) {
        return 0;
    }
    s->jobs++;
    struct dossier_facts facts;
    memset(&facts, 0, sizeof(facts));
    if (dossier_get_facts(s->work, info.key, &facts) == 0) {
        if (facts.currency != NULL && facts.currency[0] != '\0') {
            if (s->currency[0] == '\0') {
                snprintf(s->currency, sizeof(s->currency), "%s", facts.currency);
            }
            if (strcmp(s->currency, facts.currency) == 0) {
                s->minor += facts.amount_minor;
            } else {
                s->other_currency++;
            }
        }
        if (facts.deadline_ms != 0 && (s->deadline_ms == 0 || facts.deadline_ms < s->deadline_ms)) {
            s->deadline_ms = facts.deadline_ms;
        }
    }
    dossier_facts_free(&facts);
    job_info_free(&info);
    return 0;
}

static struct stake stake_of(struct work *work, const struct exception *e)
{
    struct stake s = {.work = work};
    exception_each_waiter(work, e->cause, e->subject, add_stake, &s);
    return s;
}

static void list_json(struct admin_context *c, const struct exception *e, const struct stake *s)
{
    struct json_writer *w = &c->json;
    json_object_begin(w);
    json_member_str(w, "client", c->client->name);
    json_member_str(w, "cause", e->cause);
    json_member_str(w, "subject", e->subject);
    json_member_str(w, "message", e->message);
    json_member_str(w, "remedy", e->remedy);
    json_member_str(w, "owner", e->owner);
    json_member_str(w, "recheck", exception_recheck_name(e->recheck));
    json_member_int(w, "opened_ms", e->opened_ms);
    json_member_int(w, "waiting", (int64_t)e->waiting);
    if (s->currency[0] != '\0') {
        json_member_int(w, "amount_minor", s->minor);
        json_member_str(w, "currency", s->currency);
    }
    if (s->deadline_ms != 0) {
        json_member_int(w, "deadline_ms", s->deadline_ms);
    }
    json_object_end(w);
}

static void list_text(struct admin_context *c, const struct exception *e, const struct stake *s)
{
    char age[32];
    char amount[64] = "";
    char deadline[64] = "";
    admin_format_distance(e->opened_ms - c->view->now_ms, age, sizeof(age));
    if (s->currency[0] != '\0') {
        char money[32];
        admin_format_minor(s->minor, s->currency, money, sizeof(money));
        snprintf(amount, sizeof(amount), ", %s %s%s", s->currency, money,
                 s->other_currency > 0 ? " and other currencies" : "");
    }
    if (s->deadline_ms != 0) {
        char span[32];
        admin_format_distance(s->deadline_ms - c->view->now_ms, span, sizeof(span));
        snprintf(deadline, sizeof(deadline), ", first deadline %s", span);
    }
    buf_addf(c->out, "%s: %s%s%s\n  %s\n  %" PRIu64 " waiting%s%s; opened %s; owner %s\n",
             c->client->name, e->cause, e->subject[0] == '\0' ? "" : " ", e->subject, e->message,
             e->waiting, amount, deadline, age, e->owner[0] == '\0' ? "(nobody)" : e->owner);
    if (e->remedy[0] != '\0') {
        buf_addf(c->out, "  to do: %s\n", e->remedy);
    }
}

static int list_one(void *arg, const struct exception *e)
{
    struct admin_context *c = arg;
    struct stake s = stake_of(c->client->work, e);
    c->rows++;
    if (c->request->wants_json) {
        list_json(c, e, &s);
    } else {
        list_text(c, e, &s);
    }
    return 0;
}

static int list_all(struct admin_context *c)
{
    if (c->request->wants_json) {
        json_array_begin(&c->json);
    }
    for (size_t i = 0; i < c->view->count; i++) {
        c->client = &c->view->clients[i];
        if (admin_wants_client(c, c->client)) {
            exception_each(c->client->work, admin_word(c, 2), list_one, c);
        }
    }
    if (c->request->wants_json) {
        json_array_end(&c->json);
        buf_add_char(c->out, '\n');
    } else if (c->rows == 0) {
        buf_add_str(c->out, "no open exceptions\n");
    }
    return c->rows == 0 ? ADMIN_OK : ADMIN_WRONG;
}

/* The one client that has this exception open; ERROR_NOT_FOUND else. */
static int find_exception(struct admin_context *c, const char *cause, const char *subject,
                          struct exception *exception_out)
{
    for (size_t i = 0; i < c->view->count; i++) {
        c->client = &c->view->clients[i];
        if (admin_wants_client(c, c->client) &&
            exception_load(c->client->work, cause, subject, exception_out) == 0) {
            return 0;
        }
    }
    return ERROR_NOT_FOUND;
}

static int show_waiter(void *arg, uint64_t job_id)
{
    struct admin_context *c = arg;
    struct job_info info;
    memset(&info, 0, sizeof(info));
    if (job_load(c->client->work, job_id, &info) != 0) {
        return 0;
    }
    struct dossier_facts facts;
    memset(&facts, 0, sizeof(facts));
    bool has_facts = dossier_get_facts(c->client->work, info.key, &facts) == 0;
    if (c->request->wants_json) {
        json_object_begin(&c->json);
        json_member_int(&c->json, "job", (int64_t)job_id);
        json_member_str(&c->json, "key", info.key);
        json_member_str(&c->json, "state", job_state_name(info.state));
        json_key(&c->json, "facts");
        json_raw(&c->json, bytes_str(has_facts && facts.json != NULL ? facts.json : "null"));
        json_object_end(&c->json);
    } else {
        char money[32] = "";
        if (has_facts && facts.currency != NULL && facts.currency[0] != '\0') {
            admin_format_minor(facts.amount_minor, facts.currency, money, sizeof(money));
        }
        buf_addf(c->out, "  job %" PRIu64 "  %-28s %-10s %s %s\n", job_id, info.key,
                 job_state_name(info.state), has_facts && facts.currency ? facts.currency : "",
                 money);
    }
    dossier_facts_free(&facts);
    job_info_free(&info);
    return 0;
}

static int show_one(struct admin_context *c, const struct exception *e)
{
    struct stake s = stake_of(c->client->work, e);
    if (!c->request->wants_json) {
        list_text(c, e, &s);
        exception_each_waiter(c->client->work, e->cause, e->subject, show_waiter, c);
        return ADMIN_OK;
    }
    json_object_begin(&c->json);
    json_key(&c->json, "exception");
    list_json(c, e, &s);
    json_key(&c->json, "waiting");
    json_array_begin(&c->json);
    exception_each_waiter(c->client->work, e->cause, e->subject, show_waiter, c);
    json_array_end(&c->json);
    json_object_end(&c->json);
    buf_add_char(c->out, '\n');
    return ADMIN_OK;
}

/* ---- Outcomes that a person found out ---------------------------------------------------------
 */

struct settling {
    const char *subject;
    uint64_t id;
};

/* The exception names one effect; others of the same order are another question. Whoever sent it:
 * the job that waits may know it by a shared business key. */
static int find_doubtful(void *arg, const struct effect *effect)
{
    struct settling *s = arg;
    if (effect->state != EFFECT_UNKNOWN || effect->class != EFFECT_ONCE) {
        return 0;
    }
    char *subject = effect_subject(effect);
    bool is_it = strcmp(subject, s->subject) == 0;
    free(subject);
    if (is_it) {
        s->id = effect->id;
    }
    return is_it ? 1 : 0;
}

/* Writes into the ledger what the person says: the waiting jobs go on with it. */
static int settle(struct admin_context *c, const struct exception *e)
{
    struct work *work = c->client->work;
    struct settling s = {.subject = e->subject};
    int rc = effect_each_open(work, NULL, find_doubtful, &s);
    if (rc <= 0) {
        return rc; /* nothing in doubt by this name: the jobs see for themselves */
    }
    return c->request->outcome == ADMIN_OUTCOME_HAPPENED
               ? effect_confirm(work, s.id, bytes_str("{\"settled_by\":\"person\"}"))
               : effect_absent(work, s.id);
}

typedef int (*act_fn)(struct work *work, const struct exception_act *act);

/* What was found and what follows from it are kept together, or neither is. */
static int run_act(struct admin_context *c, const struct exception *e, act_fn fn)
{
    static const char *const FOUND[] = {"", "happened: ", "absent: "};
    struct work *work = c->client->work;
    char *reason = xasprintf("%s%s", FOUND[c->request->outcome], c->request->reason);
    struct exception_act act = {e->cause, e->subject, c->request->who, reason};
    int rc = work_nested_begin(work);
    if (rc == 0) {
        rc = c->request->outcome == ADMIN_OUTCOME_NONE ? 0 : settle(c, e);
        rc = rc != 0 ? rc : fn(work, &act);
        if (rc == 0) {
            rc = work_nested_commit(work);
        } else {
            work_nested_abort(work);
        }
    }
    free(reason);
    return rc;
}

/* A release of an unknown outcome must say what was found; 0 when it may go on. */
static int check_outcome(struct admin_context *c, const char *verb, const struct exception *e)
{
    bool is_needed =
        strcmp(verb, "release") == 0 && strcmp(e->cause, EXCEPTION_OUTCOME_UNKNOWN) == 0;
    if (is_needed && c->request->outcome == ADMIN_OUTCOME_NONE) {
        return admin_fail(c, ADMIN_USAGE,
                          "say what you found: --outcome happened, or --outcome absent (it will be "
                          "sent again)");
    }
    if (!is_needed && c->request->outcome != ADMIN_OUTCOME_NONE) {
        return admin_fail(c, ADMIN_USAGE, "--outcome belongs to release outcome_unknown");
    }
    return 0;
}

static int act_on(struct admin_context *c, const char *verb, const struct exception *e)
{
    static const struct {
        const char *verb;
        act_fn run;
        const char *done;
    } ACTS[] = {
        {"retry", exception_retry, "runs again"},
        {"release", exception_release, "was released"},
        {"dismiss", exception_dismiss, "was dismissed"},
    };
    size_t a = 0;
    while (strcmp(ACTS[a].verb, verb) != 0) {
        a++;
    }
    if (c->request->reason == NULL || c->request->reason[0] == '\0') {
        return admin_fail(c, ADMIN_USAGE, "%s needs --reason \"...\": it goes to the audit chain",
                          verb);
    }
    int refusal = check_outcome(c, verb, e);
    if (refusal != 0) {
        return refusal;
    }
    uint64_t waiting = e->waiting;
    if (!c->request->is_dry_run) {
        int rc = run_act(c, e, ACTS[a].run);
        if (rc != 0) {
            return admin_fail(c, ADMIN_WRONG, "%s %s: %s", verb, e->cause, error_code_name(rc));
        }
    }
    if (c->request->wants_json) {
        json_object_begin(&c->json);
        json_member_str(&c->json, "act", verb);
        json_member_int(&c->json, "jobs", (int64_t)waiting);
        json_member_bool(&c->json, "dry_run", c->request->is_dry_run);
        json_object_end(&c->json);
        buf_add_char(c->out, '\n');
    } else {
        buf_addf(c->out, "%s%s%s%s %s (%" PRIu64 " jobs)\n",
                 c->request->is_dry_run ? "would do: " : "", e->cause,
                 e->subject[0] == '\0' ? "" : " ", e->subject, ACTS[a].done, waiting);
    }
    return ADMIN_OK;
}

int admin_exceptions(struct admin_context *c)
{
    const char *verb = admin_word(c, 1) == NULL ? "ls" : admin_word(c, 1);
    if (strcmp(verb, "ls") == 0) {
        return list_all(c);
    }
    bool is_act =
        strcmp(verb, "retry") == 0 || strcmp(verb, "release") == 0 || strcmp(verb, "dismiss") == 0;
    if (!is_act && strcmp(verb, "show") != 0) {
        return admin_fail(c, ADMIN_USAGE,
                          "exceptions knows ls, show, retry, release, dismiss; not %s", verb);
    }
    const char *cause = admin_word(c, 2);
    const char *subject = admin_word(c, 3) == NULL ? "" : admin_word(c, 3);
    if (cause == NULL) {
        return admin_fail(c, ADMIN_USAGE, "say which: neap exceptions %s CAUSE [SUBJECT]", verb);
    }
    if (is_act && !c->view->is_live) {
        return admin_fail(c, ADMIN_UNREACHABLE, "%s needs the running host", verb);
    }
    struct exception e;
    memset(&e, 0, sizeof(e));
    if (find_exception(c, cause, subject, &e) != 0) {
        return admin_fail(c, ADMIN_NOT_FOUND, "no open exception %s%s%s", cause,
                          subject[0] == '\0' ? "" : " ", subject);
    }
    int rc = is_act ? act_on(c, verb, &e) : show_one(c, &e);
    exception_free(&e);
    return rc;
}
