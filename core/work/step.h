/* Steps: results remembered for one attempt chain of a job. */
#ifndef NEAP_CORE_WORK_STEP_H
#define NEAP_CORE_WORK_STEP_H

#include "core/work/job.h"

/* The remembered JSON, borrowed until the next write. ERROR_NOT_FOUND: run it. */
int step_find(struct job *job, const char *name, struct bytes *json_out) NEAP_MUST_USE;
/* Remembers and checkpoints. Within a slice only. ERROR_EXISTS: this chain has it already. */
int step_put(struct job *job, const char *name, struct bytes json) NEAP_MUST_USE;

#endif
