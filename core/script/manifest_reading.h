/*
 * Reading tables of Lua strictly, for the manifest: a table has a list of the keys it may have, a
 * field its type. What is wrong raises, naming the path ("connections.khaos.timeout_ms") and what
 * was expected. Texts are copied into the manifest at once, so that raising leaks nothing.
 */
#ifndef NEAP_CORE_SCRIPT_MANIFEST_READING_H
#define NEAP_CORE_SCRIPT_MANIFEST_READING_H

#include <lua.h>

#include "core/script/manifest.h"

#define READING_PATH_MAX 256

/* The table under reading is at the top of the stack; path names it. */
struct reading {
    lua_State *L;
    struct manifest *m;
    char path[READING_PATH_MAX];
};

/* Does not return: raises "path.key: ...". */
int reading_raise(struct reading *r, const char *key, const char *fmt, ...) NEAP_PRINTF(3, 4);
void reading_check_keys(struct reading *r, const char *const *known);
/* Pushes the field; false (and nothing pushed) when it is absent. */
bool reading_push(struct reading *r, const char *key, int type, const char *expected);
const char *reading_text(struct reading *r, const char *key, const char *otherwise);
const char *reading_need_text(struct reading *r, const char *key);
/*
 * A text or secret(...). NULL when absent. Credentials are secret(...): manifests are read by many
 * and kept in histories. Sandboxes have none worth hiding.
 */
const char *reading_secret(struct reading *r, const char *key, bool is_credential);
int64_t reading_integer_within(struct reading *r, const char *key, int64_t otherwise, int64_t min,
                               int64_t max);
int64_t reading_integer(struct reading *r, const char *key, int64_t otherwise, int64_t min);
double reading_number(struct reading *r, const char *key, double otherwise);
bool reading_boolean(struct reading *r, const char *key);
/* Enters the table field: it is at the top and the path names it. */
bool reading_enter(struct reading *r, const char *key, size_t *outer);
void reading_leave(struct reading *r, size_t outer);
/* Pushes a userdata with the sorted string keys of the table below it. [-0, +1] */
const char **reading_push_keys(struct reading *r, size_t *count_out);
/* Calls fn with each table of the map `key` at the top, in the order of names. */
void reading_each(struct reading *r, const char *key,
                  void (*fn)(struct reading *r, const char *name));

#endif
