#define _GNU_SOURCE
#include "core/cli/examination.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/cli/cli.h"

#define WORDS_MAX 40

/* Of the child: never returns. A new image, because LMDB must not be used across fork. */
static void become(const char *const *words, int out)
{
    const char *argv[WORDS_MAX + 2] = {"neap"};
    for (size_t i = 0; i < WORDS_MAX && words[i] != NULL; i++) {
        argv[i + 1] = words[i];
    }
    if (dup2(out, STDOUT_FILENO) >= 0) {
        execv("/proc/self/exe", (char *const *)argv);
    }
    _exit(CLI_UNREACHABLE);
}

void examination_begin(struct examination *e, const char *const *words, size_t max_bytes)
{
    int ends[2];
    memset(e, 0, sizeof(*e));
    buf_init(&e->said, max_bytes);
    e->code = CLI_UNREACHABLE;
    e->pid = -1;
    e->fd = -1;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return;
    }
    signal(SIGCHLD, SIG_DFL); /* ignored, as whoever started us may have left it: no exit code */
    fflush(stdout);
    e->pid = fork();
    if (e->pid == 0) {
        become(words, ends[1]);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    e->fd = ends[0];
}

static void reap(struct examination *e)
{
    int status = 0;
    if (e->ready != NULL) {
        event_free(e->ready); /* first: who gets this number next could not be watched */
        e->ready = NULL;
    }
    close(e->fd);
    e->fd = -1;
    if (e->pid > 0 && waitpid(e->pid, &status, 0) == e->pid && WIFEXITED(status)) {
        e->code = WEXITSTATUS(status);
    }
    e->pid = -1;
}

bool examination_look(struct examination *e)
{
    char chunk[16384];
    while (e->fd >= 0) {
        ssize_t got = read(e->fd, chunk, sizeof(chunk));
        if (got > 0) {
            (void)!buf_add(&e->said, chunk, (size_t)got);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            reap(e);
        } else if (errno == EAGAIN) {
            return false;
        }
    }
    return true;
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)examination_look(arg);
}

void examination_watch(struct examination *e, struct event_base *base)
{
    if (e->fd >= 0) {
        e->ready = event_new(base, e->fd, EV_READ | EV_PERSIST, on_said, e);
        event_add(e->ready, NULL);
    }
}

void examination_wait(struct examination *e)
{
    while (!examination_look(e)) {
        struct pollfd ready = {.fd = e->fd, .events = POLLIN};
        (void)!poll(&ready, 1, -1);
    }
}

void examination_free(struct examination *e)
{
    if (e->fd >= 0) {
        if (e->pid > 0) {
            kill(e->pid, SIGKILL);
        }
        reap(e);
    }
    buf_free(&e->said);
}
