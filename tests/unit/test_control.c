/* The control socket on a real loop: questions there and back, and what is no question. */
#define _GNU_SOURCE
#include "core/ops/control.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/xalloc.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

struct desk {
    char folder[256];
    char path[300];
    struct clock *clock;
    struct loop *loop;
    struct control *control;
    int asked;  /* questions that could be read */
    bool holds; /* tickets are kept until desk_release */
    struct control_ticket *kept;
};

/* Says what it was asked, field by field. */
static int answer(void *arg, const struct admin_request *request, struct buf *out)
{
    struct desk *d = arg;
    d->asked++;
    buf_addf(out, "%s|%s|%s|%d%d", request->who, request->client == NULL ? "-" : request->client,
             request->reason == NULL ? "-" : request->reason, request->wants_json,
             request->is_dry_run);
    for (size_t i = 0; i < request->count; i++) {
        buf_addf(out, "|%s", request->words[i]);
    }
    return (int)request->count;
}

static void hold(void *arg, struct control_ticket *ticket)
{
    struct desk *d = arg;
    if (d->holds) {
        d->kept = ticket;
    } else {
        control_release(ticket, true);
    }
}

static void desk_open(struct desk *d)
{
    memset(d, 0, sizeof(*d));
    temp_folder_make(d->folder, sizeof(d->folder));
    snprintf(d->path, sizeof(d->path), "%s/neap.sock", d->folder);
    d->clock = clock_new_system();
    d->loop = loop_new(d->clock);
    struct error err = {0};
    struct control_owner owner = {answer, hold, d};
    CHECK_INT(control_listen(&d->control, d->loop, d->path, &owner, &err), 0);
}

static void desk_close(struct desk *d)
{
    control_close(d->control);
    struct stat info;
    CHECK(stat(d->path, &info) != 0);
    loop_free(d->loop);
    clock_free(d->clock);
    temp_folder_remove(d->folder);
}

/* ---- Asking from another thread, while this one serves
 * ------------------------------------------- */

struct asking {
    struct desk *desk;
    const struct admin_request *request; /* NULL: send raw and read to the end */
    struct bytes raw;
    size_t cut; /* raw is sent in two pieces of which the first has this size */
    struct buf out;
    int exit_code;
    int rc;
    struct error err;
    atomic_bool is_done;
};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        abort();
    }
    return fd;
}

static void send_raw(struct asking *a)
{
    int fd = connect_to(a->desk->path);
    a->rc = send(fd, a->raw.data, a->cut, MSG_NOSIGNAL) < 0 ? -1 : 0;
    if (a->cut < a->raw.size) {
        usleep(20000); /* so that the desk sees the pieces apart */
        a->rc |= send(fd, a->raw.data + a->cut, a->raw.size - a->cut, MSG_NOSIGNAL) < 0 ? -1 : 0;
    }
    shutdown(fd, SHUT_WR);
    char block[4096];
    ssize_t got = 0;
    while ((got = recv(fd, block, sizeof(block), 0)) > 0) {
        buf_add(&a->out, block, (size_t)got);
    }
    close(fd);
}

static void *ask_in_thread(void *arg)
{
    struct asking *a = arg;
    if (a->request != NULL) {
        a->rc = control_ask(a->desk->path, a->request, &a->out, &a->exit_code, &a->err);
    } else {
        send_raw(a);
    }
    atomic_store(&a->is_done, true);
    return NULL;
}

static void on_tick(void *arg)
{
    (void)arg;
}

/* Serves until the question is answered; what is read is in a->out (free it). */
static void serve(struct desk *d, struct asking *a)
{
    a->desk = d;
    buf_init(&a->out, 1 << 20);
    pthread_t thread;
    struct loop_timer *tick = loop_timer_new(d->loop, on_tick, NULL);
    pthread_create(&thread, NULL, ask_in_thread, a);
    while (!atomic_load(&a->is_done)) {
        loop_timer_start(tick, 5);
        loop_poll(d->loop, true);
    }
    pthread_join(thread, NULL);
    loop_timer_free(tick);
}

static void check_raw(struct desk *d, struct bytes raw, size_t cut, const char *expected)
{
    struct asking a = {.raw = raw, .cut = cut};
    serve(d, &a);
    CHECK_STR(buf_text(&a.out), expected);
    buf_free(&a.out);
}

/* ---- Cases
 * ------------------------------------------------------------------------------------------ */

static void questions_go_there_and_back(void)
{
    struct desk d;
    desk_open(&d);
    struct stat info;
    CHECK(stat(d.path, &info) == 0);
    CHECK_INT(info.st_mode & 0777, 0600);
    const char *const words[] = {"exceptions", "release", "a:b 3:c", "", "line\n\nline"};
    struct admin_request request = {.count = 5,
                                    .words = words,
                                    .client = "acme",
                                    .who = "anna",
                                    .reason = "said: \"yes\"",
                                    .wants_json = true};
    struct asking a = {.request = &request};
    serve(&d, &a);
    CHECK_INT(a.rc, 0);
    CHECK_INT(a.exit_code, 5);
    CHECK_STR(buf_text(&a.out),
              "anna|acme|said: \"yes\"|10|exceptions|release|a:b 3:c||line\n\nline");
    buf_free(&a.out);
    struct admin_request small = {.count = 1, .words = words, .who = "", .is_dry_run = true};
    struct asking b = {.request = &small};
    serve(&d, &b);
    CHECK_INT(b.exit_code, 1);
    CHECK_STR(buf_text(&b.out), "|-|-|01|exceptions");
    buf_free(&b.out);
    desk_close(&d);
}

