/* Bytes too many for memory: a file without a name, gone with its owner whatever happens. */
#ifndef NEAP_CORE_BASE_SPOOL_H
#define NEAP_CORE_BASE_SPOOL_H

#include "core/base/buf.h"

struct spool;

/* Below `folder`, at most max_bytes. NULL with err set (ERROR_IO) when no file can be made there.
 */
struct spool *spool_new(const char *folder, uint64_t max_bytes, struct error *err) NEAP_MUST_USE;
void spool_free(struct spool *spool); /* accepts NULL */

/* Appends. ERROR_LIMIT above the maximum, ERROR_FULL without space, ERROR_IO. */
int spool_add(struct spool *spool, const void *data, size_t size) NEAP_MUST_USE;
uint64_t spool_size(const struct spool *spool);
/* Reads at most `size` bytes from offset; *got_out is 0 at the end only. ERROR_IO. */
int spool_read(const struct spool *spool, uint64_t offset, void *data, size_t size,
               size_t *got_out) NEAP_MUST_USE;

#endif
