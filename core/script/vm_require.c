/*
 * require over two roots: the client's folder, then the host's scripts. Text chunks only. A name is
 * lower case words joined by dots (or slashes); it cannot leave its root, not even by a symbolic
 * link.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/xalloc.h"
#include "core/script/vm_files.h"
#include "core/script/vm_private.h"

#define NAME_MAX_BYTES 200
#define FNV_PRIME      1099511628211u

/* Registry: name -> module, the C modules not opened yet, and the mark of one that is loading. */
static const char loaded_key;
static const char native_key;
static const char loading_mark;

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* "lib.retry" to "lib/retry"; false when the name is not one. */
static bool to_relative(const char *name, char out[NAME_MAX_BYTES + 1])
{
    size_t size = strlen(name);
    if (size == 0 || size > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        bool is_separator = name[i] == '.' || name[i] == '/';
        if (is_separator ? i == 0 || i + 1 == size || out[i - 1] == '/' : !is_name_char(name[i])) {
            return false;
        }
        out[i] = is_separator ? '/' : name[i];
    }
    out[size] = '\0';
    return true;
}

/* root/relative, when that is a file below root. */
static bool find_below(const char *root, const char *relative, char path_out[PATH_MAX])
{
    char joined[PATH_MAX];
    if (root == NULL ||
        snprintf(joined, sizeof(joined), "%s/%s", root, relative) >= (int)sizeof(joined) ||
        realpath(joined, path_out) == NULL) {
        return false;
    }
    size_t size = strlen(root);
    return strncmp(path_out, root, size) == 0 && path_out[size] == '/';
}

static void add_hash(uint64_t *hash, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++) {
        *hash = (*hash ^ at[i]) * FNV_PRIME;
    }
}

static void remember_file(struct vm *vm, const char *path, const char *relative,
                          const struct buf *content)
{
    add_hash(&vm->files_hash, relative, strlen(relative) + 1);
    add_hash(&vm->files_hash, buf_text(content), content->size);
    if (vm->file_count == vm->file_capacity) {
        vm->file_capacity = vm->file_capacity == 0 ? 16 : vm->file_capacity * 2;
        vm->files = xrealloc(vm->files, vm->file_capacity * sizeof(*vm->files));
    }
    vm->files[vm->file_count].path = xstrdup(path);
    vm->files[vm->file_count].hash = vm->files_hash;
    vm->file_count++;
}

#define NOT_A_FILE (-1)

/* 0, an errno or NOT_A_FILE: a pipe would keep the host waiting. */
static int read_file(const char *path, struct buf *out)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    char block[16384];
    ssize_t got;
    int rc = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? 0 : NOT_A_FILE;
    while (rc == 0 && (got = read(fd, block, sizeof(block))) != 0) {
        if (got < 0) {
            rc = errno == EINTR ? 0 : errno;
        } else if (buf_add(out, block, (size_t)got) != 0) {
            rc = EFBIG;
        }
    }
    close(fd);
    return rc;
}

/* Pushes the compiled chunk; the content goes. Raises, after everything of C's is freed. [-0, +1]
 */
static void load_content(lua_State *L, const char *path, const char *shown, struct buf *content,
                         bool is_owned)
{
    char chunk_name[NAME_MAX_BYTES + 32];
    snprintf(chunk_name, sizeof(chunk_name), "@%s", shown);
    remember_file(vm_of(L), path, shown, content);
    int status = luaL_loadbufferx(L, buf_text(content), content->size, chunk_name, "t");
    if (is_owned) {
        buf_free(content);
    }
    if (status != LUA_OK) {
        lua_error(L);
    }
}

static void load_file(lua_State *L, const char *path, const char *shown)
{
    struct buf content;
    buf_init(&content, VM_SCRIPT_MAX_BYTES);
    int rc = read_file(path, &content);
    if (rc != 0) {
        buf_free(&content);
        luaL_error(L, "cannot read %s: %s", shown,
                   rc == NOT_A_FILE ? "it is no file" : strerror(rc));
    }
    load_content(L, path, shown, &content, true);
}

/* ---- The client's folder as it was ------------------------------------------------------------
 */

