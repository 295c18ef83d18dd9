/* A person's act on an exception, told to the flows whose jobs waited on it and that ask for acts.
 */
#ifndef NEAP_CORE_WORK_ACT_EVENT_H
#define NEAP_CORE_WORK_ACT_EVENT_H

#include "core/work/exception.h"

#define ACT_EVENT_SOURCE    "neap.act"
#define ACT_EVENT_RELEASED  "released"  /* its event: "released.<cause>" */
#define ACT_EVENT_DISMISSED "dismissed" /* its event: "dismissed.<cause>" */

struct id_list;

struct act_told { /* borrowed */
    const char *verb;
    const struct exception *exception;
    const char *who;
    const char *reason;
    uint64_t closed_seq; /* of the closing: makes the event's id */
};

/*
 * An overtaking event on the key of each job whose flow wants acts (work_lookup.wants_acts), with
 * {by, cause, reason, subject} as payload. It is positive evidence: that an exception is not open
 * does not say who closed it. A dismissal starts a job where none of the key is open.
 */
int act_event_tell(struct work *work, const struct act_told *told,
                   const struct id_list *jobs) NEAP_MUST_USE;

#endif
