/*
 * A socket that listens, and what it accepts. When the process has no file descriptor left for a
 * connection, the acceptor rests for a moment and tries again; meanwhile callers wait in the
 * kernel's queue.
 */
#ifndef NEAP_CORE_LOOP_ACCEPTOR_H
#define NEAP_CORE_LOOP_ACCEPTOR_H

#include <sys/socket.h>

#include "core/base/errors.h"
#include "core/loop/loop.h"

struct acceptor;

/* fd is the callee's, not blocking, closed in children. */
typedef void (*acceptor_fn)(void *arg, int fd, const struct sockaddr *peer);

struct acceptor_options {
    const struct sockaddr *address; /* of a unix socket: its file gets mode 0600 */
    socklen_t address_size;
    const char *shown; /* the address as a person wrote it; used while opening */
    const char *area;  /* of log lines; borrowed */
    acceptor_fn accept;
    void *arg;
};

/* The loop has an event base. ERROR_IO: the system refuses. */
int acceptor_open(struct acceptor **acceptor_out, struct loop *loop,
                  const struct acceptor_options *options, struct error *err) NEAP_MUST_USE;
void acceptor_close(struct acceptor *a); /* accepts NULL; removes no file */
int acceptor_fd(const struct acceptor *a);
uint64_t acceptor_failures(const struct acceptor *a); /* rests it had to take */

#endif
