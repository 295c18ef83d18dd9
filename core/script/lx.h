/*
 * Helpers for C code that talks to Lua: options, error objects, the environment of a state.
 *
 * Each function says what it leaves on the stack as [-popped, +pushed] and whether it may raise.
 * lx_job() is declared in lx_job.h: it belongs to jobs, not to states.
 */
#ifndef NEAP_CORE_SCRIPT_LX_H
#define NEAP_CORE_SCRIPT_LX_H

#include <lauxlib.h>
#include <lua.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/errors.h"

#define LX_ERROR_MT   "neap.error"
#define LX_BUF_MT     "neap.buf"
#define LX_DECIMAL_MT "neap.decimal" /* a userdata holding one struct decimal */

/* What the modules of one state reach beyond the state. Owned by whoever made the state. */
struct lx_env {
    struct clock *clock;
    struct random_source *random; /* seeded per job; the owner reseeds it */
    void *vm;
};

/* Remembers env (borrowed: it outlives the state). [-0, +0], raises only when memory is out. */
void lx_set_env(lua_State *L, struct lx_env *env);

/* The environment of this state; raises when none was set. [-0, +0] */
struct lx_env *lx_env(lua_State *L);

/*
 * Checks that the value at idx is absent (nil or none) or a table with no other keys than those
 * named (NULL ends the list); raises naming the unknown key and the known ones. Returns whether
 * there is a table. [-0, +0]
 */
bool lx_check_keys(lua_State *L, int idx, ...) __attribute__((sentinel));

/*
 * Readers of one field of an option table. idx may be absent: the default is returned. A wrong type
 * or a value out of range raises, naming the field. [-0, +0]; text is borrowed from the table.
 */
lua_Integer lx_opt_integer(lua_State *L, int idx, const char *key, lua_Integer otherwise,
                           lua_Integer min);
bool lx_opt_boolean(lua_State *L, int idx, const char *key, bool otherwise);
const char *lx_opt_string(lua_State *L, int idx, const char *key, const char *otherwise);
const char *lx_check_string_field(lua_State *L, int idx, const char *key);
/* The same for names, ids and keys, which become C strings: a zero byte would cut them, and two
 * that differ behind it would be one. It raises. */
const char *lx_check_name(lua_State *L, int arg);
const char *lx_opt_name_field(lua_State *L, int idx, const char *key, const char *otherwise);
const char *lx_check_name_field(lua_State *L, int idx, const char *key);
/* The string at the top, an item of the list named key. [-0, +0] */
const char *lx_check_name_item(lua_State *L, const char *key);

/*
 * Pushes a userdata that owns an empty buffer and returns the buffer: bytes that grow across calls
 * that may raise. Free it early with buf_free; the collector does so in any case. [-0, +1]
 */
struct buf *lx_new_buf(lua_State *L, size_t max);

/* Pushes the error object of err alone. [-0, +1] */
void lx_push_error_object(lua_State *L, const struct error *err);

/* Pushes nil and the error object and returns 2: `return lx_push_error(L, &err)`. [-0, +2] */
int lx_push_error(lua_State *L, const struct error *err);

/* As lx_push_error with a code and a message made here (plain printf words). [-0, +2] */
int lx_fail(lua_State *L, int code, const char *fmt, ...) NEAP_PRINTF(3, 4);

/* Raises an error object; does not return. */
int lx_raise(lua_State *L, const struct error *err) __attribute__((noreturn));

/* Whether the value is an error object. [-0, +0], never raises. */
bool lx_is_error(lua_State *L, int idx);

/*
 * Reads any value that was raised or returned as an error into err: an error object field by field,
 * anything else as ERROR_SCRIPT with its text. [-0, +0], never calls into Lua.
 */
void lx_read_error(lua_State *L, int idx, struct error *err);

/* Sets the metatable of error objects on the table at the top, making it once. [-0, +0] */
void lx_set_error_metatable(lua_State *L);

/* The code with this name, 0 when there is none. */
int lx_error_code(const char *kind);

/*
 * Makes the metatable `name` once: __name, locked __metatable, `metamethods`, and `methods` (or
 * NULL) under __index. [-0, +0]
 */
void lx_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods,
                 const luaL_Reg *methods);

#endif
