/*
 * Who did what: an append-only chain. Each record carries the SHA-256 of the record before it, so
 * nothing can be changed or taken out of the middle without a verification failing.
 */
#ifndef NEAP_CORE_WORK_AUDIT_CHAIN_H
#define NEAP_CORE_WORK_AUDIT_CHAIN_H

#include "core/work/work.h"

#define AUDIT_HASH_BYTES 32

struct audit_entry { /* borrowed */
    uint64_t seq;    /* set by audit_append */
    int64_t at_ms;   /* set by audit_append */
    const char *who;
    const char *action;  /* "exception.release" */
    const char *subject; /* "unknown_stock_code TS-RED-L" */
    const char *detail;  /* the reason given, JSON or words */
};

int audit_append(struct work *work, const struct audit_entry *entry) NEAP_MUST_USE;
typedef int (*audit_fn)(void *arg, const struct audit_entry *entry, const uint8_t *hash);
/* Oldest first from seq on, until fn returns non-zero. */
int audit_each(struct work *work, uint64_t from_seq, audit_fn fn, void *arg);
/* 0 and the number of records, or ERROR_CORRUPT naming the first record that does not fit. */
int audit_verify(struct work *work, uint64_t *count_out, struct error *err) NEAP_MUST_USE;

#endif
