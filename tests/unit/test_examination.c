/* A verb in a process of its own, seen from the program that started it. Started with words, this
 * program is that process: it says the first one and ends with the second as its exit code. */
#include "core/cli/examination.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/cli/cli.h"
#include "tests/support/tap.h"

static const char *const SAYS_AND_ENDS[] = {"said", "3", NULL};

static void it_tells_what_it_said_and_how_it_ended(void)
{
    struct examination e;
    examination_begin(&e, SAYS_AND_ENDS, 1000);
    CHECK_INT(e.code, CLI_UNREACHABLE);
    examination_wait(&e);
    CHECK_STR(buf_text(&e.said), "said\n");
    CHECK_INT(e.code, 3);
    examination_free(&e);
}

/* As a service manager may start us: the system then forgets how our processes ended. */
static void it_tells_how_it_ended_where_ended_processes_are_ignored(void)
{
    struct examination e;
    signal(SIGCHLD, SIG_IGN);
    examination_begin(&e, SAYS_AND_ENDS, 1000);
    examination_wait(&e);
    CHECK_INT(e.code, 3);
    examination_free(&e);
}

/* ---- Beside connections
 * ------------------------------------------------------------------------------------- */

struct beside {
    struct examination examined;
    struct event_base *base;
    struct event *late; /* runs behind all that the same turn found ready */
    int watched;        /* the number of the examination's pipe */
    int ends[2];        /* of the new connection */
    struct event *connection;
    int heard;
};

static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
    struct beside *b = arg;
    char bytes[8];
    (void)what;
    b->heard += (int)read(fd, bytes, sizeof(bytes));
    event_base_loopbreak(b->base);
}

static void on_every_turn(evutil_socket_t fd, short what, void *arg)
{
    struct beside *b = arg;
    (void)fd;
    (void)what;
    event_active(b->late, EV_READ, 0);
}

/* As a listener or a client would in the turn in which the process ended. */
static void on_late(evutil_socket_t fd, short what, void *arg)
{
    struct beside *b = arg;
    (void)fd;
    (void)what;
    if (b->examined.fd < 0 && b->connection == NULL) {
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, b->ends), 0);
        b->connection = event_new(b->base, b->ends[0], EV_READ | EV_PERSIST, on_bytes, b);
        event_add(b->connection, NULL);
        event_base_loopbreak(b->base);
    }
}

/* Seen before: the pipe was closed while it was watched still, and a connection that got its number
 * was never heard. */
static void a_connection_made_in_the_turn_of_its_end_is_heard(void)
{
    struct beside b = {.base = event_base_new()};
    int busy[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, busy), 0);
    struct event *every = event_new(b.base, busy[0], EV_WRITE | EV_PERSIST, on_every_turn, &b);
    b.late = event_new(b.base, -1, 0, on_late, &b);
    event_add(every, NULL);
    examination_begin(&b.examined, SAYS_AND_ENDS, 1000);
    b.watched = b.examined.fd;
    examination_watch(&b.examined, b.base);
    event_base_dispatch(b.base);
    CHECK_INT(b.examined.code, 3);
    CHECK_INT(b.ends[0], b.watched); /* or the rest would prove nothing */
    examination_free(&b.examined);
    event_del(every);
    CHECK_INT(write(b.ends[1], "hello", 5), 5);
    event_base_loopexit(b.base, &(struct timeval){.tv_sec = 5});
    event_base_dispatch(b.base);
    CHECK_INT(b.heard, 5);
    event_free(b.connection);
    event_free(b.late);
    event_free(every);
    event_base_free(b.base);
    for (int i = 0; i < 2; i++) {
        close(b.ends[i]);
        close(busy[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        puts(argv[1]);
        return (int)strtol(argv[2], NULL, 10);
    }
    tap_case("it tells what it said and how it ended", it_tells_what_it_said_and_how_it_ended);
    tap_case("it tells how it ended where ended processes are ignored",
             it_tells_how_it_ended_where_ended_processes_are_ignored);
    tap_case("a connection made in the turn of its end is heard",
             a_connection_made_in_the_turn_of_its_end_is_heard);
    return tap_done();
}
