/*
 * A model of a disk behind a page cache, for the files below one folder: what a power cut would
 * leave of them. Told of every write, sync and change of a name, in order; knows no system call of
 * its caller. See power_shim.c for what the model can and cannot say.
 *
 * node    a file or a folder, whatever its name
 * image   a file's bytes as its last completed sync left them (and what O_DSYNC wrote since)
 * log     the writes since then, which a power cut may keep, lose or tear
 * now     the node a name stands for
 * kept    the node it stands for after a power cut: the state of its folder's last sync
 */
#ifndef NEAP_TESTS_POWER_DISK_H
#define NEAP_TESTS_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_node;

/* Takes what lies in the folder now as durable. The folder itself may not exist yet; its parent
 * does and stays. */
void disk_open(const char *folder);
bool disk_is_below(const char *path); /* the folder or something in it */

/* The node of a name that was just opened, made when the name is new. NULL: not of this disk. */
struct disk_node *disk_opened(const char *path, bool may_create);
bool disk_is_folder(const struct disk_node *node);
void disk_wrote(struct disk_node *node, uint64_t offset, const void *data, size_t size,
                bool is_durable);
void disk_truncated(struct disk_node *node, uint64_t size);
void disk_synced(struct disk_node *node);
/* What was not durable never will be: the kernel calls those pages clean. */
void disk_sync_failed(struct disk_node *node);
bool disk_has_failed(const struct disk_node *node);
void disk_made_folder(const char *path);
void disk_removed(const char *path);
void disk_renamed(const char *from, const char *to);
/* Its bytes may change unseen from now on. */
void disk_mapped(struct disk_node *node);

/* A name whose file is not what the writes told of make it; NULL when there is none. */
const char *disk_find_unseen(void);

/* Calls fn for the image of every file that a cut would leave and whose name ends so, until it
 * returns true; then true. */
typedef bool (*disk_image_fn)(void *arg, int image_fd);
bool disk_each_image(const char *name_end, disk_image_fn fn, void *arg);

/*
 * Makes the files what a power cut now would leave. Without `chance` exactly what was synced; with
 * it, a random part of what was not as well: writes whole, torn or lost, names new or old.
 */
void disk_cut(uint64_t chance);

#endif
