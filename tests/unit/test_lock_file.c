/* The lock of a data folder: one holder, named to the other, gone with its process. */
#include "core/base/lock_file.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

static void a_second_holder_is_told_who_has_it(void)
{
    char folder[256];
    struct error err;
    temp_folder_make(folder, sizeof(folder));
    struct lock_file *lock = lock_file_open(folder, &err);
    CHECK(lock != NULL);
    CHECK(lock_file_open(folder, &err) == NULL);
    CHECK_INT(err.code, ERROR_EXISTS);
    char expected[400];
    snprintf(expected, sizeof(expected), "data folder %s is in use by process %ld", folder,
             (long)getpid());
    CHECK_STR(err.message, expected);
    lock_file_close(lock);
    lock = lock_file_open(folder, &err);
    CHECK(lock != NULL);
    lock_file_close(lock);
    lock_file_close(NULL);
    temp_folder_remove(folder);
}

static void a_missing_folder_is_said(void)
{
    struct error err;
    CHECK(lock_file_open("/nonexistent/neap", &err) == NULL);
    CHECK_INT(err.code, ERROR_NOT_FOUND);
    CHECK(strstr(err.message, "/nonexistent/neap") != NULL);
}

static void the_lock_of_a_killed_process_is_free(void)
{
    char folder[256];
    struct error err;
    int ready[2];
    temp_folder_make(folder, sizeof(folder));
    CHECK_INT(pipe(ready), 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char c = lock_file_open(folder, &err) != NULL ? 'y' : 'n';
        if (write(ready[1], &c, 1) == 1) {
            pause();
        }
        _exit(1);
    }
    char c = '?';
    CHECK_INT(read(ready[0], &c, 1), 1);
    CHECK_INT(c, 'y');
    CHECK(lock_file_open(folder, &err) == NULL);
    CHECK_INT(err.code, ERROR_EXISTS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    struct lock_file *lock = lock_file_open(folder, &err);
    CHECK(lock != NULL);
    lock_file_close(lock);
    close(ready[0]);
    close(ready[1]);
    temp_folder_remove(folder);
}

int main(void)
{
    tap_case("a second holder is told who has it", a_second_holder_is_told_who_has_it);
    tap_case("a missing folder is said", a_missing_folder_is_said);
    tap_case("the lock of a killed process is free", the_lock_of_a_killed_process_is_free);
    return tap_done();
}
