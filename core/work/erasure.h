/*
 * Erasure: the personal data of one key go, on a person's word.
 *
 * erased     payloads of its events, documents its jobs kept, its timeline, its penny trail, step
 *            memos, request and answer bytes of its effects and the words of their errors, the last
 *            error of its jobs, the words of closed exceptions about it, its records in personal
 *            tables of scripts (script_table.h), and of its facts all but amount, deadlines, state
 *            and (unless asked) title
 * kept       identity (events, jobs, effects with fingerprint and result, links, aliases, answers
 *            given), money, the audit chain, the scripts' other tables
 *
 * The key, each of its aliases and the other keys whose events were about it are erased in one
 * unit, with an entry of the audit chain and one in the table of erasures. Then the store is
 * compacted, because what is deleted stays in the file: soon, between two turns, when the store is
 * small, else at the next start; the wish is durable.
 *
 * The journal, a file beside the store's folder, outlives a restore: what it names and the store
 * does not know was erased after the backup, and is erased again.
 */
#ifndef NEAP_CORE_WORK_ERASURE_H
#define NEAP_CORE_WORK_ERASURE_H

#include "core/work/work.h"

#define ERASURE_SETTLE_MS 10000 /* one compaction for many erasures in a row */
#define ERASURE_LIVE_BYTES                                                                         \
    (UINT64_C(256) << 20)        /* a larger store is compacted at the next start                  \
                                  */
#define ERASURE_WORDS_MAX   4000 /* who and why, together */
#define ERASURE_JOURNAL_MAX (UINT64_C(256) << 20)

struct erasure_request { /* borrowed */
    const char *key;     /* not an alias */
    const char *who;
    const char *reason;
    bool with_title; /* the title of its facts too */
    bool is_forced;  /* open jobs are dismissed, unsent effects refused; else they refuse */
    bool is_dry_run; /* everything is counted, nothing is kept */
    int64_t at_ms;   /* 0 = now; from the journal: when it was asked for */
};

struct erasure_report {
    uint64_t names; /* the key, its aliases and its related keys */
    uint64_t jobs_dismissed;
    uint64_t payloads;
    uint64_t documents;
    uint64_t timeline_lines;
    uint64_t trails;
    uint64_t facts;
    uint64_t effects;
    uint64_t steps;
    uint64_t records; /* of scripts' tables that hold personal data (script_table.h) */
    uint64_t errors;  /* words of errors and closed exceptions */
    uint64_t broken;  /* broken records, put aside earlier */
};

/*
 * ERROR_INVALID: a job of the key is open (and not forced), or runs now; ERROR_EXISTS: an effect of
 * the key has no known outcome (never forced: its bytes may be needed to find out); ERROR_FULL,
 * ERROR_IO as everywhere. Durable with the commit of this turn.
 */
int erasure_apply(struct work *work, const struct erasure_request *request,
                  struct erasure_report *report_out, struct error *err) NEAP_MUST_USE;

/*
 * Names the journal and makes both sides agree: what only the file knows is erased again
 * (erasure_reapply), what only the store knows is added to the file. Call it once, after work_open.
 */
int erasure_attach(struct work *work, const char *journal_path, struct error *err) NEAP_MUST_USE;
/* Erases what the journal names and the store does not know; keys with an open job wait for the
 * next day or start. *count_out: erased now. */
int erasure_reapply(struct work *work, uint64_t *count_out, struct error *err) NEAP_MUST_USE;

/* Erased bytes are still in the file. */
bool erasure_wants_compaction(const struct work *work);
/* Between turns, nothing uncommitted: compacts now, whatever the size. Commit the turn after it. */
int erasure_compact(struct work *work, struct error *err) NEAP_MUST_USE;

/* The generation of the scripts that ran last, 0 when none did: opens the work of a stopped host
 * without its scripts and without making its jobs start afresh. */
uint64_t erasure_stored_generation(struct store *store);

typedef int (*erasure_fn)(void *arg, const char *key, int64_t at_ms, const char *who);
int erasure_each(struct work *work, erasure_fn fn, void *arg);

#endif
