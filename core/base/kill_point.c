/*
 * What is armed is the one piece of process-wide state beside the log's: the points lie in every
 * room, and a build that serves real clients has none of it.
 */
#include "core/base/kill_point.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NEAP_KILL_POINTS

int kill_point_arm(const char *entries, struct error *err)
{
    if (entries == NULL || entries[0] == '\0') {
        return 0;
    }
    return error_set(err, ERROR_INVALID, "NEAP_KILL_AT: this build has no kill points");
}

void kill_point_list(FILE *out)
{
    (void)out;
}

#else

#define ENTRIES_MAX                   4
#define SUBJECT_MAX                   64
#define SIDES                         2 /* before, after */

struct entry {
    enum kill_point point;
    unsigned side;
    char subject[SUBJECT_MAX]; /* "" = any */
    long left;                 /* passings */
    bool is_stop;
};

static struct {
    struct entry list[ENTRIES_MAX];
    size_t count;
    size_t at;
} armed;

static const char *const point_names[] = {
#define KILL_POINT_NAME(symbol, name) [symbol] = (name),
    KILL_POINT_LIST(KILL_POINT_NAME)
#undef KILL_POINT_NAME
};
#define POINT_COUNT (sizeof(point_names) / sizeof(point_names[0]))

static const char *const side_names[SIDES] = {"before", "after"};

/* Moves *text past word when it begins with it. */
static bool take(const char **text, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(*text, word, size) != 0) {
        return false;
    }
    *text += size;
    return true;
}

static bool read_place(const char **text, struct entry *entry)
{
    for (size_t p = 0; p < POINT_COUNT; p++) {
        for (unsigned s = 0; s < SIDES; s++) {
            const char *at = *text;
            bool is_it = take(&at, point_names[p]) && take(&at, ".") && take(&at, side_names[s]);
            if (is_it && strchr("/:= ", *at) != NULL) { /* the terminator counts as one of them */
                entry->point = (enum kill_point)p;
                entry->side = s;
                *text = at;
                return true;
            }
        }
    }
    return false;
}

static bool read_entry(const char **text, struct entry *entry)
{
    memset(entry, 0, sizeof(*entry));
    entry->left = 1;
    if (!read_place(text, entry)) {
        return false;
    }
    if (take(text, "/")) {
        size_t size = strcspn(*text, ":= ");
        if (size == 0 || size >= SUBJECT_MAX) {
            return false;
        }
        memcpy(entry->subject, *text, size);
        *text += size;
    }
    if (take(text, ":")) {
        char *end = NULL;
        entry->left = strtol(*text, &end, 10);
        if (end == *text || entry->left < 1) {
            return false;
        }
        *text = end;
    }
    entry->is_stop = take(text, "=stop");
    return **text == '\0' || **text == ' ';
}

int kill_point_arm(const char *entries, struct error *err)
{
    memset(&armed, 0, sizeof(armed));
    const char *at = entries == NULL ? "" : entries;
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
        const char *word = at;
        if (armed.count == ENTRIES_MAX || !read_entry(&at, &armed.list[armed.count])) {
            memset(&armed, 0, sizeof(armed));
            return error_set(err, ERROR_INVALID, "NEAP_KILL_AT: not a kill point: %s", word);
        }
        armed.count++;
    }
    return 0;
}

void kill_point_list(FILE *out)
{
    for (size_t p = 0; p < POINT_COUNT; p++) {
        for (unsigned s = 0; s < SIDES; s++) {
            fprintf(out, "%s.%s\n", point_names[p], side_names[s]);
        }
    }
}

static void pass(enum kill_point point, unsigned side, const char *subject)
{
    if (armed.at == armed.count) {
        return;
    }
    struct entry *entry = &armed.list[armed.at];
    bool is_about =
        entry->subject[0] == '\0' || (subject != NULL && strcmp(subject, entry->subject) == 0);
    if (entry->point != point || entry->side != side || !is_about || --entry->left > 0) {
        return;
    }
    if (entry->is_stop) {
        raise(SIGSTOP);
    }
    if (++armed.at < armed.count || entry->is_stop) {
        return;
    }
    fprintf(stderr, "kill point %s.%s %s\n", point_names[point], side_names[side],
            subject == NULL ? "" : subject);
    fflush(stderr);
    kill(getpid(), SIGKILL);
    pause(); /* the signal takes all threads */
}

void kill_point_before(enum kill_point point, const char *subject)
{
    pass(point, 0, subject);
}

void kill_point_after(enum kill_point point, const char *subject)
{
    pass(point, 1, subject);
}

#endif
