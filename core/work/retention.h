/*
 * How long a client's store keeps what: a daily pass, in small pieces between turns.
 *
 * Never touched: open jobs and all that their keys hold, the ledger of effects (identity, state,
 * fingerprint, result), what was accepted before (source and id, and the answer given), links and
 * aliases, facts, tables of scripts, the audit chain, counters. docs/store-layout.md has the table.
 */
#ifndef NEAP_CORE_WORK_RETENTION_H
#define NEAP_CORE_WORK_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/errors.h"

struct work;

/* Days; 0 = the default. */
struct retention_policy {
    int64_t payload_days;           /* payloads of events; requests and answers of effects */
    int64_t timeline_days;          /* lines of timelines */
    int64_t trail_days;             /* penny trails: finance asks for years */
    int64_t closed_exceptions_days; /* exceptions that were closed */
    int64_t done_jobs_days;         /* jobs that are done, with the payloads of their events */
};

#define RETENTION_DAYS_MAX 36500

/* From now on. Fields at 0 become the defaults. */
void retention_set_policy(struct work *work, const struct retention_policy *policy);

/* What went since the process started. */
struct retention_counts {
    uint64_t passes;
    uint64_t payloads;
    uint64_t documents;
    uint64_t effects; /* whose bytes went */
    uint64_t timeline_lines;
    uint64_t trails;
    uint64_t closed_exceptions;
    uint64_t jobs;
};
const struct retention_counts *retention_counts(const struct work *work);

/*
 * One piece of a pass, as the timer runs it: at most RETENTION_REMOVE_MAX records go and
 * RETENTION_VISIT_MAX are looked at. Begins a pass when none is under way. *is_over_out: the pass
 * is complete. On failure nothing of the piece is kept. ERROR_INVALID: a store opened for reading.
 */
#define RETENTION_REMOVE_MAX 500
#define RETENTION_VISIT_MAX  5000
int retention_run(struct work *work, bool *is_over_out) NEAP_MUST_USE;

#endif
