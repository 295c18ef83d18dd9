/*
 * A library to preload into a host: cuts its power, fails its syncs, and checks that nothing leaves
 * a socket before the sync it depends on.
 *
 * What it cannot say:
 * - It sees calls of the C library by name (those below), not system calls. What goes past it is
 *   found when the power is cut and at the end: the files must be what the calls it saw make of
 *   them ("unseen" in the report). Files mapped for writing are left out of that.
 * - Paths must be spelt as in NEAP_POWER_DATA: absolute, nothing doubled.
 * - The disk is one that syncs honestly and tears only what was not synced, at 512 or 4,096 bytes;
 *   a rename within it is atomic. A write through O_DSYNC makes only itself durable. A name is
 *   durable when its folder was synced, whatever happened to the file.
 * - Whatever lies in the folder when the process starts is durable.
 *
 * It is told what to do by the environment; without NEAP_POWER_DATA it does nothing.
 *
 *   NEAP_POWER_DATA     the data folder; its parent exists and stays
 *   NEAP_POWER_REPORT   a file to which lines are added, each begins with what it is:
 *                         cut, counts, early (left before its sync), unseen, resync (after one that
 *                         failed with EIO), failed (a fault that was asked for)
 *   NEAP_POWER_CUT      "KIND N": cut before the n-th write, sync, name (a change of one), send (to
 * a socket; may leave whole or in half), or any of these; N = 0: never NEAP_POWER_CHANCE   0: what
 * was synced is left, no more; else the seed of what else is NEAP_POWER_TRIGGER  cut at the next
 * such call once this file exists NEAP_POWER_AT_EXIT  1: cut when the process ends by itself
 *   NEAP_POWER_FAIL     "KIND ERRNO FIRST COUNT": so many calls of a kind fail: sync, write, meta
 * (a write through O_DSYNC) of a data.mdb, beside (a sync of another file)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/shim/power_disk.h"
#include "tests/support/shim/power_order.h"

#define FDS_MAX  4096
#define MAPS_MAX 64

enum point { POINT_WRITE, POINT_SYNC, POINT_NAME, POINT_SEND, POINT_ANY, POINT_COUNT };
static const char *const POINT_NAMES[] = {"write", "sync", "name", "send", "any"};

struct open_file {
    struct disk_node *node;
    bool is_dsync;
    bool is_append;
    bool is_store;
};

struct mapping {
    char *at;
    size_t size;
    struct disk_node *node;
};

static struct {
    bool is_on;
    pthread_mutex_t lock;
    const char *report;
    const char *trigger;
    char cut_kind[16];
    unsigned long cut_at;
    uint64_t chance;
    bool cuts_at_exit;
    unsigned long counts[POINT_COUNT];
    struct open_file files[FDS_MAX];
    struct mapping maps[MAPS_MAX];
    char fault_kind[16];
    int fault_errno;
    unsigned long fault_first;
    unsigned long fault_count;
    unsigned long fault_seen;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The shim's own calls, and LMDB's when the shim reads an image, are nobody's business. */
static __thread bool is_inside;

static bool enter(void)
{
    if (!shim.is_on || is_inside) {
        return false;
    }
    is_inside = true;
    pthread_mutex_lock(&shim.lock);
    return true;
}

static void leave(void)
{
    int saved = errno;
    pthread_mutex_unlock(&shim.lock);
    is_inside = false;
    errno = saved;
}

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    size = size < (int)sizeof(line) - 1 ? size : (int)sizeof(line) - 2;
    line[size] = '\n';
    int fd = shim.report == NULL ? -1
                                 : (int)syscall(SYS_openat, AT_FDCWD, shim.report,
                                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_write, fd, line, (size_t)size + 1) != size + 1) {
        abort();
    }
    syscall(SYS_close, fd);
}

/* ---- The cut
 * ----------------------------------------------------------------------------------------- */

static void report_end(void)
{
    const char *path = disk_find_unseen();
    struct order_counts checked = order_counts();
    if (path != NULL) {
        report("unseen %s", path);
    }
    report("counts write=%lu sync=%lu name=%lu send=%lu answers=%u oks=%u effects=%u",
           shim.counts[POINT_WRITE], shim.counts[POINT_SYNC], shim.counts[POINT_NAME],
           shim.counts[POINT_SEND], checked.answers, checked.oks, checked.effects);
}

