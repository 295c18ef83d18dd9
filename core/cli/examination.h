/* A verb of this program in a process of its own: what it finds in data that this process has, or
 * had, open, or of what this process serves. */
#ifndef NEAP_CORE_CLI_EXAMINATION_H
#define NEAP_CORE_CLI_EXAMINATION_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/base/buf.h"

struct event;
struct event_base;

struct examination {
    pid_t pid;       /* -1 when it did not start */
    int fd;          /* its standard output: readable when it said something or ended */
    struct buf said; /* what it said; what has no room is dropped */
    int code;        /* its exit code, once it ended; CLI_UNREACHABLE: it did not end by itself */
    struct event *ready; /* while it is watched */
};

/* Starts `neap words...` (words end with NULL), of which at most max_bytes are kept. */
void examination_begin(struct examination *e, const char *const *words, size_t max_bytes);
/* Takes what it has said so far, without waiting. True when it has ended. */
bool examination_look(struct examination *e);
/* Has the base look whenever there is something to take, until it has ended. */
void examination_watch(struct examination *e, struct event_base *base);
/* Waits for its end: for a process that serves nobody meanwhile. */
void examination_wait(struct examination *e);
/* Ends it when it has not ended, and frees what it said. */
void examination_free(struct examination *e);

#endif
