/* The control socket. Questions are small and trusted to be local, but parsed as if they were not.
 */
#define _GNU_SOURCE
#include "core/ops/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "core/base/xalloc.h"
#include "core/loop/acceptor.h"

#define CONTROL_MAGIC        "NEAP1\n"
#define CONTROL_QUESTION_MAX 65536
#define CONTROL_ANSWER_MAX   (64u << 20)
#define CONTROL_FIELDS_MAX   64
#define CONTROL_FIXED        4 /* who, client, reason, flags */
#define FIELD_DIGITS_MAX     6
#define CONTROL_TIMEOUT_S    30
#define CONTROL_NOT_KEPT                                                                           \
    "the host could not store its state (see its log): nothing of this was kept, ask again\n"

struct control {
    struct loop *loop;
    struct acceptor *acceptor;
    char *path;
    struct control_owner owner;
    struct control_ticket *tickets;
};

struct control_ticket {
    struct control *control;
    struct bufferevent *peer; /* NULL when it has gone away */
    struct buf out;
    int exit_code;
    bool is_answered;
    bool is_held; /* the host has it */
    struct control_ticket *next;
};

static void ticket_free(struct control_ticket *ticket)
{
    for (struct control_ticket **at = &ticket->control->tickets; *at != NULL; at = &(*at)->next) {
        if (*at == ticket) {
            *at = ticket->next;
            break;
        }
    }
    if (ticket->peer != NULL) {
        bufferevent_free(ticket->peer);
    }
    buf_free(&ticket->out);
    free(ticket);
}

/* Splits "3:abc0:..." into NUL-terminated fields in place (the ':' after a field's length is its
 * start, the terminator overwrites the next length's first digit after that was read). Returns the
 * count or -1. */
static int split_fields(char *text, size_t size, char *fields[CONTROL_FIELDS_MAX])
{
    int count = 0;
    size_t at = 0;
    while (at < size && count < CONTROL_FIELDS_MAX) {
        size_t length = 0;
        size_t digits = 0;
        while (at < size && text[at] >= '0' && text[at] <= '9' && digits++ < FIELD_DIGITS_MAX) {
            length = length * 10 + (size_t)(text[at++] - '0');
        }
        if (digits == 0 || at >= size || text[at] != ':' || length > size - at - 1) {
            return -1;
        }
        /* Moved one to the left, over the ':', so that there is room for the NUL. */
        memmove(text + at, text + at + 1, length);
        fields[count++] = text + at;
        text[at + length] = '\0';
        at += length + 1;
    }
    return at == size ? count : -1;
}

static int answer_question(struct control_ticket *ticket, char *text, size_t size)
{
    char *fields[CONTROL_FIELDS_MAX];
    int count = split_fields(text, size, fields);
    if (count < CONTROL_FIXED + 1) {
        buf_add_str(&ticket->out, "the question could not be read\n");
        return 2;
    }
    struct admin_request request = {
        .count = (size_t)(count - CONTROL_FIXED),
        .words = (const char *const *)(fields + CONTROL_FIXED),
        .client = fields[1][0] == '\0' ? NULL : fields[1],
        .who = fields[0],
        .reason = fields[2][0] == '\0' ? NULL : fields[2],
        .outcome = strchr(fields[3], 'h') != NULL   ? ADMIN_OUTCOME_HAPPENED
                   : strchr(fields[3], 'a') != NULL ? ADMIN_OUTCOME_ABSENT
                                                    : ADMIN_OUTCOME_NONE,
        .wants_json = strchr(fields[3], 'j') != NULL,
        .is_dry_run = strchr(fields[3], 'd') != NULL,
    };
    return ticket->control->owner.answer(ticket->control->owner.arg, &request, &ticket->out);
}

/*
 * Nothing more belongs to it: the empty line came, or what cannot be a question. A field may hold
 * empty lines itself, so the fields are walked. *fields_out: the bytes before the empty line.
 */
