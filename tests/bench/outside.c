/*
 * outside: the load on the system under test and the systems behind it.
 *
 *     outside --wire DIR --listen PORT [--target PORT --connections N --clients N --seconds S
 *             --warm-up S --rate N --flow]
 *
 * Without --target it only answers, until it is ended. One epoll loop; documents are memory that is
 * written as it is.
 */
#include "tests/bench/outside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define IN_FIRST_BYTES 16384
#define EVENTS         256

static int epoll_fd = -1;

static struct {
    int fd;
    void (*fn)(void *arg, uint64_t count);
    void *arg;
} tick = {.fd = -1};

void outside_fail(const char *what)
{
    fprintf(stderr, "outside: %s: %s\n", what, strerror(errno));
    exit(1);
}

int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- documents ---- */

void document_load(struct document *d, const char *folder, const char *name, const char *head)
{
    char path[1024];
    static char text[65536];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        outside_fail(path);
    }
    size_t size = fread(text, 1, sizeof(text), f);
    fclose(f);
    d->text = malloc(size + 1024);
    size_t at = 0;
    if (head != NULL) {
        at = (size_t)snprintf(d->text, 1024, "%sContent-Length: %zu\r\n\r\n", head, size);
    }
    memcpy(d->text + at, text, size);
    d->size = at + size;
    char *end = d->text + d->size;
    for (char *p = d->text; (p = memmem(p, (size_t)(end - p), SAMPLE_ID, ID_DIGITS)) != NULL;) {
        d->places = realloc(d->places, (d->place_count + 1) * sizeof(*d->places));
        d->places[d->place_count++] = (size_t)(p - d->text);
        p += ID_DIGITS;
    }
}

void document_set_id(struct document *d, uint32_t id)
{
    char digits[16];
    snprintf(digits, sizeof(digits), "%08u", (unsigned)id);
    for (size_t i = 0; i < d->place_count; i++) {
        memcpy(d->text + d->places[i], digits, ID_DIGITS);
    }
}

/* ---- connections ---- */

static void watch(struct conn *conn, int operation, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = conn};
    if (epoll_ctl(epoll_fd, operation, conn->fd, &e) != 0) {
        outside_fail("epoll_ctl");
    }
}

static struct conn *conn_new(int fd, conn_fn on_message, void *owner)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    conn->fd = fd;
    conn->on_message = on_message;
    conn->owner = owner;
    conn->in_capacity = IN_FIRST_BYTES;
    conn->in = malloc(conn->in_capacity + 1);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return conn;
}

static void conn_close(struct conn *conn)
{
    if (conn->must_stay) {
        fprintf(stderr, "outside: the system under test closed a connection\n");
        exit(1);
    }
    if (!conn->is_closed) {
        close(conn->fd);
        conn->is_closed = true;
    }
}

static void conn_free(struct conn *conn)
{
    free(conn->in);
    free(conn->out);
    free(conn);
}

static struct sockaddr_in address_of(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void outside_listen(unsigned port, conn_fn on_message, void *owner)
{
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 1024) != 0) {
        outside_fail("listening");
    }
    struct conn *conn = conn_new(fd, NULL, NULL);
    /* What is accepted inherits these through a pair: the listener itself reads no message. */
    struct conn *model = conn_new(-1, on_message, owner);
    conn->owner = model;
    watch(conn, EPOLL_CTL_ADD, EPOLLIN);
}

struct conn *outside_connect(unsigned port, conn_fn on_message, void *owner)
{
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        outside_fail("connecting");
    }
    struct conn *conn = conn_new(fd, on_message, owner);
    conn->must_stay = true;
    watch(conn, EPOLL_CTL_ADD, EPOLLIN);
    return conn;
}

