/* Each file gets a Lua state of its own, without libraries: what compiles is never called. */
#include "core/script/source_syntax.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/xalloc.h"
#include "core/script/vm_files.h"

struct syntax_check {
    size_t folder_size;
    source_syntax_fn fn;
    void *arg;
};

/* 0 or an errno. */
static int read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return errno;
    }
    char block[16384];
    size_t got;
    int rc = 0;
    while (rc == 0 && (got = fread(block, 1, sizeof(block), file)) > 0) {
        rc = buf_add(out, block, got) == 0 ? 0 : EFBIG;
    }
    if (rc == 0 && ferror(file)) {
        rc = EIO;
    }
    fclose(file);
    return rc;
}

/* What is wrong with the text, or NULL. Caller frees. */
static char *compile(const char *name, const struct buf *content)
{
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return xasprintf("%s: not enough memory to compile it", name);
    }
    char *problem = NULL;
    char *chunk = xasprintf("@%s", name);
    if (luaL_loadbufferx(L, buf_text(content), content->size, chunk, "t") != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        bool has_place = strstr(text, ".lua:") != NULL;
        problem = has_place ? xstrdup(text) : xasprintf("%s: %s", name, text);
    }
    free(chunk);
    lua_close(L);
    return problem;
}

static void check_file(void *arg, const char *path)
{
    struct syntax_check *c = arg;
    const char *name = path + c->folder_size + 1;
    struct buf content;
    buf_init(&content, VM_SCRIPT_MAX_BYTES);
    int rc = read_file(path, &content);
    char *problem =
        rc == 0 ? compile(name, &content) : xasprintf("cannot read %s: %s", name, strerror(rc));
    if (problem != NULL) {
        c->fn(c->arg, problem);
    }
    free(problem);
    buf_free(&content);
}

void source_syntax_check(const char *folder, source_syntax_fn fn, void *arg)
{
    struct syntax_check c = {strlen(folder), fn, arg};
    vm_files_each_script(folder, check_file, &c);
}
