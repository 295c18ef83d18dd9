/* A verb of this program in a process of its own: what it finds in data that this process has, or
 * had, open. */
#ifndef NEAP_CORE_CLI_EXAMINATION_H
#define NEAP_CORE_CLI_EXAMINATION_H

#include "core/base/buf.h"

/* Runs `neap words...` (words end with NULL), appends its standard output to said (which may not
 * have room for all of it) and returns its exit code; CLI_UNREACHABLE when it did not end by
 * itself. scratch names a file that is written and removed. */
int examination_run(const char *const *words, const char *scratch, struct buf *said);

#endif
