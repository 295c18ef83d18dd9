/* The time of the last status change counts too: no program can set it back. */
#include "core/script/file_stamp.h"

#include <string.h>
#include <sys/stat.h>

#include "core/script/vm_files.h"

#define FNV_OFFSET 14695981039346656037u
#define FNV_PRIME  1099511628211u

struct stamp {
    uint64_t hash;
    int64_t newest_ms;
};

static void add_number(struct stamp *s, uint64_t number)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        s->hash = (s->hash ^ (number >> shift & 0xff)) * FNV_PRIME;
    }
}

static void add_script(void *arg, const char *path)
{
    struct stamp *s = arg;
    struct stat info;
    for (const char *c = path; *c != '\0'; c++) {
        s->hash = (s->hash ^ (unsigned char)*c) * FNV_PRIME;
    }
    if (stat(path, &info) != 0) {
        return; /* gone meanwhile */
    }
    const struct timespec times[] = {info.st_mtim, info.st_ctim};
    add_number(s, (uint64_t)info.st_ino);
    add_number(s, (uint64_t)info.st_size);
    for (size_t i = 0; i < 2; i++) {
        int64_t at_ms = (int64_t)times[i].tv_sec * 1000 + times[i].tv_nsec / 1000000;
        s->newest_ms = at_ms > s->newest_ms ? at_ms : s->newest_ms;
        add_number(s, (uint64_t)times[i].tv_sec);
        add_number(s, (uint64_t)times[i].tv_nsec);
    }
}

uint64_t file_stamp(const char *folder, const char *other, int64_t *newest_ms_out)
{
    struct stamp s = {FNV_OFFSET, 0};
    if (folder != NULL) {
        vm_files_each_script(folder, add_script, &s);
    }
    if (other != NULL) {
        vm_files_each_script(other, add_script, &s);
    }
    *newest_ms_out = s.newest_ms;
    return s.hash;
}