static void garbage_gets_no_answer(void)
{
    static const char *const GARBAGE[] = {
        "GET / HTTP/1.1\r\n\r\n",           "NEAP2\n0:0:0:0:\n\n", "neap1\n\n", "\n\n\n\n\n\n\n\n",
        "NEAP1\n4:anna0:0:0:99:status\n\n",
    };
    static const char *const UNREADABLE[] = {
        "NEAP1\n\n\n",
        "NEAP1\n0:0:0:0:\n\n",
        "NEAP1\n4:anna0:0:0:6:statusx\n\n",
        "NEAP1\n4:anna0:0:0:-6:status\n\n",
        "NEAP1\n4:anna0:0:0:9999999:status\n\n",
        "NEAP1\n4anna0:0:0:6:status\n\n",
        "NEAP1\n:::::\n\n",
        "NEAP1\n:",
        "NEAP1\nx",
        "NEAP1\n7777777777777777777777777777777777",
    };
    struct desk d;
    desk_open(&d);
    for (size_t i = 0; i < sizeof(GARBAGE) / sizeof(GARBAGE[0]); i++) {
        check_raw(&d, bytes_str(GARBAGE[i]), strlen(GARBAGE[i]), "");
    }
    for (size_t i = 0; i < sizeof(UNREADABLE) / sizeof(UNREADABLE[0]); i++) {
        check_raw(&d, bytes_str(UNREADABLE[i]), strlen(UNREADABLE[i]),
                  "002\nthe question could not be read\n");
    }
    CHECK_INT(d.asked, 0);
    char *large = xasprintf("NEAP1\n40000:%040000d40000:%040000d\n\n", 1, 2);
    check_raw(&d, bytes_str(large), strlen(large), "");
    free(large);
    desk_close(&d);
}

static void a_question_may_come_in_pieces(void)
{
    static const char QUESTION[] = "NEAP1\n4:anna0:0:2:  3:a\n\n6:status\n\n";
    struct desk d;
    desk_open(&d);
    for (size_t cut = 1; cut < sizeof(QUESTION) - 1; cut += 4) {
        check_raw(&d, bytes_of(QUESTION, sizeof(QUESTION) - 1), cut,
                  "002\nanna|-|-|00|a\n\n|status");
    }
    /* Cut off: no answer, and nothing is left behind. */
    check_raw(&d, bytes_of(QUESTION, 20), 20, "");
    desk_close(&d);
}

static const char STATUS_QUESTION[] = "NEAP1\n4:anna0:0:2:  6:status\n\n";

/* Asks, and turns until the desk holds the answer; the asker's end. */
static int ask_and_hold(struct desk *d)
{
    d->kept = NULL;
    d->holds = true;
    int fd = connect_to(d->path);
    CHECK(send(fd, STATUS_QUESTION, sizeof(STATUS_QUESTION) - 1, 0) > 0);
    for (int i = 0; i < 1000 && d->kept == NULL; i++) {
        loop_poll(d->loop, false);
    }
    CHECK(d->kept != NULL);
    return fd;
}

static void receive(struct desk *d, int fd, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < 1000 && text[0] == '\0'; i++) {
        loop_poll(d->loop, false);
        ssize_t got = recv(fd, text, size - 1, MSG_DONTWAIT);
        text[got > 0 ? got : 0] = '\0';
    }
}

static void an_answer_waits_for_the_commit(void)
{
    struct desk d;
    char text[256] = "";
    desk_open(&d);
    int fd = ask_and_hold(&d);
    CHECK(recv(fd, text, sizeof(text), MSG_DONTWAIT) < 0);
    control_release(d.kept, true);
    receive(&d, fd, text, sizeof(text));
    CHECK_STR(text, "001\nanna|-|-|00|status");
    close(fd);
    fd = ask_and_hold(&d);
    close(fd); /* it went away before the commit */
    for (int i = 0; i < 50; i++) {
        loop_poll(d.loop, false);
    }
    control_release(d.kept, true);
    desk_close(&d);
}

/* Seen before: the turn of a release was dropped, and the person read that it was released. */
static void an_act_that_was_not_kept_says_so(void)
{
    struct desk d;
    char text[256];
    desk_open(&d);
    int fd = ask_and_hold(&d);
    control_release(d.kept, false);
    receive(&d, fd, text, sizeof(text));
    CHECK(strstr(text, "001\nthe host could not store its state") == text);
    CHECK(strstr(text, "status") == NULL);
    close(fd);
    desk_close(&d);
}

static void nobody_there_is_told(void)
{
    struct admin_request request = {.who = "anna"};
    struct buf out;
    buf_init(&out, 1024);
    int exit_code = 0;
    struct error err = {0};
    CHECK_INT(control_ask("/tmp/no-such-folder/neap.sock", &request, &out, &exit_code, &err),
              ERROR_NETWORK);
    CHECK(strstr(err.message, "no host answers on") != NULL);
    char path[300];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK_INT(control_ask(path, &request, &out, &exit_code, &err), ERROR_INVALID);
    buf_free(&out);
}

int main(void)
{
    tap_case("questions go there and back, whatever is in them", questions_go_there_and_back);
    tap_case("garbage is not answered, or with exit code 2", garbage_gets_no_answer);
    tap_case("a question may come in pieces", a_question_may_come_in_pieces);
    tap_case("an answer waits for the commit, and for nobody", an_answer_waits_for_the_commit);
    tap_case("an act that was not kept says so", an_act_that_was_not_kept_says_so);
    tap_case("a folder without a host is told", nobody_there_is_told);
    return tap_done();
}
