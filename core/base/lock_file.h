/* An exclusive lock on a data folder: two hosts on the same data would destroy it. */
#ifndef NEAP_CORE_BASE_LOCK_FILE_H
#define NEAP_CORE_BASE_LOCK_FILE_H

#include "core/base/errors.h"

#define LOCK_FILE_NAME "neap.lock"

struct lock_file;

/*
 * Locks folder/neap.lock without waiting and writes our process id into it. NULL with ERROR_EXISTS
 * (naming the process that holds it), ERROR_NOT_FOUND (no such folder) or ERROR_IO.
 * The kernel drops the lock when the process ends, however it ends. It passes to children that
 * fork without exec, and not through exec.
 */
struct lock_file *lock_file_open(const char *folder, struct error *err);
void lock_file_close(struct lock_file *lock); /* accepts NULL; the file stays, emptied */

#endif