static bool is_ended(const char *text, size_t size, size_t *fields_out)
{
    *fields_out = size;
    size_t at = 0;
    while (at < size && text[at] != '\n') {
        size_t length = 0;
        size_t digits = 0;
        while (at < size && text[at] >= '0' && text[at] <= '9' && digits++ < FIELD_DIGITS_MAX) {
            length = length * 10 + (size_t)(text[at++] - '0');
        }
        if (at == size) {
            return false;
        }
        if (digits == 0 || text[at] != ':' || length > CONTROL_QUESTION_MAX) {
            return true;
        }
        if (length > size - at - 1) {
            return false;
        }
        at += length + 1;
    }
    *fields_out = at;
    return size - at >= 2;
}

static void on_read(struct bufferevent *peer, void *arg)
{
    struct control_ticket *ticket = arg;
    struct evbuffer *in = bufferevent_get_input(peer);
    size_t size = evbuffer_get_length(in);
    char *text = (char *)evbuffer_pullup(in, -1);
    size_t magic = strlen(CONTROL_MAGIC);
    if (ticket->is_answered || text == NULL) {
        return;
    }
    bool is_ours = size < magic || memcmp(text, CONTROL_MAGIC, magic) == 0;
    if (!is_ours || size > CONTROL_QUESTION_MAX) {
        ticket_free(ticket);
        return;
    }
    size_t fields = 0;
    if (size < magic || !is_ended(text + magic, size - magic, &fields)) {
        return;
    }
    ticket->is_answered = true;
    ticket->is_held = true;
    ticket->exit_code = answer_question(ticket, text + magic, fields);
    ticket->control->owner.hold(ticket->control->owner.arg, ticket);
}

static void on_event(struct bufferevent *peer, short what, void *arg)
{
    (void)what;
    struct control_ticket *ticket = arg;
    if (ticket->is_held) {
        bufferevent_free(peer);
        ticket->peer = NULL;
    } else {
        ticket_free(ticket);
    }
}

static void on_written(struct bufferevent *peer, void *arg)
{
    (void)peer;
    ticket_free(arg);
}

void control_release(struct control_ticket *ticket, bool is_kept)
{
    ticket->is_held = false;
    if (!is_kept) {
        buf_reset(&ticket->out);
        buf_add_str(&ticket->out, CONTROL_NOT_KEPT);
        ticket->exit_code = ADMIN_WRONG;
    }
    if (ticket->peer == NULL) {
        ticket_free(ticket);
        return;
    }
    char head[8];
    snprintf(head, sizeof(head), "%03d\n", ticket->exit_code);
    bufferevent_write(ticket->peer, head, 4);
    bufferevent_write(ticket->peer, buf_text(&ticket->out), ticket->out.size);
    bufferevent_setcb(ticket->peer, NULL, on_written, on_event, ticket);
}

static void on_accept(void *arg, int fd, const struct sockaddr *from)
{
    (void)from;
    struct control *control = arg;
    struct bufferevent *peer =
        bufferevent_socket_new(loop_event_base(control->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (peer == NULL) {
        close(fd);
        return;
    }
    struct control_ticket *ticket = xcalloc(1, sizeof(*ticket));
    ticket->control = control;
    ticket->peer = peer;
    ticket->next = control->tickets;
    control->tickets = ticket;
    buf_init(&ticket->out, CONTROL_ANSWER_MAX);
    struct timeval timeout = {CONTROL_TIMEOUT_S, 0};
    bufferevent_set_timeouts(peer, &timeout, &timeout);
    bufferevent_setcb(peer, on_read, NULL, on_event, ticket);
    bufferevent_enable(peer, EV_READ | EV_WRITE);
}

static int fill_address(struct sockaddr_un *address, const char *path, struct error *err)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof(address->sun_path)) {
        return error_set(err, ERROR_INVALID, "the data folder's path is too long for a socket: %s",
                         path);
    }
    memcpy(address->sun_path, path, strlen(path));
    return 0;
}

