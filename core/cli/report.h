/*
 * Verbs that report: a host script reads one client's store, opened read-only beside a running host
 * or after a stopped one, and what it tells goes to the terminal, a CSV file or a spreadsheet. One
 * with bounds asks the client's systems instead and needs no store (report_asking.h).
 */
#ifndef NEAP_CORE_CLI_REPORT_H
#define NEAP_CORE_CLI_REPORT_H

#include <stdint.h>

#include "core/cli/aside.h"
#include "core/cli/report_asking.h"

#define CLI_REPORT_OPTIONS                                                                         \
    {"--data", "DIR", "data folder (default $NEAP_DATA or ./data)"},                               \
        {"--csv", "FILE", "write the rows as CSV"},                                                \
    {                                                                                              \
        "--xlsx", "FILE", "write the rows as a spreadsheet"                                        \
    }

struct cli_report {
    const struct cli_args *args; /* CLI_REPORT_OPTIONS, --scripts, --json and others are read */
    const char *module;          /* of scripts/: "reports.reconcile" */
    /* The client's folder, whose flows and settings the script gets; NULL: none, and the store is
     * that of --client, or the only one in the data folder. */
    const char *folder;
    const char *const *options;         /* NAME=VALUE for the script; ends with NULL */
    const struct report_bounds *bounds; /* it asks the client's systems, within these; or NULL */
    int64_t at_ms;                      /* written into a spreadsheet as its making */
    /* Told what came of a report that ended; NULL: nobody is. */
    void (*on_end)(const struct cli_report *report, const char *client, bool is_ok);
};

/* Runs it and prints; returns the exit code: CLI_WRONG when the report found something wrong. */
int cli_report(const struct cli_report *report);

/* An option that is an instant: "2026-11-30T23:59:59Z", with an offset, or a day (its beginning in
 * UTC). False (and a message on stderr) when it is not; *ms_inout stays when it is absent. */
bool cli_option_instant(const struct cli_args *args, const char *name, int64_t *ms_inout);

#endif
