/*
 * A cheap look at the scripts on disk: whether reading them could show anything new. Reading all
 * scripts costs milliseconds, which many clients would pay every few seconds for nothing.
 */
#ifndef NEAP_CORE_SCRIPT_FILE_STAMP_H
#define NEAP_CORE_SCRIPT_FILE_STAMP_H

#include <stdint.h>

/*
 * Over name, number, size and times of all .lua files below both folders (either may be NULL).
 * *newest_ms_out is the newest of their times: a file written twice within one tick of the file
 * system's clock has the same stamp, so what is as new as that must be read.
 */
uint64_t file_stamp(const char *folder, const char *other, int64_t *newest_ms_out);

#endif
