/* Asserts in a test that a work's store is whole: every problem is printed and fails the case. */
#ifndef NEAP_TESTS_SUPPORT_STORE_CHECK_H
#define NEAP_TESTS_SUPPORT_STORE_CHECK_H

#include "core/work/integrity.h"
#include "tests/support/tap.h"

static void store_check_print(void *arg, const char *record, const char *problem)
{
    (void)arg;
    printf("# store: %s: %s\n", record, problem);
}

static inline uint64_t store_check(struct work *work)
{
    struct integrity_report report;
    int rc = integrity_check(work, store_check_print, NULL, &report);
    CHECK_INT(rc, 0);
    CHECK_INT(report.problems, 0);
    return report.records;
}

#endif
