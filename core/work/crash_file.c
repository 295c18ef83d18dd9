/*
 * Three words in a shared mapping: client hash, job id, signal. A job id of 0 means that nothing
 * runs. A signal handler gets no argument, so the mark it writes to is known to the whole process.
 */
#include "core/work/crash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/xalloc.h"

#include <stdlib.h>

#define CRASH_FILE_BYTES   4096
#define SIGNAL_STACK_BYTES 65536
#define CRASH_MAGIC        0x4E45415043524153ull /* "NEAPCRAS" */

struct crash_mark {
    uint64_t magic;
    uint64_t client_hash;
    uint64_t job_id;
    uint64_t signal; /* that ended the process; 0 = none was noted */
};

static volatile struct crash_mark *watched;

struct crash_file {
    volatile struct crash_mark *mapped;
    uint64_t found_client;
    uint64_t found_job;
    uint64_t found_signal;
    void *signal_stack; /* a script may have used up the other one */
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
        file->found_signal = file->mapped->signal;
    }
    file->mapped->job_id = 0;
    file->mapped->signal = 0;
    file->mapped->client_hash = 0;
    file->mapped->magic = CRASH_MAGIC;
    if (msync(mapped, CRASH_FILE_BYTES, MS_SYNC) != 0) {
        saved = errno;
        crash_file_close(file);
        return error_set_errno(err, ERROR_IO, saved, "syncing %s", path);
    }
    *file_out = file;
    return 0;
}

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
#define FATAL_COUNT (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

/* The disposition is the default one again when this runs: raising it ends the process. */
static void on_fatal(int number)
{
    if (watched != NULL) {
        watched->signal = (uint64_t)number;
    }
    raise(number);
}

void crash_file_watch(struct crash_file *file)
{
    file->signal_stack = xmalloc(SIGNAL_STACK_BYTES);
    stack_t stack = {.ss_sp = file->signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    bool has_stack = sigaltstack(&stack, NULL) == 0;
    watched = file->mapped;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        struct sigaction before;
        struct sigaction action = {.sa_handler = on_fatal};
        sigemptyset(&action.sa_mask);
        action.sa_flags = (int)SA_RESETHAND | SA_NODEFER | (has_stack ? SA_ONSTACK : 0);
        if (sigaction(fatal_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
            sigaction(fatal_signals[i], &action, NULL);
        }
    }
}

static void unwatch(struct crash_file *file)
{
    if (file->signal_stack == NULL) {
        return;
    }
    watched = NULL;
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        struct sigaction now;
        if (sigaction(fatal_signals[i], NULL, &now) == 0 && now.sa_handler == on_fatal) {
            signal(fatal_signals[i], SIG_DFL);
        }
    }
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    free(file->signal_stack);
}

void crash_file_close(struct crash_file *file)
{
    if (file == NULL) {
        return;
    }
    unwatch(file);
    crash_file_clear(file);
    munmap((void *)(uintptr_t)file->mapped, CRASH_FILE_BYTES);
    free(file);
}

bool crash_file_take(struct crash_file *file, const char *client, uint64_t *job_id_out,
                     bool *is_own_out)
{
    if (file == NULL || file->found_job == 0 || file->found_client != crash_file_hash(client)) {
        return false;
    }
    *job_id_out = file->found_job;
    *is_own_out = file->found_signal != 0;
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
