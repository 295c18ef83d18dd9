/*
 * Images lie in memory files (memfd), so that LMDB can read one like any file. All system calls
 * here go to the kernel directly: the names of the C library belong to power_shim.c.
 */
#define _GNU_SOURCE
#include "tests/support/shim/power_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES_MAX 256
#define PAGE      4096
#define SECTOR    512

struct disk_write {
    uint64_t offset;
    size_t size;
    char *data; /* NULL: the file was cut or stretched to `offset` */
    bool is_durable;
};

struct disk_node {
    bool is_folder;
    bool is_mapped;
    bool has_failed;
    int image_fd;
    struct disk_write *log;
    size_t log_count;
    size_t log_capacity;
};

struct disk_name {
    char *path;
    struct disk_node *now;
    struct disk_node *kept;
    struct disk_node *after; /* of a cut: now or kept */
};

static struct {
    char *folder;
    struct disk_name names[NAMES_MAX];
    size_t count;
    uint64_t chance;
} disk;

static void give_up(const char *why)
{
    fprintf(stderr, "power shim: %s: %s\n", why, strerror(errno));
    abort();
}

/* ---- Bytes of memory files and of real ones
 * -------------------------------------------------------- */

struct content {
    char *data;
    size_t size;
};

static struct content read_fd(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        give_up("measuring a file");
    }
    struct content c = {malloc((size_t)info.st_size + 1), (size_t)info.st_size};
    size_t at = 0;
    while (c.data != NULL && at < c.size) {
        ssize_t got = pread(fd, c.data + at, c.size - at, (off_t)at);
        if (got <= 0) {
            give_up("reading a file");
        }
        at += (size_t)got;
    }
    return c;
}

static void write_fd(int fd, const void *data, size_t size, uint64_t offset)
{
    size_t at = 0;
    while (at < size) {
        ssize_t put = (ssize_t)syscall(SYS_pwrite64, fd, (const char *)data + at, size - at,
                                       (off_t)(offset + at));
        if (put <= 0) {
            give_up("writing a file");
        }
        at += (size_t)put;
    }
}

static void resize_fd(int fd, uint64_t size)
{
    if (syscall(SYS_ftruncate, fd, (off_t)size) != 0) {
        give_up("resizing a file");
    }
}

/* False when there is no such file. */
static bool read_path(const char *path, struct content *out)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    *out = read_fd(fd);
    syscall(SYS_close, fd);
    return true;
}

/* ---- Nodes and names
 * -------------------------------------------------------------------------------- */

static struct disk_node *new_node(bool is_folder)
{
    struct disk_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        give_up("a node");
    }
    node->is_folder = is_folder;
    node->image_fd = is_folder ? -1 : memfd_create("image", MFD_CLOEXEC);
    return node;
}

static struct disk_name *find_name(const char *path)
{
    for (size_t i = 0; i < disk.count; i++) {
        if (strcmp(disk.names[i].path, path) == 0) {
            return &disk.names[i];
        }
    }
    return NULL;
}

static struct disk_name *take_name(const char *path)
{
    struct disk_name *name = find_name(path);
    if (name == NULL) {
        if (disk.count == NAMES_MAX) {
            give_up("too many names");
        }
        name = &disk.names[disk.count++];
        name->path = strdup(path);
    }
    return name;
}

static bool is_parent(const char *folder, const char *path)
{
    size_t size = strlen(folder);
    return strncmp(folder, path, size) == 0 && path[size] == '/' &&
           strchr(path + size + 1, '/') == NULL;
}

bool disk_is_below(const char *path)
{
    size_t size = disk.folder == NULL ? 0 : strlen(disk.folder);
    return size > 0 && strncmp(path, disk.folder, size) == 0 &&
           (path[size] == '\0' || path[size] == '/');
}

static void scan(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) {
        return;
    }
    struct disk_name *name = take_name(path);
    name->now = name->kept = new_node(S_ISDIR(info.st_mode));
    if (!S_ISDIR(info.st_mode)) {
        struct content c = {NULL, 0};
        if (read_path(path, &c)) {
            write_fd(name->now->image_fd, c.data, c.size, 0);
        }
        free(c.data);
        return;
    }
    DIR *folder = opendir(path);
    struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < (int)sizeof(below)) {
            scan(below);
        }
    }
    closedir(folder);
}

