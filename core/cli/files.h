/* Small text files and folders, for verbs that make some. */
#ifndef NEAP_CORE_CLI_FILES_H
#define NEAP_CORE_CLI_FILES_H

#include "core/base/buf.h"

/* Appends the file's bytes. ERROR_IO (see errno), or ERROR_LIMIT. */
int files_read(const char *path, struct buf *out) NEAP_MUST_USE;
/* A new file; with may_replace also instead of an old one. ERROR_IO, see errno. */
int files_write(const char *path, struct bytes text, bool may_replace) NEAP_MUST_USE;
/* All files and folders below `from`, into `to`, which is made. ERROR_IO, see errno. */
int files_copy_folder(const char *from, const char *to) NEAP_MUST_USE;
void files_remove_folder(const char *path); /* and all below */

#endif