static void cut(enum point point)
{
    report_end();
    report("cut %s %lu", POINT_NAMES[point], shim.counts[POINT_ANY]);
    disk_cut(shim.chance);
    kill(getpid(), SIGKILL);
    pause();
}

/* Counts; true when the power goes at this one. */
static bool is_last(enum point point)
{
    shim.counts[point]++;
    shim.counts[POINT_ANY]++;
    bool is_reached =
        strcmp(shim.cut_kind, POINT_NAMES[POINT_ANY]) == 0
            ? shim.counts[POINT_ANY] == shim.cut_at
            : strcmp(shim.cut_kind, POINT_NAMES[point]) == 0 && shim.counts[point] == shim.cut_at;
    return is_reached || (shim.trigger != NULL && access(shim.trigger, F_OK) == 0);
}

static void pass(enum point point)
{
    if (is_last(point)) {
        cut(point);
    }
}

/* A fault that was asked for: true with errno set. */
static bool fails(const char *kind)
{
    if (strcmp(kind, shim.fault_kind) != 0) {
        return false;
    }
    shim.fault_seen++;
    if (shim.fault_seen < shim.fault_first ||
        shim.fault_seen >= shim.fault_first + shim.fault_count) {
        return false;
    }
    report("failed %s %lu: %s", kind, shim.fault_seen, strerror(shim.fault_errno));
    errno = shim.fault_errno;
    return true;
}

/* ---- Beginning and end
 * ------------------------------------------------------------------------------- */

static unsigned long number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

__attribute__((constructor)) static void begin(void)
{
    const char *data = getenv("NEAP_POWER_DATA");
    const char *cut_at = getenv("NEAP_POWER_CUT");
    const char *fail = getenv("NEAP_POWER_FAIL");
    if (data == NULL) {
        return;
    }
    shim.report = getenv("NEAP_POWER_REPORT");
    shim.trigger = getenv("NEAP_POWER_TRIGGER");
    shim.chance = number("NEAP_POWER_CHANCE");
    shim.cuts_at_exit = number("NEAP_POWER_AT_EXIT") != 0;
    if (cut_at != NULL && sscanf(cut_at, "%15s %lu", shim.cut_kind, &shim.cut_at) != 2) {
        abort();
    }
    if (fail != NULL && sscanf(fail, "%15s %d %lu %lu", shim.fault_kind, &shim.fault_errno,
                               &shim.fault_first, &shim.fault_count) != 4) {
        abort();
    }
    disk_open(data);
    shim.is_on = true;
}

__attribute__((destructor)) static void end(void)
{
    if (enter()) {
        report_end();
        if (shim.cuts_at_exit) {
            report("cut exit %lu", shim.counts[POINT_ANY]);
            disk_cut(shim.chance);
        }
        shim.is_on = false;
        leave();
    }
}

/* ---- Opening and names
 * ------------------------------------------------------------------------------- */

static struct open_file *file_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX && shim.files[fd].node != NULL ? &shim.files[fd] : NULL;
}

static int open_file(const char *path, int flags, mode_t mode)
{
    if (!enter()) {
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    }
    if ((flags & O_CREAT) != 0 && disk_is_below(path) && access(path, F_OK) != 0) {
        pass(POINT_NAME);
    }
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    struct disk_node *node =
        fd >= 0 && fd < FDS_MAX ? disk_opened(path, (flags & O_CREAT) != 0) : NULL;
    if (node != NULL) {
        size_t size = strlen(path);
        bool is_store = size > 9 && strcmp(path + size - 9, "/data.mdb") == 0;
        bool is_dsync = (flags & O_DSYNC) != 0; /* O_SYNC has its bit */
        shim.files[fd] = (struct open_file){node, is_dsync, (flags & O_APPEND) != 0, is_store};
        if ((flags & O_TRUNC) != 0) {
            disk_truncated(node, 0);
        }
    }
    leave();
    return fd;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd)
{
    if (enter()) {
        if (fd >= 0 && fd < FDS_MAX) {
            shim.files[fd].node = NULL;
        }
        order_closed(fd);
        leave();
    }
    return (int)syscall(SYS_close, fd);
}

int mkdir(const char *path, mode_t mode)
{
    bool is_ours = enter();
    if (is_ours && disk_is_below(path)) {
        pass(POINT_NAME);
    }
    int rc = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (is_ours) {
        if (rc == 0) {
            disk_made_folder(path);
        }
        leave();
    }
    return rc;
}