void disk_open(const char *folder)
{
    char *above = strdup(folder);
    *strrchr(above, '/') = '\0';
    struct disk_name *name = take_name(above);
    name->now = name->kept = new_node(true);
    free(above);
    disk.folder = strdup(folder);
    scan(folder);
}

struct disk_node *disk_opened(const char *path, bool may_create)
{
    struct stat info;
    struct disk_name *name = find_name(path);
    if (name != NULL && name->now != NULL) {
        return name->now;
    }
    if (!may_create || !disk_is_below(path) || lstat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        return NULL;
    }
    name = take_name(path);
    name->now = new_node(false);
    return name->now;
}

void disk_made_folder(const char *path)
{
    struct disk_name *name = disk_is_below(path) ? take_name(path) : NULL;
    if (name != NULL && name->now == NULL) {
        name->now = new_node(true);
    }
}

void disk_removed(const char *path)
{
    struct disk_name *name = find_name(path);
    if (name != NULL) {
        name->now = NULL;
    }
}

void disk_renamed(const char *from, const char *to)
{
    struct disk_name *old = find_name(from);
    if (old != NULL && old->now != NULL && disk_is_below(to)) {
        struct disk_node *node = old->now;
        old->now = NULL;
        take_name(to)->now = node;
    }
}

void disk_mapped(struct disk_node *node)
{
    node->is_mapped = true;
}

bool disk_is_folder(const struct disk_node *node)
{
    return node->is_folder;
}

/* ---- Writes and syncs
 * -------------------------------------------------------------------------------- */

static void apply(int fd, const struct disk_write *w)
{
    if (w->data == NULL) {
        resize_fd(fd, w->offset);
    } else {
        write_fd(fd, w->data, w->size, w->offset);
    }
}

static void add_write(struct disk_node *node, const struct disk_write *w)
{
    if (node->log_count == node->log_capacity) {
        node->log_capacity = node->log_capacity == 0 ? 64 : node->log_capacity * 2;
        node->log = realloc(node->log, node->log_capacity * sizeof(*node->log));
    }
    node->log[node->log_count++] = *w;
}

static void empty_log(struct disk_node *node)
{
    for (size_t i = 0; i < node->log_count; i++) {
        free(node->log[i].data);
    }
    node->log_count = 0;
}

/* A durable write stays in the log too: an earlier one that a cut keeps must not cover it. */
void disk_wrote(struct disk_node *node, uint64_t offset, const void *data, size_t size,
                bool is_durable)
{
    struct disk_write w = {offset, size, malloc(size + 1), is_durable};
    memcpy(w.data, data, size);
    if (is_durable) {
        apply(node->image_fd, &w);
    }
    add_write(node, &w);
}

void disk_truncated(struct disk_node *node, uint64_t size)
{
    struct disk_write w = {size, 0, NULL, false};
    add_write(node, &w);
}

static const char *other_name_now(const struct disk_node *node, const struct disk_name *name)
{
    for (size_t i = 0; i < disk.count; i++) {
        if (&disk.names[i] != name && disk.names[i].now == node) {
            return disk.names[i].path;
        }
    }
    return NULL;
}

/* What is renamed into a folder leaves the other one with it: file systems keep that together. */
static void forget_old_names(const struct disk_name *name)
{
    for (size_t i = 0; name->now != NULL && i < disk.count; i++) {
        struct disk_name *other = &disk.names[i];
        if (other != name && other->kept == name->now && other->now != name->now) {
            other->kept = NULL;
        }
    }
}

static void sync_folder(const char *path)
{
    for (size_t i = 0; i < disk.count; i++) {
        struct disk_name *name = &disk.names[i];
        if (is_parent(path, name->path)) {
            name->kept = name->now;
            forget_old_names(name);
        }
    }
}

