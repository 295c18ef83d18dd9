/*
 * Requests of a waiting job: one operation over one or more calls, each released after the commit.
 *
 * op    a userdata on the coroutine's own stack: it lives as long as the wait, and is closed by the
 *       collector, by the wait's cancel or when its results were taken
 * call  one request: made -> releasing (waits for the commit) -> sent -> done
 */
#ifndef NEAP_CORE_API_API_HTTP_CALL_H
#define NEAP_CORE_API_API_HTTP_CALL_H

#include "core/script/job_run.h"

struct http_op;
struct http_call;

/* Pushes an op for `count` calls of which `limit` run at once; it is closed when the C function at
 * hand ends. [-0, +1], raises when memory is out. */
struct http_op *http_op_push(lua_State *L, size_t count, size_t limit);
struct http_call *http_op_call(struct http_op *op, size_t i);

/* Fills a call from the request table at idx; connection NULL: the table names it. Raises. [-0, +0]
 */
void http_call_read(lua_State *L, int idx, struct job_run *run, const char *connection,
                    struct http_call *call);

/* The request as bytes of the effect ledger, and back. Raises for bytes that are no request. */
void http_call_encode(const struct http_call *call, struct buf *out);
void http_call_decode(lua_State *L, struct job_run *run, const char *connection, struct bytes bytes,
                      struct http_call *call);
/* The outcome goes to the ledger before Lua sees it. is_fresh: a connection of its own. */
void http_call_set_effect(struct http_call *call, uint64_t effect_id, const char *name,
                          bool is_fresh);

/* Starts and waits; then k(L, LUA_YIELD, (lua_KContext)op) pushes the results. As lua_yieldk. */
int http_op_wait(lua_State *L, struct job_run *run, struct http_op *op, lua_KFunction k);

/* Pushes answer, nil or nil, error; writes the line on the timeline. [-0, +2] */
void http_op_push_result(lua_State *L, struct job_run *run, struct http_op *op, size_t i);

/* A raw answer of the ledger as an answer table. [-0, +1] */
void http_push_raw_answer(lua_State *L, struct bytes raw);

/* Appends "a=1&b=x%20y" of the table at idx, names sorted. Raises. */
void http_add_query(lua_State *L, int idx, struct buf *out);
void http_add_encoded(struct buf *out, struct bytes text);

void http_op_open(lua_State *L); /* makes the type; [-0, +0] */

#endif
