/*
 * Questions on the control socket, over a real one, down to the admin words on a real store. Any
 * bytes get an answer or a closed connection, the store is whole afterwards, and the next
 * well-formed question is answered. The first byte cuts the input into two sends.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/ops/control.h"
#include "tests/support/store_check.h"
#include "tests/support/temp_folder.h"
#include "tests/support/work_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct desk {
    char folder[256];
    char path[300];
    struct loop *loop;
    struct control *control;
    struct world *world;
    int asked;
};

static enum slice_end hold_first(struct job *job, struct failure *failure)
{
    return strcmp(job->info.key, "order:1") == 0
               ? world_hold(job, "unknown_stock_code", "TS", RECHECK_PROOF)
               : world_done(job, failure);
}

static bool is_orders(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "orders") == 0;
}

/* What the question does is given up again: the store stays as it was. */
static int answer(void *arg, const struct admin_request *request, struct buf *out)
{
    struct desk *d = arg;
    struct work *work = d->world->work;
    struct ops_client client = {
        .name = "acme", .work = work, .generation = 1, .has_flow = is_orders};
    struct ops_view view = {
        .clients = &client, .count = 1, .is_live = true, .now_ms = clock_wall_ms(d->world->clock)};
    d->asked++;
    if (work_nested_begin(work) != 0) {
        abort();
    }
    int code = admin_run(&view, request, out);
    store_check(work);
    work_nested_abort(work);
    if (code < 0 || code > 5 || out->size == 0) {
        abort();
    }
    return code;
}

static void hold(void *arg, struct control_ticket *ticket)
{
    (void)arg;
    control_release(ticket, true);
}

static struct desk *the_desk(void)
{
    static struct desk d;
    if (d.loop == NULL) {
        struct error err;
        struct control_owner owner = {answer, hold, &d};
        d.world = world_open(hold_first);
        world_order(d.world, "order:1", "a");
        world_order(d.world, "order:2", "b");
        world_settle(d.world);
        temp_folder_make(d.folder, sizeof(d.folder));
        snprintf(d.path, sizeof(d.path), "%s/neap.sock", d.folder);
        d.loop = loop_new(clock_new_system());
        if (control_listen(&d.control, d.loop, d.path, &owner, &err) != 0) {
            abort();
        }
    }
    return &d;
}

static int knock(const struct desk *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", d->path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        abort();
    }
    return fd;
}

static void poll_loop(struct desk *d)
{
    for (int i = 0; i < 4; i++) {
        (void)loop_poll(d->loop, false);
    }
}

/* Sends, says that no more comes, and reads until the other side closes. */
static size_t talk(struct desk *d, struct bytes first, struct bytes second, char *got, size_t max)
{
    int fd = knock(d);
    size_t size = 0;
    ssize_t part = 0;
    (void)!send(fd, first.data, first.size, MSG_NOSIGNAL);
    poll_loop(d);
    (void)!send(fd, second.data, second.size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 100; i++) {
        poll_loop(d);
        part = recv(fd, got + size, max - size, MSG_DONTWAIT);
        if (part > 0) {
            size += (size_t)part;
        } else if (part == 0 || size == max) {
            break;
        }
    }
    close(fd);
    poll_loop(d);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char got[1 << 16];
    static const char good[] = "NEAP1\n3:ann0:0:1:j6:status\n\n";
    struct desk *d = the_desk();
    if (size == 0) {
        return 0;
    }
    size_t cut = size - 1 == 0 ? 0 : data[0] % (size - 1);
    struct bytes rest = bytes_of((const char *)data + 1, size - 1);
    talk(d, bytes_of(rest.data, cut), bytes_of(rest.data + cut, rest.size - cut), got, sizeof(got));
    int asked = d->asked;
    size_t answered = talk(d, bytes_str(good), bytes_str(""), got, sizeof(got));
    if (d->asked != asked + 1 || answered < 5 || tap_is_case_bad) {
        abort();
    }
    return 0;
}
