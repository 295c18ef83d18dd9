/*
 * A recursive matcher: each pattern item either consumes subject characters in a loop or calls
 * match_rest for what follows. Recursion is as deep as the pattern has captures and quantifiers.
 * Every character test is a step; when none are left, `problem` is set and everything unwinds.
 */
#include "core/script/pattern.h"

#include <ctype.h>
#include <string.h>

#define CAPTURE_OPEN   (-1)
#define MAX_DEPTH      200
#define STEPS_BASE     10000000u /* 50 to 100 ms on the machines we measured */
#define STEPS_PER_BYTE 8u
#define SET_PER_STEP   8          /* characters of a set that are looked through in a step */
#define STEPS_MAX      160000000u /* about a second: no call may come near the watchdog's ten */

static const char *match_rest(struct pattern *p, const char *s, const char *at);

static const char *fail_with(struct pattern *p, const char *problem)
{
    if (p->problem == NULL) {
        p->problem = problem;
    }
    return NULL;
}

static bool spend(struct pattern *p, uint64_t steps)
{
    if (p->steps_left < steps) {
        p->steps_left = 0;
        fail_with(p, "pattern too complex for this subject");
        return false;
    }
    p->steps_left -= steps;
    return true;
}

static const char *subject_end(const struct pattern *p)
{
    return p->subject.data + p->subject.size;
}

static const char *text_end(const struct pattern *p)
{
    return p->text.data + p->text.size;
}

/* The end of the single-character item that starts at `item`. */
static const char *item_end(struct pattern *p, const char *item)
{
    const char *end = text_end(p);
    if (*item == '%') {
        return item + 1 < end ? item + 2 : fail_with(p, "malformed pattern (ends with '%')");
    }
    if (*item != '[') {
        return item + 1;
    }
    const char *at = item + 1;
    at += at < end && *at == '^' ? 1 : 0;
    /* The first character of a set is literal even when it is "]". */
    for (bool is_first = true; at < end && (is_first || *at != ']'); is_first = false) {
        at += *at == '%' && at + 1 < end ? 2 : 1;
    }
    if (!spend(p, (uint64_t)(at - item) / SET_PER_STEP)) {
        return NULL;
    }
    return at < end ? at + 1 : fail_with(p, "malformed pattern (missing ']')");
}

static bool is_in_class(int c, int letter)
{
    bool is_in;
    switch (tolower(letter)) {
    case 'a':
        is_in = isalpha(c) != 0;
        break;
    case 'c':
        is_in = iscntrl(c) != 0;
        break;
    case 'd':
        is_in = isdigit(c) != 0;
        break;
    case 'g':
        is_in = isgraph(c) != 0;
        break;
    case 'l':
        is_in = islower(c) != 0;
        break;
    case 'p':
        is_in = ispunct(c) != 0;
        break;
    case 's':
        is_in = isspace(c) != 0;
        break;
    case 'u':
        is_in = isupper(c) != 0;
        break;
    case 'w':
        is_in = isalnum(c) != 0;
        break;
    case 'x':
        is_in = isxdigit(c) != 0;
        break;
    default:
        return letter == c;
    }
    return isupper(letter) ? !is_in : is_in;
}

/* set points to "[", close to its "]". */
static bool is_in_set(int c, const char *set, const char *close)
{
    const unsigned char *at = (const unsigned char *)set + 1;
    const unsigned char *end = (const unsigned char *)close;
    bool found = true;
    if (*at == '^') {
        found = false;
        at++;
    }
    while (at < end) {
        if (*at == '%' && at + 1 < end) {
            if (is_in_class(c, at[1])) {
                return found;
            }
            at += 2;
        } else if (at + 2 < end && at[1] == '-') {
            if (at[0] <= c && c <= at[2]) {
                return found;
            }
            at += 3;
        } else {
            if (*at == c) {
                return found;
            }
            at++;
        }
    }
    return !found;
}

