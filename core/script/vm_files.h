/* What scripts lie on disk: one hash over a folder, for noticing changes where inotify is silent.
 */
#ifndef NEAP_CORE_SCRIPT_VM_FILES_H
#define NEAP_CORE_SCRIPT_VM_FILES_H

#include <stdint.h>

#define VM_SCRIPT_MAX_BYTES (4u << 20) /* of one file */

/*
 * Over the names and contents of all .lua files below folder, in the order of names; hidden entries
 * are passed over. NULL or a missing folder has the hash of nothing.
 */
uint64_t vm_files_scan(const char *folder);

/* Calls fn for folder and each folder below it that is not hidden. */
typedef void (*vm_files_fn)(void *arg, const char *path);
void vm_files_each_folder(const char *folder, vm_files_fn fn, void *arg);

/* Calls fn for each .lua file below folder, in the order of names; hidden entries are passed over.
 */
void vm_files_each_script(const char *folder, vm_files_fn fn, void *arg);

#endif
