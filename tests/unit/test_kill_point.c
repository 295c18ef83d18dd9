/* Kill points: entries are read strictly, and the process ends at the passing that was asked for.
 */
#include "core/base/kill_point.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/tap.h"

#ifdef NEAP_KILL_POINTS

static int arm(const char *entries)
{
    struct error err = {0};
    int rc = kill_point_arm(entries, &err);
    CHECK_INT(rc, err.code);
    return rc;
}

static void entries_are_read_strictly(void)
{
    static const char *const good[] = {"",
                                       "commit.before",
                                       "commit.after:3",
                                       "intent.after/import_order:2 commit.before",
                                       " send.before/call ",
                                       "send.before/call:2=stop unsent.after"};
    static const char *const bad[] = {"commit",
                                      "commit.befor",
                                      "commit.beforehand",
                                      "comit.before",
                                      "commit.before:0",
                                      "commit.before:x",
                                      "commit.before/",
                                      "commit.before:1x",
                                      "commit.before,commit.after",
                                      "commit.before=halt",
                                      "step.after step.after step.after step.after step.after"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_INT(arm(good[i]), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(arm(bad[i]), ERROR_INVALID);
    }
    CHECK_INT(arm(NULL), 0);
}

static void pass_some(void)
{
    kill_point_before(KILL_COMMIT, "acme");
    kill_point_before(KILL_INTENT, "import_order");
    kill_point_after(KILL_INTENT, "import_order");
    kill_point_after(KILL_INTENT, NULL);
    kill_point_before(KILL_COMMIT, "acme");
    kill_point_after(KILL_COMMIT, "acme");
}

/* The exit status of a child that passes some points; 0 when none of them was armed. */
static int end_of(const char *entries)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL || arm(entries) != 0) {
            _exit(1);
        }
        pass_some();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void the_process_ends_at_the_passing_asked_for(void)
{
    CHECK_INT(end_of(""), 0);
    CHECK_INT(end_of("commit.before:2"), -SIGKILL);
    CHECK_INT(end_of("commit.before:3"), 0);
    CHECK_INT(end_of("intent.after/import_order"), -SIGKILL);
    CHECK_INT(end_of("intent.after/import_order:2"), 0);
    CHECK_INT(end_of("intent.after:2"), -SIGKILL);
    CHECK_INT(end_of("intent.after/import_company"), 0);
}

static void a_later_entry_counts_from_the_earlier_one_on(void)
{
    CHECK_INT(end_of("intent.after commit.before"), -SIGKILL);
    CHECK_INT(end_of("intent.after commit.before:2"), 0);
    CHECK_INT(end_of("commit.after commit.before"), 0);
}

int main(void)
{
    tap_case("entries are read strictly", entries_are_read_strictly);
    tap_case("the process ends at the passing asked for",
             the_process_ends_at_the_passing_asked_for);
    tap_case("a later entry counts from the earlier one on",
             a_later_entry_counts_from_the_earlier_one_on);
    return tap_done();
}

#else

static void a_build_without_kill_points_says_so(void)
{
    struct error err = {0};
    CHECK_INT(kill_point_arm(NULL, &err), 0);
    CHECK_INT(kill_point_arm("commit.before", &err), ERROR_INVALID);
}

int main(void)
{
    tap_case("a build without kill points says so", a_build_without_kill_points_says_so);
    return tap_done();
}

#endif
