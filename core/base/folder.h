/* Folders as the disk sees them: a new name lasts only when its folder has been synced. */
#ifndef NEAP_CORE_BASE_FOLDER_H
#define NEAP_CORE_BASE_FOLDER_H

#include "core/base/errors.h"

/* Makes new names in the folder durable. Returns 0 or an errno. A file system that cannot sync a
 * folder (EINVAL) has nothing to do. */
int folder_sync(const char *path) NEAP_MUST_USE;
/* The same for the folder that holds this name. */
int folder_sync_above(const char *path) NEAP_MUST_USE;
/* Makes it (mode 0700) where it is missing, and its name durable; what is above must exist. Returns
 * 0 or an errno. */
int folder_make(const char *path) NEAP_MUST_USE;
/* ERROR_INVALID on a network file system, ERROR_NOT_FOUND, ERROR_IO. The locks and the shared map
 * of a store do not hold over a network: two hosts would destroy the data. */
int folder_check_local(const char *path, struct error *err) NEAP_MUST_USE;

#endif
