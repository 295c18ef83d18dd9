/*
 * Documents that a job keeps: what came from outside and went into a decision, so that the decision
 * can be made again later. Personal data: they go with retention (payload_days) and erasure.
 */
#ifndef NEAP_CORE_WORK_DOCUMENT_H
#define NEAP_CORE_WORK_DOCUMENT_H

#include "core/work/work.h"

#define DOCUMENT_NAME_MAX 200

/* Replaces the job's earlier document of this name. Belongs to the slice. ERROR_LIMIT: too long. */
int document_put(struct work *work, uint64_t job_id, const char *name,
                 struct bytes content) NEAP_MUST_USE;
/* The newest of this name that a job of the key kept, owned (free()). ERROR_NOT_FOUND. */
int document_newest(struct work *work, const char *key, const char *name, char **content_out,
                    size_t *size_out) NEAP_MUST_USE;

#endif
