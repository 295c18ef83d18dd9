/*
 * Rows put into the order of their keys, more than memory should hold: sorted runs in a file
 * without a name, merged as they are read. Rows of one key keep their order.
 */
#ifndef NEAP_CORE_BASE_SORTER_H
#define NEAP_CORE_BASE_SORTER_H

#include "core/base/buf.h"

#define SORTER_RUN_BYTES ((size_t)1 << 20)   /* sorted in one go: about 10 ms */
#define SORTER_MAX_BYTES ((uint64_t)4 << 30) /* in the file */

struct sorter;

/* The file is made below folder when the first run is full. */
struct sorter *sorter_new(const char *folder);
void sorter_free(struct sorter *s); /* accepts NULL */

/* Not after the first sorter_peek. ERROR_LIMIT (a row above SORTER_RUN_BYTES, or too many),
 * ERROR_FULL, ERROR_IO. */
int sorter_add(struct sorter *s, struct bytes key, struct bytes value) NEAP_MUST_USE;
bool sorter_is_reading(const struct sorter *s);

/* The row at the front, borrowed until sorter_skip; ERROR_NOT_FOUND when none is left. */
int sorter_peek(struct sorter *s, struct bytes *key_out, struct bytes *value_out) NEAP_MUST_USE;
void sorter_skip(struct sorter *s); /* after a peek that gave a row */

#endif
