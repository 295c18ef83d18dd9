/* Two words in a shared mapping: client hash and job id. A job id of 0 means that nothing runs. */
#include "core/work/crash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/xalloc.h"

#include <stdlib.h>

#define CRASH_FILE_BYTES 4096
#define CRASH_MAGIC      0x4E45415043524153ull /* "NEAPCRAS" */

struct crash_mark {
    uint64_t magic;
    uint64_t client_hash;
    uint64_t job_id;
};

struct crash_file {
    volatile struct crash_mark *mapped;
    uint64_t found_client;
    uint64_t found_job;
};

uint64_t crash_file_hash(const char *client)
{
    uint64_t hash = 0xCBF29CE484222325ull; /* FNV-1a */
    for (const char *at = client; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 0x100000001B3ull;
    }
    return hash;
}

int crash_file_open(struct crash_file **file_out, const char *path, struct error *err)
{
    *file_out = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set_errno(err, ERROR_IO, errno, "opening %s", path);
    }
    void *mapped = MAP_FAILED;
    if (ftruncate(fd, CRASH_FILE_BYTES) == 0) {
        mapped = mmap(NULL, CRASH_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    int saved = errno;
    close(fd);
    if (mapped == MAP_FAILED) {
        return error_set_errno(err, ERROR_IO, saved, "mapping %s", path);
    }
    struct crash_file *file = xcalloc(1, sizeof *file);
    file->mapped = mapped;
    if (file->mapped->magic == CRASH_MAGIC) {
        file->found_client = file->mapped->client_hash;
        file->found_job = file->mapped->job_id;
    }
    file->mapped->job_id = 0;
    file->mapped->client_hash = 0;
    file->mapped->magic = CRASH_MAGIC;
    *file_out = file;
    return 0;
}

void crash_file_close(struct crash_file *file)
{
    if (file == NULL) {
        return;
    }
    crash_file_clear(file);
    munmap((void *)(uintptr_t)file->mapped, CRASH_FILE_BYTES);
    free(file);
}

bool crash_file_take(struct crash_file *file, const char *client, uint64_t *job_id_out)
{
    if (file == NULL || file->found_job == 0 || file->found_client != crash_file_hash(client)) {
        return false;
    }
    *job_id_out = file->found_job;
    file->found_job = 0;
    return true;
}

void crash_file_mark(struct crash_file *file, uint64_t client_hash, uint64_t job_id)
{
    if (file != NULL) {
        file->mapped->client_hash = client_hash;
        file->mapped->job_id = job_id;
    }
}

void crash_file_clear(struct crash_file *file)
{
    if (file != NULL) {
        file->mapped->job_id = 0;
    }
}
