/* Allocation that cannot fail: for small host objects only, never for sizes named by outsiders. */
#ifndef NEAP_CORE_BASE_XALLOC_H
#define NEAP_CORE_BASE_XALLOC_H

#include <stddef.h>

/* Each aborts the process with a message when memory is out. Release with free(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t size) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