int rename(const char *from, const char *to)
{
    bool is_ours = enter();
    if (is_ours && disk_is_below(to)) {
        pass(POINT_NAME);
    }
    int rc = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    if (is_ours) {
        if (rc == 0) {
            disk_renamed(from, to);
        }
        leave();
    }
    return rc;
}

static int take_away(const char *path, int flags)
{
    bool is_ours = enter();
    if (is_ours && disk_is_below(path) && access(path, F_OK) == 0) {
        pass(POINT_NAME);
    }
    int rc = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (is_ours) {
        if (rc == 0) {
            disk_removed(path);
        }
        leave();
    }
    return rc;
}

int unlink(const char *path)
{
    return take_away(path, 0);
}

int rmdir(const char *path)
{
    return take_away(path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    struct stat info;
    bool is_folder = lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return take_away(path, is_folder ? AT_REMOVEDIR : 0);
}

/* ---- What comes in: the requests that are answered
 * ------------------------------------------------------ */

int accept4(int listener, struct sockaddr *from, socklen_t *from_size, int flags)
{
    int fd = (int)syscall(SYS_accept4, listener, from, from_size, flags);
    if (fd >= 0 && enter()) {
        order_accepted(fd);
        leave();
    }
    return fd;
}

int accept(int listener, struct sockaddr *from, socklen_t *from_size)
{
    return accept4(listener, from, from_size, 0);
}

static ssize_t note_received(int fd, const char *data, ssize_t got)
{
    if (got > 0 && enter()) {
        order_received(fd, data, (size_t)got);
        leave();
    }
    return got;
}

ssize_t read(int fd, void *data, size_t size)
{
    return note_received(fd, data, syscall(SYS_read, fd, data, size));
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    ssize_t got = syscall(SYS_recvfrom, fd, data, size, flags, NULL, NULL);
    return (flags & MSG_PEEK) != 0 ? got : note_received(fd, data, got);
}

ssize_t readv(int fd, const struct iovec *list, int count)
{
    ssize_t got = syscall(SYS_readv, fd, list, count);
    ssize_t left = got;
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t part = left < (ssize_t)list[i].iov_len ? left : (ssize_t)list[i].iov_len;
        left -= note_received(fd, list[i].iov_base, part);
    }
    return got;
}

/* ---- Writing
 * ----------------------------------------------------------------------------------------- */

/* At `offset`, or with -1 where the file stands. */
static ssize_t write_file(int fd, const char *data, size_t size, int64_t offset)
{
    struct open_file *file = file_of(fd);
    int64_t at = offset;
    pass(POINT_WRITE);
    if (file->is_store && fails(file->is_dsync ? "meta" : "write")) {
        return -1;
    }
    if (file->is_append) {
        at = lseek(fd, 0, SEEK_END);
    } else if (at < 0) {
        at = lseek(fd, 0, SEEK_CUR);
    }
    ssize_t put = offset < 0 ? syscall(SYS_write, fd, data, size)
                             : syscall(SYS_pwrite64, fd, data, size, (off_t)offset);
    if (put > 0) {
        if (file->is_dsync && disk_has_failed(file->node) && shim.fault_errno == EIO) {
            report("resync a write through O_DSYNC");
        }
        disk_wrote(file->node, (uint64_t)at, data, (size_t)put, file->is_dsync);
    }
    return put;
}

/* The last thing may leave whole, in half, or not at all. */
static ssize_t send_out(int fd, const char *data, size_t size, int flags)
{
    const char *why = order_check(fd, data, size);
    if (why != NULL) {
        report("early %s", why);
    }
    if (is_last(POINT_SEND)) {
        size_t part = size * (shim.counts[POINT_ANY] % 3) / 2;
        if (part > 0) {
            syscall(SYS_sendto, fd, data, part, flags | MSG_NOSIGNAL, NULL, 0);
        }
        cut(POINT_SEND);
    }
    ssize_t put = syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
    if (put > 0) {
        order_sent(fd, data, (size_t)put);
    }
    return put;
}

static bool is_socket(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

/* False: not of interest, and nothing was done. */
static bool take_write(int fd, const char *data, size_t size, int64_t offset, ssize_t *put_out)
{
    if (!enter()) {
        return false;
    }
    bool is_file = file_of(fd) != NULL;
    bool is_out = !is_file && offset < 0 && is_socket(fd);
    if (is_file) {
        *put_out = write_file(fd, data, size, offset);
    } else if (is_out) {
        *put_out = send_out(fd, data, size, 0);
    }
    leave();
    return is_file || is_out;
}

static char *flatten(const struct iovec *list, int count, size_t *size_out)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += list[i].iov_len;
    }
    char *data = malloc(size + 1);
    *size_out = size;
    size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(data + size, list[i].iov_base, list[i].iov_len);
        size += list[i].iov_len;
    }
    return data;
}

