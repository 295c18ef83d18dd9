/*
 * Lua's string patterns (reference manual 6.4.1), matched with a bound on the work done.
 *
 * The stock matcher backtracks without an end inside one C call, where no hook can reach it (a
 * search of 400 characters was seen to take 6 s). This one counts its steps and gives up.
 */
#ifndef NEAP_CORE_SCRIPT_PATTERN_H
#define NEAP_CORE_SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

#define PATTERN_MAX_CAPTURES 32

struct pattern_capture {
    const char *start;
    ptrdiff_t size; /* or PATTERN_POSITION: `()` captures where, not what */
};

#define PATTERN_POSITION (-2)

/* One subject and one pattern; borrowed bytes, pattern and subject are NUL-terminated Lua strings.
 */
struct pattern {
    struct bytes subject;
    struct bytes text; /* the pattern, without a leading "^" */
    int capture_count;
    struct pattern_capture captures[PATTERN_MAX_CAPTURES];
    unsigned depth;
    uint64_t steps_left;
    uint64_t steps_told; /* what was left when pattern_untold was asked last */
    const char *problem; /* set when the pattern is wrong or too expensive; static text */
};

/* Steps allow every linear pass over the subject (of some megabytes) and about 50 ms of
 * backtracking; never more than about a second of work. */
void pattern_init(struct pattern *p, struct bytes subject, struct bytes text);

/* Matches at `at` exactly. Returns the end of the match, or NULL (then see `problem`). */
const char *pattern_match(struct pattern *p, const char *at);

/* First match at or after `from`; sets start and end. False when none, or with `problem`. */
bool pattern_search(struct pattern *p, const char *from, const char **start_out,
                    const char **end_out);

/* Counts work that the caller does for a match. False when there is none left (see `problem`). */
bool pattern_charge(struct pattern *p, uint64_t steps);

/* Steps since it was asked last: what the caller tells the VM of. */
uint64_t pattern_untold(struct pattern *p);

/* True when the text holds no character that patterns treat specially. */
bool pattern_is_plain(struct bytes text);

#endif