static const char *path_now(const struct disk_node *node)
{
    return other_name_now(node, NULL);
}

void disk_synced(struct disk_node *node)
{
    const char *path = path_now(node);
    if (node->is_folder) {
        if (path != NULL) {
            sync_folder(path);
        }
        return;
    }
    if (node->is_mapped && path != NULL) {
        struct content c = {NULL, 0};
        if (read_path(path, &c)) {
            resize_fd(node->image_fd, c.size);
            write_fd(node->image_fd, c.data, c.size, 0);
        }
        free(c.data);
    } else {
        for (size_t i = 0; i < node->log_count; i++) {
            apply(node->image_fd, &node->log[i]);
        }
    }
    empty_log(node);
}

void disk_sync_failed(struct disk_node *node)
{
    node->has_failed = true;
    empty_log(node);
}

bool disk_has_failed(const struct disk_node *node)
{
    return node->has_failed;
}

/* ---- Questions
 * --------------------------------------------------------------------------------------- */

static void put(struct content *c, uint64_t offset, const char *data, size_t size)
{
    size_t end = (size_t)offset + size;
    if (end > c->size) {
        c->data = realloc(c->data, end + 1);
        memset(c->data + c->size, 0, end - c->size);
        c->size = end;
    }
    if (size > 0) {
        memcpy(c->data + offset, data, size);
    }
}

static void resize(struct content *c, uint64_t size)
{
    put(c, size, NULL, 0);
    c->size = (size_t)size;
}

const char *disk_find_unseen(void)
{
    for (size_t i = 0; i < disk.count; i++) {
        struct disk_name *name = &disk.names[i];
        struct content real = {NULL, 0};
        if (name->now == NULL ? disk_is_below(name->path) && access(name->path, F_OK) == 0
                              : access(name->path, F_OK) != 0) {
            return name->path;
        }
        if (name->now == NULL || name->now->is_folder || name->now->is_mapped ||
            name->now->has_failed || !read_path(name->path, &real)) {
            continue;
        }
        struct content c = read_fd(name->now->image_fd);
        for (size_t w = 0; w < name->now->log_count; w++) {
            const struct disk_write *write = &name->now->log[w];
            if (write->data == NULL) {
                resize(&c, write->offset);
            } else {
                put(&c, write->offset, write->data, write->size);
            }
        }
        bool is_same = c.size == real.size && memcmp(c.data, real.data, c.size) == 0;
        free(c.data);
        free(real.data);
        if (!is_same) {
            return name->path;
        }
    }
    return NULL;
}

/* A name is lost with any folder above it. */
static bool has_folders(const char *path, bool is_after)
{
    for (size_t i = 0; i < disk.count; i++) {
        const struct disk_name *name = &disk.names[i];
        size_t size = strlen(name->path);
        if (strncmp(name->path, path, size) == 0 && path[size] == '/' &&
            (is_after ? name->after : name->kept) == NULL) {
            return false;
        }
    }
    return true;
}

bool disk_each_image(const char *name_end, disk_image_fn fn, void *arg)
{
    for (size_t i = 0; i < disk.count; i++) {
        const struct disk_name *name = &disk.names[i];
        size_t size = strlen(name->path);
        size_t end_size = strlen(name_end);
        if (name->kept != NULL && !name->kept->is_folder && size > end_size &&
            strcmp(name->path + size - end_size, name_end) == 0 && has_folders(name->path, false) &&
            fn(arg, name->kept->image_fd)) {
            return true;
        }
    }
    return false;
}

/* ---- The cut
 * ----------------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t below)
{
    disk.chance ^= disk.chance << 13;
    disk.chance ^= disk.chance >> 7;
    disk.chance ^= disk.chance << 17;
    return (disk.chance >> 11) % below;
}

/* Whole, lost, or torn: then each piece of it is kept or not. */
static void put_by_chance(struct content *c, const struct disk_write *w, size_t piece)
{
    uint64_t how = draw(3);
    if (w->data == NULL) {
        if (how != 0) {
            resize(c, w->offset);
        }
        return;
    }
    if (draw(2) == 0 && w->offset + w->size > c->size) {
        resize(c, w->offset + w->size); /* the length was kept, whatever becomes of the bytes */
    }
    for (size_t at = 0; at < w->size; at += piece) {
        size_t size = w->size - at < piece ? w->size - at : piece;
        if (how == 0 || (how == 2 && draw(2) == 0)) {
            put(c, w->offset + at, w->data + at, size);
        }
    }
}

