#include "core/base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/xalloc.h"

int folder_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int rc = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return rc;
}

int folder_sync_above(const char *path)
{
    char *copy = xstrdup(path);
    int rc = folder_sync(dirname(copy));
    free(copy);
    return rc;
}

int folder_make(const char *path)
{
    bool is_new = mkdir(path, 0700) == 0;
    if (!is_new && errno != EEXIST) {
        return errno;
    }
    /* One that exists is synced too: who made it may have been killed before its sync. Whoever may
     * not read the folder above (a mounted volume) did not make this one. */
    int rc = folder_sync_above(path);
    return !is_new && (rc == EACCES || rc == EPERM || rc == EROFS) ? 0 : rc;
}

int folder_check_local(const char *path, struct error *err)
{
    static const unsigned long NETWORK_TYPES[] = {
        0x6969,     /* nfs */
        0x517b,     /* smb */
        0xfe534d42, /* smb2 */
        0xff534d42, /* cifs */
        0x5346414f, /* afs */
    };
    struct statfs fs;
    if (statfs(path, &fs) != 0) {
        int code = errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO;
        return error_set_errno(err, code, errno, "opening the store %s", path);
    }
    for (size_t i = 0; i < sizeof(NETWORK_TYPES) / sizeof(NETWORK_TYPES[0]); i++) {
        if (((unsigned long)fs.f_type & 0xffffffffu) == NETWORK_TYPES[i]) {
            return error_set(err, ERROR_INVALID,
                             "the store %s is on a network file system; put it on a local disk",
                             path);
        }
    }
    return 0;
}