static bool is_match_one(struct pattern *p, const char *s, const char *item, const char *end)
{
    /* A set costs what it is long: a long one was an hour over a long subject. */
    if (s == NULL || s >= subject_end(p) || !spend(p, 1 + (uint64_t)(end - item) / SET_PER_STEP)) {
        return false;
    }
    int c = (unsigned char)*s;
    switch (*item) {
    case '.':
        return true;
    case '%':
        return is_in_class(c, (unsigned char)item[1]);
    case '[':
        return is_in_set(c, item, end - 1);
    default:
        return (unsigned char)*item == c;
    }
}

static const char *match_longest(struct pattern *p, const char *s, const char *item,
                                 const char *end)
{
    ptrdiff_t count = 0;
    while (is_match_one(p, s + count, item, end)) {
        count++;
    }
    for (; count >= 0 && p->problem == NULL; count--) {
        const char *result = match_rest(p, s + count, end + 1);
        if (result != NULL) {
            return result;
        }
    }
    return NULL;
}

static const char *match_shortest(struct pattern *p, const char *s, const char *item,
                                  const char *end)
{
    while (p->problem == NULL) {
        const char *result = match_rest(p, s, end + 1);
        if (result != NULL) {
            return result;
        }
        if (!is_match_one(p, s, item, end)) {
            return NULL;
        }
        s++;
    }
    return NULL;
}

static const char *open_capture(struct pattern *p, const char *s, const char *at, ptrdiff_t size)
{
    if (p->capture_count >= PATTERN_MAX_CAPTURES) {
        return fail_with(p, "too many captures");
    }
    p->captures[p->capture_count].start = s;
    p->captures[p->capture_count].size = size;
    p->capture_count++;
    const char *result = match_rest(p, s, at);
    p->capture_count -= result == NULL ? 1 : 0;
    return result;
}

static const char *close_capture(struct pattern *p, const char *s, const char *at)
{
    int i = p->capture_count - 1;
    while (i >= 0 && p->captures[i].size != CAPTURE_OPEN) {
        i--;
    }
    if (i < 0) {
        return fail_with(p, "invalid pattern capture");
    }
    p->captures[i].size = s - p->captures[i].start;
    const char *result = match_rest(p, s, at);
    if (result == NULL) {
        p->captures[i].size = CAPTURE_OPEN;
    }
    return result;
}

/* %bxy: at points to x. */
static const char *match_balanced(struct pattern *p, const char *s, const char *at)
{
    if (at + 1 >= text_end(p)) {
        return fail_with(p, "malformed pattern (missing arguments to '%b')");
    }
    if (s >= subject_end(p) || *s != at[0]) {
        return NULL;
    }
    int open = 1;
    for (const char *c = s + 1; c < subject_end(p) && spend(p, 1); c++) {
        if (*c == at[1]) {
            open--;
            if (open == 0) {
                return c + 1;
            }
        } else if (*c == at[0]) {
            open++;
        }
    }
    return NULL;
}

/* %f[set]: the place where the set begins to hold. Returns the end of the set, or NULL. */
static const char *match_frontier(struct pattern *p, const char *s, const char *set)
{
    if (set >= text_end(p) || *set != '[') {
        return fail_with(p, "missing '[' after '%f' in pattern");
    }
    const char *end = item_end(p, set);
    if (end == NULL) {
        return NULL;
    }
    int before = s == p->subject.data ? 0 : (unsigned char)s[-1];
    int here = s < subject_end(p) ? (unsigned char)*s : 0;
    return !is_in_set(before, set, end - 1) && is_in_set(here, set, end - 1) ? end : NULL;
}

static const char *match_back(struct pattern *p, const char *s, int digit)
{
    int i = digit - '1';
    if (i < 0 || i >= p->capture_count || p->captures[i].size == CAPTURE_OPEN) {
        return fail_with(p, "invalid capture index in pattern");
    }
    size_t size = p->captures[i].size < 0 ? 0 : (size_t)p->captures[i].size;
    if ((size_t)(subject_end(p) - s) < size || !spend(p, size) ||
        memcmp(p->captures[i].start, s, size) != 0) {
        return NULL;
    }
    return s + size;
}

