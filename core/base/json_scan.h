/*
 * Checks JSON text strictly (RFC 8259) and tells its shape, so that a decoder behind it needs no
 * checks of its own and makes every table as large as it becomes.
 */
#ifndef NEAP_CORE_BASE_JSON_SCAN_H
#define NEAP_CORE_BASE_JSON_SCAN_H

#include "core/base/buf.h"

#define JSON_SCAN_MAX_DEPTH    64  /* levels of lists and objects */
#define JSON_SCAN_NUMBER_CHARS 511 /* a longer number is refused */

/*
 * Checks text; a byte order mark at its start is skipped. max_depth is 1..JSON_SCAN_MAX_DEPTH.
 * *ready_out is the text without the mark, and `shape` (whose maximum should be four times the
 * text) holds a uint32_t for each list and object, in the order they open: how many values are in
 * it. Returns 0, or ERROR_INVALID or ERROR_LIMIT with the byte position (from 1) in the message.
 */
int json_scan(struct bytes text, unsigned max_depth, struct buf *shape, struct bytes *ready_out,
              struct error *err) NEAP_MUST_USE;

#endif
