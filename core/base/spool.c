/* Unlinked at once, or never linked where the file system can do that. */
#define _GNU_SOURCE
#include "core/base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/xalloc.h"

struct spool {
    int fd;
    uint64_t size;
    uint64_t max;
};

static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        return fd;
    }
    char *path = xasprintf("%s/spool.XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        unlink(path);
    }
    free(path);
    return fd;
}

struct spool *spool_new(const char *folder, uint64_t max_bytes, struct error *err)
{
    int fd = open_unnamed(folder);
    if (fd < 0) {
        error_set_errno(err, ERROR_IO, errno, "making a file in %s", folder);
        return NULL;
    }
    struct spool *spool = xcalloc(1, sizeof *spool);
    spool->fd = fd;
    spool->max = max_bytes;
    return spool;
}

void spool_free(struct spool *spool)
{
    if (spool != NULL) {
        close(spool->fd);
        free(spool);
    }
}

int spool_add(struct spool *spool, const void *data, size_t size)
{
    if (size > spool->max - spool->size) {
        return ERROR_LIMIT;
    }
    const char *at = data;
    while (size > 0) {
        ssize_t written = pwrite(spool->fd, at, size, (off_t)spool->size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return errno == ENOSPC || errno == EDQUOT ? ERROR_FULL : ERROR_IO;
        }
        at += written;
        size -= (size_t)written;
        spool->size += (uint64_t)written;
    }
    return 0;
}

uint64_t spool_size(const struct spool *spool)
{
    return spool->size;
}

int spool_read(const struct spool *spool, uint64_t offset, void *data, size_t size, size_t *got_out)
{
    ssize_t got;
    do {
        got = pread(spool->fd, data, size, (off_t)offset);
    } while (got < 0 && errno == EINTR);
    *got_out = got < 0 ? 0 : (size_t)got;
    return got < 0 ? ERROR_IO : 0;
}
