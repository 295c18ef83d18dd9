/* The lock is flock(2); the process id inside is for the message only and never decides. */
#include "core/base/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/xalloc.h"

struct lock_file {
    int fd;
};

static int refuse(int fd, const char *folder, struct error *err)
{
    char text[32] = "";
    ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
    long pid = size > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0) {
        return error_set(err, ERROR_EXISTS, "data folder %s is in use by process %ld", folder, pid);
    }
    return error_set(err, ERROR_EXISTS, "data folder %s is in use by another process", folder);
}

static int write_pid(int fd)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0) {
        return errno;
    }
    return pwrite(fd, text, (size_t)size, 0) == size ? 0 : (errno != 0 ? errno : EIO);
}

static int acquire(int fd, const char *folder, struct error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? refuse(fd, folder, err)
                   : error_set_errno(err, ERROR_IO, errno, "locking data folder %s", folder);
    }
    errno = 0;
    int sys_errno = write_pid(fd);
    /* A full disk must not keep the host from starting: the lock itself holds without the text. */
    if (sys_errno != 0 && sys_errno != ENOSPC && sys_errno != EDQUOT) {
        return error_set_errno(err, ERROR_IO, sys_errno, "writing the lock of data folder %s",
                               folder);
    }
    return 0;
}

struct lock_file *lock_file_open(const char *folder, struct error *err)
{
    char *path = xasprintf("%s/" LOCK_FILE_NAME, folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int sys_errno = errno;
    free(path);
    if (fd < 0) {
        error_set_errno(err, sys_errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, sys_errno,
                        "locking data folder %s", folder);
        return NULL;
    }
    if (acquire(fd, folder, err) != 0) {
        close(fd);
        return NULL;
    }
    struct lock_file *lock = xcalloc(1, sizeof(*lock));
    lock->fd = fd;
    return lock;
}

void lock_file_close(struct lock_file *lock)
{
    if (lock == NULL) {
        return;
    }
    /* Not unlinked: another host could hold the old file while a third makes a new one. */
    if (ftruncate(lock->fd, 0) != 0) {
        /* only the message for the next one suffers */
    }
    close(lock->fd);
    free(lock);
}