/* %b, %f and %1: consumes the item at *at, or leaves it when it is another escape. */
static const char *match_escape(struct pattern *p, const char *s, const char **at)
{
    char kind = *at + 1 < text_end(p) ? (*at)[1] : '\0';
    if (kind == 'b') {
        s = match_balanced(p, s, *at + 2);
        *at += 4;
    } else if (kind == 'f') {
        const char *end = match_frontier(p, s, *at + 2);
        s = end == NULL ? NULL : s;
        *at = end;
    } else if (kind >= '0' && kind <= '9') {
        s = match_back(p, s, kind);
        *at += 2;
    }
    return s;
}

static const char *match_items(struct pattern *p, const char *s, const char *at)
{
    while (at < text_end(p)) {
        if (*at == '(') {
            bool is_position = at + 1 < text_end(p) && at[1] == ')';
            return is_position ? open_capture(p, s, at + 2, PATTERN_POSITION)
                               : open_capture(p, s, at + 1, CAPTURE_OPEN);
        }
        if (*at == ')') {
            return close_capture(p, s, at + 1);
        }
        if (*at == '$' && at + 1 == text_end(p)) {
            return s == subject_end(p) ? s : NULL;
        }
        if (*at == '%') {
            const char *before = at;
            s = match_escape(p, s, &at);
            if (s == NULL) {
                return NULL;
            }
            if (at != before) {
                continue;
            }
        }
        const char *end = item_end(p, at);
        if (end == NULL) {
            return NULL;
        }
        char suffix = end < text_end(p) ? *end : '\0';
        if (suffix == '*') {
            return match_longest(p, s, at, end);
        }
        if (suffix == '-') {
            return match_shortest(p, s, at, end);
        }
        bool is_match = is_match_one(p, s, at, end);
        if (suffix == '+') {
            return is_match ? match_longest(p, s + 1, at, end) : NULL;
        }
        if (suffix == '?') {
            const char *result = is_match ? match_rest(p, s + 1, end + 1) : NULL;
            if (result != NULL || p->problem != NULL) {
                return result;
            }
            at = end + 1;
            continue;
        }
        if (!is_match) {
            return NULL;
        }
        s++;
        at = end;
    }
    return s;
}

static const char *match_rest(struct pattern *p, const char *s, const char *at)
{
    if (p->depth >= MAX_DEPTH) {
        return fail_with(p, "pattern too complex");
    }
    if (!spend(p, 1)) {
        return NULL;
    }
    p->depth++;
    const char *result = match_items(p, s, at);
    p->depth--;
    return p->problem == NULL ? result : NULL;
}

bool pattern_charge(struct pattern *p, uint64_t steps)
{
    return spend(p, steps);
}

uint64_t pattern_untold(struct pattern *p)
{
    uint64_t steps = p->steps_told - p->steps_left;
    p->steps_told = p->steps_left;
    return steps;
}

void pattern_init(struct pattern *p, struct bytes subject, struct bytes text)
{
    p->subject = subject;
    p->text = text;
    p->capture_count = 0;
    p->depth = 0;
    p->steps_left = STEPS_BASE + STEPS_PER_BYTE * (uint64_t)subject.size;
    p->steps_left = p->steps_left < STEPS_MAX ? p->steps_left : STEPS_MAX;
    p->steps_told = p->steps_left;
    p->problem = NULL;
}

const char *pattern_match(struct pattern *p, const char *at)
{
    p->capture_count = 0;
    const char *end = match_rest(p, at, p->text.data);
    for (int i = 0; end != NULL && i < p->capture_count; i++) {
        if (p->captures[i].size == CAPTURE_OPEN) {
            return fail_with(p, "unfinished capture");
        }
    }
    return end;
}

bool pattern_search(struct pattern *p, const char *from, const char **start_out,
                    const char **end_out)
{
    for (const char *s = from; s <= subject_end(p) && p->problem == NULL; s++) {
        const char *end = pattern_match(p, s);
        if (end != NULL) {
            *start_out = s;
            *end_out = end;
            return true;
        }
    }
    return false;
}

bool pattern_is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\0' && strchr("^$*+?.([%-", text.data[i]) != NULL) {
            return false;
        }
    }
    return true;
}