static void put_mapped_by_chance(struct content *c, const char *path)
{
    struct content real = {NULL, 0};
    if (path == NULL || !read_path(path, &real)) {
        return;
    }
    if (draw(2) == 0) {
        resize(c, real.size);
    }
    for (size_t at = 0; at < real.size && at < c->size; at += SECTOR) {
        size_t size = c->size - at < SECTOR ? c->size - at : SECTOR;
        if (at + size <= real.size && draw(2) == 0) {
            put(c, at, real.data + at, size);
        }
    }
    free(real.data);
}

static struct content content_after(struct disk_node *node)
{
    struct content c = read_fd(node->image_fd);
    if (disk.chance != 0 && node->is_mapped) {
        put_mapped_by_chance(&c, path_now(node));
    } else if (disk.chance != 0) {
        size_t piece = draw(2) == 0 ? SECTOR : PAGE;
        for (size_t i = 0; i < node->log_count; i++) {
            const struct disk_write *w = &node->log[i];
            if (w->is_durable) {
                put(&c, w->offset, w->data, w->size);
            } else {
                put_by_chance(&c, w, piece);
            }
        }
    }
    return c;
}

static void choose_names(void)
{
    for (size_t i = 0; i < disk.count; i++) {
        disk.names[i].after = disk.names[i].kept;
    }
    for (size_t i = 0; i < disk.count && disk.chance != 0; i++) {
        struct disk_name *name = &disk.names[i];
        /* A file renamed away leaves its name when it takes the new one, not before. */
        bool is_moved = name->kept != NULL && other_name_now(name->kept, name) != NULL;
        if (name->now == name->kept || (name->now == NULL && is_moved) || draw(2) == 0) {
            continue;
        }
        name->after = name->now;
        for (size_t j = 0; name->now != NULL && j < disk.count; j++) {
            struct disk_name *other = &disk.names[j];
            if (other != name && other->after == name->now) {
                other->after = other->now == name->now ? NULL : other->now;
            }
        }
    }
}

static void remove_all(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return;
    }
    DIR *folder = S_ISDIR(info.st_mode) ? opendir(path) : NULL;
    struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) < (int)sizeof(below)) {
            remove_all(below);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    if (syscall(SYS_unlinkat, AT_FDCWD, path, S_ISDIR(info.st_mode) ? AT_REMOVEDIR : 0) != 0) {
        give_up("removing a name");
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct disk_name *)a)->path, ((const struct disk_name *)b)->path);
}

/* Everything is written anew; the process that has the old files open is about to end. */
void disk_cut(uint64_t chance)
{
    struct content contents[NAMES_MAX] = {{NULL, 0}};
    disk.chance = chance;
    choose_names();
    qsort(disk.names, disk.count, sizeof(disk.names[0]),
          by_path); /* folders before what is in them */
    for (size_t i = 0; i < disk.count; i++) {
        struct disk_node *node = disk.names[i].after;
        if (node != NULL && !node->is_folder) {
            contents[i] = content_after(node);
        }
    }
    remove_all(disk.folder);
    for (size_t i = 0; i < disk.count; i++) {
        const struct disk_name *name = &disk.names[i];
        if (name->after == NULL || !disk_is_below(name->path) || !has_folders(name->path, true)) {
            continue;
        }
        if (name->after->is_folder) {
            syscall(SYS_mkdirat, AT_FDCWD, name->path, 0700);
            continue;
        }
        int fd = (int)syscall(SYS_openat, AT_FDCWD, name->path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) {
            give_up("writing what is left");
        }
        write_fd(fd, contents[i].data, contents[i].size, 0);
        syscall(SYS_close, fd);
    }
}
