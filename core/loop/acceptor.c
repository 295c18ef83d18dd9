#define _GNU_SOURCE
#include "core/loop/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"

#define BACKLOG      1024
#define REST_MS      100   /* out of descriptors: trying at once again would spin */
#define LOG_EVERY_MS 10000 /* of what goes on failing */

struct acceptor {
    struct loop *loop;
    struct evconnlistener *listener;
    struct loop_timer *rest;
    const char *area;
    acceptor_fn accept;
    void *arg;
    uint64_t failures;
    int64_t log_after_ms; /* monotonic */
};

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_size, void *arg)
{
    (void)listener;
    (void)peer_size;
    struct acceptor *a = arg;
    a->accept(a->arg, fd, peer);
}

static void on_error(struct evconnlistener *listener, void *arg)
{
    struct acceptor *a = arg;
    int sys_errno = errno;
    int64_t now = clock_mono_ms(loop_clock(a->loop));
    a->failures++;
    if (now >= a->log_after_ms) {
        log_msg(LOG_WARN, a->area, "cannot accept connections for the moment: %s",
                strerror(sys_errno));
        a->log_after_ms = now + LOG_EVERY_MS;
    }
    evconnlistener_disable(listener);
    loop_timer_start(a->rest, REST_MS);
}

static void on_rest_over(void *arg)
{
    struct acceptor *a = arg;
    evconnlistener_enable(a->listener);
}

/* Of a unix socket the mode is in place before anybody can connect. */
static int bind_socket(int fd, const struct sockaddr *address, socklen_t size)
{
    if (address->sa_family == AF_UNIX) {
        mode_t mask = umask(S_IRWXG | S_IRWXO | S_IXUSR);
        int rc = bind(fd, address, size);
        umask(mask);
        return rc;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    return bind(fd, address, size);
}

int acceptor_open(struct acceptor **acceptor_out, struct loop *loop,
                  const struct acceptor_options *options, struct error *err)
{
    struct acceptor *a = xcalloc(1, sizeof(*a));
    a->loop = loop;
    a->area = options->area;
    a->accept = options->accept;
    a->arg = options->arg;
    int family = options->address->sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind_socket(fd, options->address, options->address_size) == 0) {
        a->listener =
            evconnlistener_new(loop_event_base(loop), on_accept, a,
                               LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
    }
    *acceptor_out = NULL;
    if (a->listener == NULL) {
        int rc = error_set_errno(err, ERROR_IO, errno, "cannot listen on %s", options->shown);
        if (fd >= 0) {
            close(fd);
        }
        free(a);
        return rc;
    }
    evconnlistener_set_error_cb(a->listener, on_error);
    a->rest = loop_timer_new(loop, on_rest_over, a);
    *acceptor_out = a;
    return 0;
}

void acceptor_close(struct acceptor *a)
{
    if (a != NULL) {
        loop_timer_free(a->rest);
        evconnlistener_free(a->listener);
        free(a);
    }
}

int acceptor_fd(const struct acceptor *a)
{
    return evconnlistener_get_fd(a->listener);
}

uint64_t acceptor_failures(const struct acceptor *a)
{
    return a->failures;
}
