/* A sorted walk, so that the hash does not depend on the order of the directory. */
#include "core/script/vm_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FNV_OFFSET 14695981039346656037u
#define FNV_PRIME  1099511628211u
#define DEPTH_MAX  12
#define FILE_MAX   (8u << 20) /* beyond this only the size counts; such a script does not load */

/* FNV-1a by words, folded so that high bits reach low ones: all scripts are read for each look. */
static void add_bytes(uint64_t *hash, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        *hash = (*hash ^ word) * FNV_PRIME;
        *hash ^= *hash >> 32;
    }
    for (size_t i = 0; i < size; i++) {
        *hash = (*hash ^ at[i]) * FNV_PRIME;
    }
}

static void add_file(uint64_t *hash, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    char block[16384];
    size_t total = 0;
    ssize_t got;
    while (total < FILE_MAX && (got = read(fd, block, sizeof(block))) > 0) {
        add_bytes(hash, block, (size_t)got);
        total += (size_t)got;
    }
    close(fd);
}

static bool ends_in_lua(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".lua") == 0;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

struct walk {
    vm_files_fn on_folder; /* or NULL */
    vm_files_fn on_script; /* or NULL */
    void *arg;
};

static void visit(struct walk *w, const char *folder, unsigned depth)
{
    struct dirent **names = NULL;
    int count = depth >= DEPTH_MAX ? 0 : scandir(folder, &names, is_shown, alphasort);
    if (w->on_folder != NULL) {
        w->on_folder(w->arg, folder);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat info;
        int size = snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (size < (int)sizeof(path) && stat(path, &info) == 0) {
            if (S_ISDIR(info.st_mode)) {
                visit(w, path, depth + 1);
            } else if (w->on_script != NULL && S_ISREG(info.st_mode) && ends_in_lua(path)) {
                w->on_script(w->arg, path);
            }
        }
        free(names[i]);
    }
    free(names);
}

static void add_script(void *arg, const char *path)
{
    uint64_t *hash = arg;
    add_bytes(hash, path, strlen(path) + 1);
    add_file(hash, path);
}

uint64_t vm_files_scan(const char *folder)
{
    uint64_t hash = FNV_OFFSET;
    if (folder != NULL) {
        vm_files_each_script(folder, add_script, &hash);
    }
    return hash;
}

void vm_files_each_script(const char *folder, vm_files_fn fn, void *arg)
{
    struct walk w = {NULL, fn, arg};
    visit(&w, folder, 0);
}

void vm_files_each_folder(const char *folder, vm_files_fn fn, void *arg)
{
    struct walk w = {fn, NULL, arg};
    visit(&w, folder, 0);
}