void conn_send(struct conn *conn, const char *data, size_t size)
{
    ssize_t sent = 0;
    if (conn->is_closed) {
        return;
    }
    if (conn->out_size == 0) {
        sent = send(conn->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent = sent < 0 ? 0 : sent;
    }
    size_t left = size - (size_t)sent;
    if (left > 0) {
        conn->out = realloc(conn->out, conn->out_size + left);
        memcpy(conn->out + conn->out_size, data + sent, left);
        conn->out_size += left;
        watch(conn, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

static void send_rest(struct conn *conn)
{
    ssize_t sent = send(conn->fd, conn->out, conn->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
        conn->out_size -= (size_t)sent;
        memmove(conn->out, conn->out + sent, conn->out_size);
    }
    if (conn->out_size == 0) {
        watch(conn, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* ---- messages ---- */

static size_t content_length(const char *head, const char *end)
{
    static const char NAME[] = "\r\ncontent-length:";
    for (const char *at = head; (at = memchr(at, '\r', (size_t)(end - at))) != NULL; at++) {
        if (strncasecmp(at, NAME, sizeof(NAME) - 1) == 0) {
            return strtoul(at + sizeof(NAME) - 1, NULL, 10);
        }
    }
    return 0;
}

/* True when a whole message is at the front; the bytes are terminated for text functions. */
static bool has_message(struct conn *conn)
{
    conn->in[conn->in_size] = '\0';
    char *end = memmem(conn->in, conn->in_size, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    conn->body = end + 4;
    conn->message_size = (size_t)(conn->body - conn->in) + content_length(conn->in, end);
    return conn->in_size >= conn->message_size;
}

static void conn_read(struct conn *conn)
{
    if (conn->in_capacity - conn->in_size < IN_FIRST_BYTES / 2) {
        conn->in_capacity *= 2;
        conn->in = realloc(conn->in, conn->in_capacity + 1);
    }
    ssize_t got =
        recv(conn->fd, conn->in + conn->in_size, conn->in_capacity - conn->in_size, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        conn_close(conn);
        return;
    }
    conn->in_size += got > 0 ? (size_t)got : 0;
    while (!conn->is_closed && conn->in_size > 0 && has_message(conn)) {
        size_t size = conn->message_size;
        conn->on_message(conn);
        conn->in_size -= size;
        memmove(conn->in, conn->in + size, conn->in_size);
    }
}

/* ---- the loop ---- */

void outside_tick(double per_second, void (*fn)(void *arg, uint64_t count), void *arg)
{
    long interval_ns = (long)(1e9 / per_second);
    struct itimerspec every = {{0, interval_ns}, {0, interval_ns}};
    tick.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    tick.fn = fn;
    tick.arg = arg;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (timerfd_settime(tick.fd, 0, &every, NULL) != 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, tick.fd, &e) != 0) {
        outside_fail("timer");
    }
}

static void run_tick(void)
{
    uint64_t count = 0;
    if (read(tick.fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
        tick.fn(tick.arg, count);
    }
}

static void accept_all(const struct conn *listener)
{
    const struct conn *model = listener->owner;
    int fd = -1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        watch(conn_new(fd, model->on_message, model->owner), EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void run_event(const struct epoll_event *e)
{
    struct conn *conn = e->data.ptr;
    if (conn == NULL) {
        run_tick();
    } else if (conn->on_message == NULL) {
        accept_all(conn);
    } else {
        if ((e->events & EPOLLOUT) != 0) {
            send_rest(conn);
        }
        if ((e->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
            conn_read(conn);
        }
        if (conn->is_closed) {
            conn_free(conn);
        }
    }
}

void outside_run(int64_t until_us)
{
    struct epoll_event events[EVENTS];
    while (until_us == 0 || now_us() < until_us) {
        int count = epoll_wait(epoll_fd, events, EVENTS, 100);
        for (int i = 0; i < count; i++) {
            run_event(&events[i]);
        }
    }
}

/* ---- main ---- */

static const struct option OPTIONS[] = {
    {"wire", required_argument, NULL, 'w'},    {"listen", required_argument, NULL, 'l'},
    {"target", required_argument, NULL, 't'},  {"connections", required_argument, NULL, 'c'},
    {"clients", required_argument, NULL, 'k'}, {"seconds", required_argument, NULL, 's'},
    {"warm-up", required_argument, NULL, 'u'}, {"rate", required_argument, NULL, 'r'},
    {"flow", no_argument, NULL, 'f'},          {NULL, 0, NULL, 0},
};

static void read_options(int argc, char **argv, struct load_options *options, unsigned *listen_port)
{
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        double number = optarg == NULL ? 0 : strtod(optarg, NULL);
        switch (letter) {
        case 'w':
            options->wire = optarg;
            break;
        case 'l':
            *listen_port = (unsigned)number;
            break;
        case 't':
            options->port = (unsigned)number;
            break;
        case 'c':
            options->connections = (unsigned)number;
            break;
        case 'k':
            options->clients = (unsigned)number;
            break;
        case 's':
            options->duration_us = (int64_t)(number * 1e6);
            break;
        case 'u':
            options->warm_up_us = (int64_t)(number * 1e6);
            break;
        case 'r':
            options->rate = number;
            break;
        case 'f':
            options->is_flow = true;
            break;
        default:
            fprintf(stderr, "usage: see the head of tests/bench/outside.c\n");
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct load_options options = {.connections = 64, .clients = 1, .duration_us = 2000000};
    unsigned listen_port = 0;
    read_options(argc, argv, &options, &listen_port);
    epoll_fd = epoll_create1(0);
    struct load *load = options.port == 0 ? NULL : load_open(&options);
    if (listen_port != 0) {
        upstream_open(listen_port, options.wire, load);
    }
    if (load == NULL) {
        outside_run(0);
        return 0;
    }
    load_start(load);
    outside_run(now_us() + options.warm_up_us + options.duration_us);
    load_report(load);
    return 0;
}
