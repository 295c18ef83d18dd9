/*
 * Checks JSON text strictly (RFC 8259) and prepares it for a decoder that knows only floats.
 *
 * Rewriting, only where needed:
 *   an integer beyond 2^53 becomes a string, so that no float rounds it;
 *   an empty list becomes [1e999], which no accepted text can contain, so that [] and {} stay
 *   different values for a decoder that gives the same empty table for both.
 */
#ifndef NEAP_CORE_BASE_JSON_SCAN_H
#define NEAP_CORE_BASE_JSON_SCAN_H

#include "core/base/buf.h"

#define JSON_SCAN_MAX_DEPTH    64  /* levels of lists and objects */
#define JSON_SCAN_NUMBER_CHARS 511 /* a longer number is refused */

/*
 * Checks text; a byte order mark at its start is skipped. max_depth is 1..JSON_SCAN_MAX_DEPTH.
 * *ready_out is what to decode: text itself (without the mark), or the content of `rewritten`
 * (whose maximum should be four times the text).
 * Returns 0, or ERROR_INVALID or ERROR_LIMIT with the byte position (from 1) in the message.
 */
int json_scan(struct bytes text, unsigned max_depth, struct buf *rewritten, struct bytes *ready_out,
              struct error *err) NEAP_MUST_USE;

#endif
