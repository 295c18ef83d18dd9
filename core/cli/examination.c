#define _GNU_SOURCE
#include "core/cli/examination.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cli/cli.h"
#include "core/cli/files.h"

#define WORDS_MAX 32

/* Of the child: never returns. A new image, because LMDB must not be used across fork. */
static void become(const char *const *words, const char *scratch)
{
    const char *argv[WORDS_MAX + 2] = {"neap"};
    for (size_t i = 0; i < WORDS_MAX && words[i] != NULL; i++) {
        argv[i + 1] = words[i];
    }
    if (freopen(scratch, "w", stdout) != NULL) {
        execv("/proc/self/exe", (char *const *)argv);
    }
    _exit(CLI_UNREACHABLE);
}

int examination_run(const char *const *words, const char *scratch, struct buf *said)
{
    int status = 0;
    int code = CLI_UNREACHABLE;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become(words, scratch);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)) {
        code = WEXITSTATUS(status);
    }
    (void)!files_read(scratch, said);
    unlink(scratch);
    return code;
}
