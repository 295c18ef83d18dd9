/* What is at stake while an exception is open, from the facts of the keys that wait on it. */
#include <stdio.h>
#include <string.h>

#include "core/work/dossier.h"
#include "core/work/exception.h"
#include "core/work/job.h"

struct adding {
    struct work *work;
    struct exception_stake *stake;
};

static void add_facts(struct exception_stake *s, const struct dossier_facts *facts)
{
    if (facts->currency != NULL && facts->currency[0] != '\0') {
        if (s->currency[0] == '\0') {
            snprintf(s->currency, sizeof(s->currency), "%s", facts->currency);
        }
        if (strcmp(s->currency, facts->currency) == 0) {
            s->minor += facts->amount_minor;
        } else {
            s->other_currency++;
        }
    }
    if (facts->deadline_ms != 0 && (s->deadline_ms == 0 || facts->deadline_ms < s->deadline_ms)) {
        s->deadline_ms = facts->deadline_ms;
    }
}

static int add_waiter(void *arg, uint64_t job_id)
{
    struct adding *adding = arg;
    struct job_info info;
    struct dossier_facts facts;
    memset(&info, 0, sizeof(info));
    memset(&facts, 0, sizeof(facts));
    if (job_load(adding->work, job_id, &info) != 0) {
        return 0;
    }
    adding->stake->jobs++;
    if (dossier_get_facts(adding->work, info.key, &facts) == 0) {
        add_facts(adding->stake, &facts);
    }
    dossier_facts_free(&facts);
    job_info_free(&info);
    return 0;
}

void exception_stake(struct work *work, const char *cause, const char *subject,
                     struct exception_stake *stake_out)
{
    struct adding adding = {work, stake_out};
    memset(stake_out, 0, sizeof(*stake_out));
    exception_each_waiter(work, cause, subject, add_waiter, &adding);
}