ssize_t write(int fd, const void *data, size_t size)
{
    ssize_t put = 0;
    return take_write(fd, data, size, -1, &put) ? put : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t put = 0;
    return take_write(fd, data, size, offset, &put) ? put
                                                    : syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
    __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec *list, int count, off_t offset)
{
    size_t size = 0;
    char *data = flatten(list, count, &size);
    ssize_t put = pwrite(fd, data, size, offset);
    int saved = errno;
    free(data);
    errno = saved;
    return put;
}

ssize_t writev(int fd, const struct iovec *list, int count)
{
    size_t size = 0;
    char *data = flatten(list, count, &size);
    ssize_t put = write(fd, data, size);
    int saved = errno;
    free(data);
    errno = saved;
    return put;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    if (!enter()) {
        return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
    }
    ssize_t put = send_out(fd, data, size, flags);
    leave();
    return put;
}

/* Nobody here sends with them; if somebody does, it must not go unseen. */
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to,
               socklen_t to_size)
{
    return to == NULL ? send(fd, data, size, flags)
                      : syscall(SYS_sendto, fd, data, size, flags, to, to_size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (enter()) {
        report("unseen sendmsg");
        leave();
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
    if (enter()) {
        report("unseen sendfile");
        leave();
    }
    return syscall(SYS_sendfile, out_fd, in_fd, offset, count);
}

int ftruncate(int fd, off_t size)
{
    bool is_ours = enter();
    struct open_file *file = is_ours ? file_of(fd) : NULL;
    if (file != NULL) {
        pass(POINT_WRITE);
    }
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (file != NULL && rc == 0) {
        disk_truncated(file->node, (uint64_t)size);
    }
    if (is_ours) {
        leave();
    }
    return rc;
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

/* ---- Syncing
 * ----------------------------------------------------------------------------------------- */

static int sync_file(int fd, long call)
{
    bool is_ours = enter();
    struct open_file *file = is_ours ? file_of(fd) : NULL;
    int rc = 0;
    if (file == NULL) {
        rc = (int)syscall(call, fd);
    } else {
        pass(POINT_SYNC);
        if (disk_has_failed(file->node) && shim.fault_errno == EIO) {
            report("resync");
        }
        /* The kernel's own sync adds nothing to a model of one, but time. */
        if (!disk_is_folder(file->node) && fails(file->is_store ? "sync" : "beside")) {
            disk_sync_failed(file->node);
            rc = -1;
        } else {
            disk_synced(file->node);
        }
    }
    if (is_ours) {
        leave();
    }
    return rc;
}

int fsync(int fd)
{
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, SYS_fdatasync);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *at = (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
    if (fd < 0 || at == MAP_FAILED || (protection & PROT_WRITE) == 0 || (flags & MAP_SHARED) == 0 ||
        !enter()) {
        return at;
    }
    struct open_file *file = file_of(fd);
    if (file != NULL) {
        disk_mapped(file->node);
    }
    for (size_t i = 0; file != NULL && i < MAPS_MAX; i++) {
        if (shim.maps[i].node == NULL) {
            shim.maps[i] = (struct mapping){at, size, file->node};
            file = NULL;
        }
    }
    leave();
    return at;
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));

int munmap(void *at, size_t size)
{
    if (shim.is_on && enter()) {
        for (size_t i = 0; i < MAPS_MAX; i++) {
            if (shim.maps[i].at == at) {
                shim.maps[i] = (struct mapping){NULL, 0, NULL};
            }
        }
        leave();
    }
    return (int)syscall(SYS_munmap, at, size);
}

int msync(void *at, size_t size, int flags)
{
    if (enter()) {
        for (size_t i = 0; i < MAPS_MAX; i++) {
            struct mapping *map = &shim.maps[i];
            if (map->node != NULL && (char *)at >= map->at && (char *)at < map->at + map->size &&
                (flags & MS_SYNC) != 0) {
                pass(POINT_SYNC);
                disk_synced(map->node);
            }
        }
        leave();
        return 0;
    }
    return (int)syscall(SYS_msync, at, size, flags);
}
