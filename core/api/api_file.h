/*
 * A file without a name, as scripts hold it: the body of an answer too large for memory.
 *
 *     local answer = http.request{connection = "khaos", path = "/list", file_max_bytes = 1 << 30}
 *     local head = answer.file:read(0, 4096)
 */
#ifndef NEAP_CORE_API_API_FILE_H
#define NEAP_CORE_API_API_FILE_H

#include <lua.h>

#include "core/base/spool.h"

void api_file_open(lua_State *L); /* makes the type. May raise. [-0, +0] */

/* Takes *spool over (it is NULL afterwards). May raise; then it is still the caller's. [-0, +1] */
void api_file_push(lua_State *L, struct spool **spool);

/* NULL when the value at idx is no file; raises when it is closed. */
struct spool *api_file_test(lua_State *L, int idx);

#endif
