/*
 * Jobs that kill their process. Seen before: a job that died in the very turn that accepted it,
 * woke it or counted its last end left nothing behind, so that it killed every start of the host,
 * and with it all clients, for ever. Each life here is a process of its own.
 */
#include <signal.h>
#include <sys/wait.h>

#include "core/work/crash_file.h"
#include "tests/support/work_world.h"

#define LIVES    8
#define LIVED_MS 1000

static void open_life(struct world *w)
{
    struct error err;
    char path[96];
    snprintf(path, sizeof path, "%s/crash", w->folder);
    error_clear(&err);
    CHECK_INT(crash_file_open(&w->crash_file, path, &err), 0);
    crash_file_watch(w->crash_file);
    world_open_work(w);
}

/* One life of the host in a process of its own; true when it crashed. */
static bool live(struct world *w, bool accepts)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        open_life(w);
        if (accepts) {
            world_order(w, "order:1", "a");
        }
        world_settle(w);
        world_pass(w, LIVED_MS);
        _exit(0);
    }
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void die(void)
{
    raise(SIGABRT);
}

static enum slice_end dies_at_once(struct job *job, struct failure *failure)
{
    (void)job;
    (void)failure;
    die();
    return SLICE_DONE;
}

static enum slice_end dies_after_a_sleep(struct job *job, struct failure *failure)
{
    struct job_wait wait;
    (void)failure;
    CHECK_INT(job_wait_find(job, "nap", &wait), 0);
    if (wait.state == JOB_WAIT_DONE) {
        die();
    }
    CHECK_INT(job_request_sleep(job, "nap", LIVED_MS / 2), 0);
    return SLICE_UNWOUND;
}

static enum slice_end dies_after_a_step(struct job *job, struct failure *failure)
{
    (void)failure;
    CHECK_INT(step_put(job, "one", bytes_str("1")), 0);
    die();
    return SLICE_DONE;
}

static void three_ends_and_the_host_stays_up(void)
{
    static const world_script_fn scripts[] = {dies_at_once, dies_after_a_sleep, dies_after_a_step};
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct world *w = world_open(scripts[i]);
        world_crash(w);
        int lives = 1;
        CHECK(live(w, true));
        while (lives < LIVES && live(w, false)) {
            lives++;
        }
        CHECK_INT(lives, 3);
        open_life(w);
        CHECK_STATE(w, 1, "dead");
        struct exception e;
        CHECK_INT(exception_load(w->work, EXCEPTION_CRASHED, "order:1", &e), 0);
        exception_free(&e);
        world_close(w);
    }
}

int main(void)
{
    tap_case("three ends of the process, however soon, and the job is dead",
             three_ends_and_the_host_stays_up);
    return tap_done();
}
