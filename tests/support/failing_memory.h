/*
 * The allocator of the whole process, libraries included, with one call that fails. Included by one
 * test program only: it defines malloc, calloc and realloc.
 */
#ifndef NEAP_TESTS_SUPPORT_FAILING_MEMORY_H
#define NEAP_TESTS_SUPPORT_FAILING_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#define REAL_MEMORY(name) __interceptor_##name
#else
#define REAL_MEMORY(name) __libc_##name
#endif

void *REAL_MEMORY(malloc)(size_t size);
void *REAL_MEMORY(calloc)(size_t count, size_t size);
void *REAL_MEMORY(realloc)(void *ptr, size_t size);

static long memory_fails_in; /* 0: not at all; 1: the next call */
static bool memory_has_failed;

static bool memory_fails(void)
{
    if (memory_fails_in == 0 || --memory_fails_in > 0) {
        return false;
    }
    memory_has_failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return memory_fails() ? NULL : REAL_MEMORY(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : REAL_MEMORY(calloc)(count, size);
}

void *realloc(void *ptr, size_t size)
{
    return memory_fails() ? NULL : REAL_MEMORY(realloc)(ptr, size);
}

#endif
