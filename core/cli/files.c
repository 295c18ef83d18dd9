/* See files.h. */
#define _GNU_SOURCE
#include "core/cli/files.h"

#include <errno.h>
#include <fts.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/xalloc.h"

#define COPY_FILE_MAX (16u << 20)

int files_read(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ERROR_IO;
    }
    char block[16384];
    size_t got = 0;
    int rc = 0;
    while (rc == 0 && (got = fread(block, 1, sizeof(block), file)) > 0) {
        rc = buf_add(out, block, got);
    }
    fclose(file);
    return rc;
}

int files_write(const char *path, struct bytes text, bool may_replace)
{
    FILE *file = fopen(path, may_replace ? "we" : "wxe");
    if (file == NULL) {
        return ERROR_IO;
    }
    bool is_written = fwrite(text.data, 1, text.size, file) == text.size;
    is_written = fclose(file) == 0 && is_written;
    return is_written ? 0 : ERROR_IO;
}

static int copy_entry(const FTSENT *entry, const char *to)
{
    if (entry->fts_info == FTS_D) {
        return mkdir(to, 0777) == 0 || errno == EEXIST ? 0 : ERROR_IO;
    }
    if (entry->fts_info != FTS_F) {
        return 0;
    }
    struct buf text;
    buf_init(&text, COPY_FILE_MAX);
    int rc = files_read(entry->fts_accpath, &text);
    rc = rc != 0 ? rc : files_write(to, buf_bytes(&text), true);
    buf_free(&text);
    return rc;
}

int files_copy_folder(const char *from, const char *to)
{
    char *roots[] = {(char *)from, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL) {
        return ERROR_IO;
    }
    int rc = 0;
    bool is_empty = true;
    for (FTSENT *entry = fts_read(walk); entry != NULL && rc == 0; entry = fts_read(walk)) {
        char *path = xasprintf("%s%s", to, entry->fts_path + strlen(from));
        rc = copy_entry(entry, path);
        is_empty = is_empty && entry->fts_info == FTS_NS;
        free(path);
    }
    fts_close(walk);
    return is_empty ? ERROR_IO : rc;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

void files_remove_folder(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
