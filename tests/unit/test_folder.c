/* Folders and their names: made once, for the owner alone. That syncs happen is seen by the power
 * cuts of tests/integration/12_power only. */
#include "core/base/folder.h"

#include <errno.h>
#include <unistd.h>

#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

static void a_missing_folder_is_made_for_its_owner(void)
{
    char base[256];
    char path[300];
    struct stat info;
    temp_folder_make(base, sizeof(base));
    snprintf(path, sizeof(path), "%s/data", base);
    CHECK_INT(folder_make(path), 0);
    CHECK(stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    CHECK_INT(info.st_mode & 0777, 0700);
    CHECK_INT(chmod(path, 0750), 0);
    CHECK_INT(folder_make(path), 0);
    CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0750);
    temp_folder_remove(base);
}

static void what_cannot_be_made_or_synced_is_said(void)
{
    char base[256];
    char path[300];
    temp_folder_make(base, sizeof(base));
    snprintf(path, sizeof(path), "%s/missing/data", base);
    CHECK_INT(folder_make(path), ENOENT);
    CHECK_INT(folder_sync(path), ENOENT);
    CHECK_INT(folder_sync_above(path), ENOENT);
    snprintf(path, sizeof(path), "%s/file", base);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fclose(file) == 0);
    CHECK_INT(folder_sync(path), ENOTDIR);
    CHECK_INT(folder_sync_above(path), 0);
    temp_folder_remove(base);
}

int main(void)
{
    tap_case("a missing folder is made for its owner", a_missing_folder_is_made_for_its_owner);
    tap_case("what cannot be made or synced is said", what_cannot_be_made_or_synced_is_said);
    return tap_done();
}
