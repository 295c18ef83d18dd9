/*
 * Which job was running when the process died: one mapped mark in the data folder, written before
 * each resume and cleared after it. Survives kill -9 (the page belongs to the kernel), not a power
 * cut; that is enough, because it is there to find a job that kills its host. What a power cut does
 * leave may be old, so the cleared mark is synced once at the start: one mark is found once.
 *
 * own end      by a fatal signal that arose inside (a fault, abort, the watchdog): noted in the
 * mark outside end  nothing is noted: kill -9, the kernel short of memory, a power cut
 */
#ifndef NEAP_CORE_WORK_CRASH_FILE_H
#define NEAP_CORE_WORK_CRASH_FILE_H

#include "core/base/errors.h"

struct crash_file;

/* Opens or makes the file and remembers the mark found in it. ERROR_IO. */
int crash_file_open(struct crash_file **file_out, const char *path,
                    struct error *err) NEAP_MUST_USE;
void crash_file_close(struct crash_file *file); /* clears the mark; accepts NULL */
/* From now on fatal signals of this process are noted in this file, then end it as they would have.
 * Signals that somebody handles already (sanitizers) are left to them. Once per process. */
void crash_file_watch(struct crash_file *file);

/* The job of this client that was running at the end of the last process, and whether that was an
 * own end; told once. False: none. */
bool crash_file_take(struct crash_file *file, const char *client, uint64_t *job_id_out,
                     bool *is_own_out);

/* client_hash by crash_file_hash, computed once. file may be NULL: nothing happens. */
uint64_t crash_file_hash(const char *client);
void crash_file_mark(struct crash_file *file, uint64_t client_hash, uint64_t job_id);
void crash_file_clear(struct crash_file *file);

#endif
