/* The stamp of scripts on disk: the same while nothing changes, another one after any change. */
#include "core/script/file_stamp.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/tap.h"

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

static uint64_t stamp(void)
{
    int64_t newest_ms = 0;
    return file_stamp(folder, NULL, &newest_ms);
}

/* Waits until the file system's clock has moved on, so that a change shows in the times. */
static void next_tick(void)
{
    struct stat before;
    struct stat after;
    write_text("tick", "");
    CHECK(stat(folder, &before) == 0);
    do {
        write_text("tock", "");
        char path[128];
        snprintf(path, sizeof(path), "%s/tock", folder);
        unlink(path);
        CHECK(stat(folder, &after) == 0);
    } while (after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
             after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
}

static void changes_show(void)
{
    char path[128];
    snprintf(folder, sizeof(folder), "/tmp/neap-stamp-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    write_text("a.lua", "return 1");
    uint64_t first = stamp();
    CHECK(first == stamp());
    write_text("notes.txt", "no script");
    CHECK(first == stamp());

    /* Same size, and the time of writing set back, as some programs do. */
    struct stat info;
    snprintf(path, sizeof(path), "%s/a.lua", folder);
    CHECK(stat(path, &info) == 0);
    next_tick();
    write_text("a.lua", "return 2");
    const struct timespec times[] = {info.st_atim, info.st_mtim};
    CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
    uint64_t second = stamp();
    CHECK(second != first);

    write_text("b.lua", "");
    uint64_t third = stamp();
    CHECK(third != second);
    snprintf(path, sizeof(path), "%s/b.lua", folder);
    unlink(path);
    CHECK(stamp() == second);
}

static void newest_time_is_told(void)
{
    int64_t newest_ms = 0;
    struct stat info;
    char path[128];
    snprintf(path, sizeof(path), "%s/a.lua", folder);
    CHECK(stat(path, &info) == 0);
    (void)file_stamp(NULL, folder, &newest_ms);
    CHECK_INT(newest_ms, (int64_t)info.st_ctim.tv_sec * 1000 + info.st_ctim.tv_nsec / 1000000);
    (void)file_stamp(NULL, NULL, &newest_ms);
    CHECK_INT(newest_ms, 0);
}

static void remove_folder(void)
{
    static const char *const names[] = {"a.lua", "notes.txt", "tick", NULL};
    for (size_t i = 0; names[i] != NULL; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    tap_case("any change of a script changes the stamp, nothing else does", changes_show);
    tap_case("the newest time of all files is told", newest_time_is_told);
    remove_folder();
    return tap_done();
}
