/* Events and replies as scripts write them (scripts/meta/flow.lua, job.lua), read into plain
 * values. */
#ifndef NEAP_CORE_SCRIPT_LX_EVENT_H
#define NEAP_CORE_SCRIPT_LX_EVENT_H

#include <lua.h>

#include "core/base/buf.h"
#include "core/net/http_message.h"
#include "core/script/manifest.h"
#include "core/work/event_record.h"

/*
 * Reads the event table at idx. Texts are borrowed from it and from values pushed: the caller keeps
 * the stack until it has used them. flow: for events that name none. Raises. [-0, +n]
 */
void lx_read_event(lua_State *L, int idx, const struct manifest *manifest, const char *flow,
                   struct event_new *event_out);

/* Status (100 to 599), headers as text, body; borrowed as above. headers grows in a pushed buffer.
 */
void lx_read_answer(lua_State *L, int idx, struct event_answer *answer_out);

/* Pushes the event as scripts see it. [-0, +1] */
void lx_push_event(lua_State *L, const struct event_record *event);

/* Pushes the JSON text of the value at the top; raises when it cannot be encoded. [-1, +1] */
void lx_encode_json(lua_State *L);
/* Pushes the value of a JSON text this host wrote. [-0, +1] */
void lx_decode_json(lua_State *L, struct bytes json);

#endif