static bool is_loaded(const struct vm *vm, const char *path)
{
    for (size_t i = 0; i < vm->file_count; i++) {
        if (strcmp(vm->files[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void keep_file(void *arg, const char *path)
{
    struct vm *vm = arg;
    char real[PATH_MAX];
    struct buf content;
    bool is_wanted = !is_loaded(vm, path) &&
                     find_below(vm->client_root, path + strlen(vm->client_root) + 1, real);
    buf_init(&content, VM_SCRIPT_MAX_BYTES);
    if (!is_wanted || read_file(real, &content) != 0) {
        buf_free(&content);
        return;
    }
    vm->kept = xrealloc(vm->kept, (vm->kept_count + 1) * sizeof(*vm->kept));
    vm->kept[vm->kept_count++] = (struct vm_kept){xstrdup(path), content};
}

void vm_keep_files(struct vm *vm)
{
    if (vm->client_root != NULL && !vm->is_kept) {
        vm_files_each_script(vm->client_root, keep_file, vm);
        vm->is_kept = true;
    }
}

void vm_kept_free(struct vm *vm)
{
    for (size_t i = 0; i < vm->kept_count; i++) {
        free(vm->kept[i].path);
        buf_free(&vm->kept[i].content);
    }
    free(vm->kept);
}

/* [-0, +1] or [-0, +0] */
static bool load_kept(lua_State *L, const char *relative)
{
    struct vm *vm = vm_of(L);
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", vm->client_root, relative);
    for (size_t i = 0; i < vm->kept_count; i++) {
        if (strcmp(vm->kept[i].path, path) == 0) {
            load_content(L, path, relative, &vm->kept[i].content, false);
            return true;
        }
    }
    return false;
}

static bool load_from_client(lua_State *L, const char *relative)
{
    const struct vm *vm = vm_of(L);
    char path[PATH_MAX];
    if (vm->is_kept) {
        return load_kept(L, relative);
    }
    if (!find_below(vm->client_root, relative, path)) {
        return false;
    }
    load_file(L, path, relative);
    return true;
}

/* Pushes the chunk of `relative` (with .lua) from the first root that has it. [-0, +1] or [-0, +0]
 */
static bool load_from_roots(lua_State *L, const char *relative, bool is_host_only)
{
    struct vm *vm = vm_of(L);
    char path[PATH_MAX];
    char shown[NAME_MAX_BYTES + 16];
    if (!is_host_only && load_from_client(L, relative)) {
        return true;
    }
    for (size_t i = 0; !is_host_only && vm->more_roots[i] != NULL; i++) {
        if (find_below(vm->more_roots[i], relative, path)) {
            load_file(L, path, relative);
            return true;
        }
    }
    if (find_below(vm->scripts_root, relative, path)) {
        snprintf(shown, sizeof(shown), "scripts/%s", relative);
        load_file(L, path, shown);
        return true;
    }
    return false;
}

/* Pushes the opener of a C module or the chunk of a script. Raises when there is none. [-0, +1] */
static void push_loader(lua_State *L, const char *name, bool is_host_only)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &native_key);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1)) {
        return;
    }
    lua_pop(L, 1);
    char relative[NAME_MAX_BYTES + 1];
    char file[NAME_MAX_BYTES + 8];
    if (strncmp(name, "neap.", 5) == 0) {
        luaL_error(L, "the host has no module '%s'", name);
    }
    if (!to_relative(name, relative)) {
        luaL_error(L, "'%s' is not a module name (lower case words joined by dots)", name);
    }
    snprintf(file, sizeof(file), "%s.lua", relative);
    if (!load_from_roots(L, file, is_host_only)) {
        luaL_error(L, "module '%s' not found: no %s in the client's folder or in scripts/", name,
                   file);
    }
}

static void require_as(lua_State *L, const char *name, const char *cache_name, bool is_host_only)
{
    luaL_checkstack(L, 8, "require");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    int loaded = lua_gettop(L);
    lua_getfield(L, loaded, cache_name);
    if (lua_touserdata(L, -1) == &loading_mark) {
        luaL_error(L, "module '%s' requires itself", name);
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_loader(L, name, is_host_only);
        lua_pushlightuserdata(L, (void *)&loading_mark);
        lua_setfield(L, loaded, cache_name);
        lua_pushstring(L, name);
        /* Protected only to take the mark off again. */
        int status = vm_pcall_load(L, 1, 1);
        lua_pushnil(L);
        lua_setfield(L, loaded, cache_name);
        if (status != LUA_OK) {
            lua_error(L);
        }
        if (lua_isnil(L, -1)) {
            luaL_error(L, "module '%s' returns nothing", name);
        }
        lua_pushvalue(L, -1);
        lua_setfield(L, loaded, cache_name);
    }
    lua_remove(L, loaded);
}

void vm_require(lua_State *L, const char *name)
{
    require_as(L, name, name, false);
}

void vm_require_host(lua_State *L, const char *name)
{
    char cache_name[NAME_MAX_BYTES + 8];
    snprintf(cache_name, sizeof(cache_name), "host:%s", name);
    require_as(L, name, cache_name, true);
}

void vm_set_loaded(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void vm_run_client_file(lua_State *L, const char *file)
{
    char path[PATH_MAX];
    if (!find_below(vm_of(L)->client_root, file, path)) {
        luaL_error(L, "there is no %s in the client's folder", file);
    }
    load_file(L, path, file);
    lua_call(L, 0, 1);
}

static int script_require(lua_State *L)
{
    vm_require(L, luaL_checkstring(L, 1));
    return 1;
}

void vm_require_install(lua_State *L, const struct vm_module *modules)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &loaded_key);
    lua_newtable(L);
    for (const struct vm_module *m = modules; m != NULL && m->name != NULL; m++) {
        lua_pushcfunction(L, m->open);
        lua_setfield(L, -2, m->name);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &native_key);
    lua_pushliteral(L, "require");
    lua_pushcfunction(L, script_require);
    lua_rawset(L, -3);
}
