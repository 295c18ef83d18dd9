/* Unit tests: TAP on standard output. A case is a sentence; a test program fails if a check failed.
 */
#ifndef NEAP_TESTS_SUPPORT_TAP_H
#define NEAP_TESTS_SUPPORT_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count;
static int tap_failures;
static bool tap_is_case_bad;

#define CHECK(claim)                                                                               \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            tap_is_case_bad = true;                                                                \
            printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #claim);                         \
        }                                                                                          \
    } while (0)

#define CHECK_INT(actual, expected)                                                                \
    do {                                                                                           \
        long long tap_a = (long long)(actual);                                                     \
        long long tap_e = (long long)(expected);                                                   \
        if (tap_a != tap_e) {                                                                      \
            tap_is_case_bad = true;                                                                \
            printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #actual, tap_a,     \
                   tap_e);                                                                         \
        }                                                                                          \
    } while (0)

#define CHECK_STR(actual, expected)                                                                \
    do {                                                                                           \
        const char *tap_a = (actual);                                                              \
        const char *tap_e = (expected);                                                            \
        if (tap_a == NULL || strcmp(tap_a, tap_e) != 0) {                                          \
            tap_is_case_bad = true;                                                                \
            printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #actual,        \
                   tap_a == NULL ? "(null)" : tap_a, tap_e);                                       \
        }                                                                                          \
    } while (0)

/* Runs one case: fn takes nothing. */
static inline void tap_case(const char *sentence, void (*fn)(void))
{
    tap_is_case_bad = false;
    fn();
    tap_count++;
    tap_failures += tap_is_case_bad ? 1 : 0;
    printf("%s %d - %s\n", tap_is_case_bad ? "not ok" : "ok", tap_count, sentence);
    fflush(stdout);
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
