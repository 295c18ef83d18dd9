/* A folder for one test, removed with all it holds. */
#ifndef NEAP_TESTS_SUPPORT_TEMP_FOLDER_H
#define NEAP_TESTS_SUPPORT_TEMP_FOLDER_H

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* size is at least 64 bytes. */
static inline void temp_folder_make(char *path, size_t size)
{
    const char *root = getenv("TMPDIR");
    snprintf(path, size, "%s/neap-test-XXXXXX", root == NULL ? "/tmp" : root);
    if (mkdtemp(path) == NULL) {
        perror(path);
        abort();
    }
}

static inline void temp_folder_remove(char *path)
{
    char *roots[] = {path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry = NULL;
    while (walk != NULL && (entry = fts_read(walk)) != NULL) {
        if (entry->fts_info != FTS_D) {
            remove(entry->fts_accpath);
        }
    }
    if (walk != NULL) {
        fts_close(walk);
    }
}

#endif