int control_listen(struct control **control_out, struct loop *loop, const char *path,
                   const struct control_owner *owner, struct error *err)
{
    *control_out = NULL;
    struct sockaddr_un address;
    int rc = fill_address(&address, path, err);
    if (rc != 0) {
        return rc;
    }
    unlink(path);
    struct control *control = xcalloc(1, sizeof(*control));
    control->loop = loop;
    struct acceptor_options options = {.address = (const struct sockaddr *)&address,
                                       .address_size = sizeof(address),
                                       .shown = path,
                                       .area = "control",
                                       .accept = on_accept,
                                       .arg = control};
    rc = acceptor_open(&control->acceptor, loop, &options, err);
    if (rc != 0) {
        free(control);
        return rc;
    }
    control->path = xstrdup(path);
    control->owner = *owner;
    *control_out = control;
    return 0;
}

uint64_t control_accept_failures(const struct control *control)
{
    return control == NULL ? 0 : acceptor_failures(control->acceptor);
}

void control_close(struct control *control)
{
    if (control == NULL) {
        return;
    }
    struct control_ticket *next = NULL;
    for (struct control_ticket *ticket = control->tickets; ticket != NULL; ticket = next) {
        next = ticket->next;
        ticket_free(ticket);
    }
    acceptor_close(control->acceptor);
    unlink(control->path);
    free(control->path);
    free(control);
}

/* ---- The asking side ---------------------------------------------------------------------------
 */

static void add_field(struct buf *question, const char *text)
{
    buf_addf(question, "%zu:%s", text == NULL ? 0 : strlen(text), text == NULL ? "" : text);
}

static int send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return ERROR_NETWORK;
        }
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int receive_all(int fd, struct buf *out)
{
    char chunk[16384];
    for (;;) {
        ssize_t got = recv(fd, chunk, sizeof(chunk), 0);
        if (got <= 0) {
            return got == 0 ? 0 : ERROR_NETWORK;
        }
        int rc = buf_add(out, chunk, (size_t)got);
        if (rc != 0) {
            return rc;
        }
    }
}

static int exchange(int fd, const struct admin_request *request, struct buf *answer)
{
    struct buf question;
    buf_init(&question, CONTROL_QUESTION_MAX);
    buf_add_str(&question, CONTROL_MAGIC);
    add_field(&question, request->who);
    add_field(&question, request->client);
    add_field(&question, request->reason);
    static const char OUTCOMES[] = {' ', 'h', 'a'};
    char flags[4] = {request->wants_json ? 'j' : ' ', request->is_dry_run ? 'd' : ' ',
                     OUTCOMES[request->outcome], '\0'};
    add_field(&question, flags);
    for (size_t i = 0; i < request->count; i++) {
        add_field(&question, request->words[i]);
    }
    buf_add_str(&question, "\n\n");
    int rc = question.has_failed ? ERROR_LIMIT : send_all(fd, question.data, question.size);
    buf_free(&question);
    return rc != 0 ? rc : receive_all(fd, answer);
}

int control_ask(const char *path, const struct admin_request *request, struct buf *out,
                int *exit_code_out, struct error *err)
{
    struct sockaddr_un address;
    int rc = fill_address(&address, path, err);
    if (rc != 0) {
        return rc;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        rc = error_set_errno(err, ERROR_NETWORK, errno, "no host answers on %s", path);
        goto out;
    }
    struct timeval timeout = {CONTROL_TIMEOUT_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    struct buf answer;
    buf_init(&answer, CONTROL_ANSWER_MAX);
    rc = exchange(fd, request, &answer);
    if (rc == 0 && answer.size >= 4) {
        *exit_code_out = (int)strtol(answer.data, NULL, 10);
        rc = buf_add(out, answer.data + 4, answer.size - 4);
    } else {
        rc = error_set(err, ERROR_NETWORK, "the host on %s gave no answer", path);
    }
    buf_free(&answer);
out:
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}
