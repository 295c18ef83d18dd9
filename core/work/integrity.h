/*
 * Is this store whole? Reads every record of a client's store and compares what must agree: a job
 * with its shelf, its inbox and its event; an effect with its indexes and bytes; causes with the
 * jobs that wait; aliases, links, numbers, the audit chain. docs/store-layout.md is the law.
 *
 * Writes nothing; with a work opened for reading it runs beside a serving host, on one snapshot.
 */
#ifndef NEAP_CORE_WORK_INTEGRITY_H
#define NEAP_CORE_WORK_INTEGRITY_H

#include "core/work/work.h"

struct integrity_report {
    uint64_t records;
    uint64_t problems;
    uint64_t broken; /* records put aside earlier (table Q): counted, no problem of today */
};

/* One problem: the record as "J 12" or "X unknown_tax GB", and what is wrong with it. Borrowed. */
typedef void (*integrity_fn)(void *arg, const char *record, const char *problem);

/* 0, also when problems were found: report_out counts them. A negative code: the store itself
 * cannot be read. fn may be NULL. */
int integrity_check(struct work *work, integrity_fn fn, void *arg,
                    struct integrity_report *report_out) NEAP_MUST_USE;

#endif
