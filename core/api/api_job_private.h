/* The job object's two files: api_job.c (object, facts, waits) and api_job_effect.c (steps,
 * effects). */
#ifndef NEAP_CORE_API_API_JOB_PRIVATE_H
#define NEAP_CORE_API_API_JOB_PRIVATE_H

#include "core/script/job_run.h"

/* The run behind the job object at idx; raises when the job is over or L is not in its slice. */
struct job_run *api_job_check(lua_State *L, int idx);
/* The same, and it may wait here. */
struct job_run *api_job_check_wait(lua_State *L, int idx);

/* Adds the primitives of scripts/lib/job.lua to the table at the top. [-0, +0] */
void api_job_effect_install(lua_State *L);

#endif
