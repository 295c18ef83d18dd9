#define _GNU_SOURCE
#include "core/base/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define UNKNOWN_LIMIT 256

static uint64_t limit(void)
{
    struct rlimit now;
    return getrlimit(RLIMIT_NOFILE, &now) == 0 ? now.rlim_cur : UNKNOWN_LIMIT;
}

uint64_t descriptors_raise(void)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < now.rlim_max) {
        now.rlim_cur = now.rlim_max;
        setrlimit(RLIMIT_NOFILE, &now);
    }
    return limit();
}

bool descriptors_has_one(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool has_one = fd >= 0 || (errno != EMFILE && errno != ENFILE);
    if (fd >= 0) {
        close(fd);
    }
    return has_one;
}

void descriptors_count(uint64_t *open_out, uint64_t *max_out)
{
    *max_out = limit();
    *open_out = *max_out;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return;
    }
    uint64_t count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(folder);
    *open_out = count - 1; /* without the one that reads them */
}
