/*
 * Runs a report: a host script that reads what a client's store remembers and tells it in rows,
 * lines and one document. Nothing is written, nothing waits, nothing is sent. A report that asks
 * other systems is the work of a job instead (api_report_begin): it may wait, and what it writes
 * goes to a store of its own.
 *
 * A report is a module that returns function(options, flows) and gives back {ok = boolean,
 * document = table}: ok is false when something wrong was found, document is what --json prints.
 * Beyond what scripts have, reports have neap.report (core/api/api_report.c).
 */
#ifndef NEAP_CORE_API_API_REPORT_H
#define NEAP_CORE_API_API_REPORT_H

#include "core/script/generation.h"

#define API_REPORT_COLUMNS_MAX 64
#define API_REPORT_MODULES_MAX 32
#define API_REPORT_FLOW        "report" /* of the job that is an asking report */

enum api_report_kind { API_REPORT_TEXT, API_REPORT_NUMBER, API_REPORT_MONEY };

struct api_report_column { /* borrowed */
    const char *name;
    enum api_report_kind kind;
};

/* What a report may still ask of other systems, and what it has. */
struct api_report_budget {
    uint64_t calls;
    uint64_t max_calls; /* 0 = no bound */
    uint64_t failed;
    uint64_t refused;
    const char *over; /* why nothing can be asked any more; NULL: it can */
};

/* What a report tells. Called from inside Lua: must not raise; failures are the sink's to keep. */
struct api_report_sink {
    void *arg;
    /* The next sheet, numbered from 0. */
    void (*sheet)(void *arg, const char *name, const struct api_report_column *columns,
                  size_t count, bool is_in_csv);
    /* One cell per column of the sheet; numbers and money as decimal text, "" for none. */
    void (*row)(void *arg, size_t sheet, const struct bytes *cells, size_t count);
    void (*say)(void *arg, const char *line);
    void (*page)(void *arg, struct bytes html);    /* the whole of it; NULL: nobody wants one */
    void (*progress)(void *arg, const char *text); /* for who watches; or NULL */
    void (*budget)(void *budget_arg, struct api_report_budget *out); /* NULL: it asks nobody */
    void *budget_arg;
};

struct api_report { /* borrowed during the call */
    const char *module;
    struct work *work;             /* read-only */
    struct generation *generation; /* whose flows the report gets; NULL: none */
    const char *const *options;    /* NAME=VALUE; ends with NULL */
    struct loop *loop;             /* of a report that is a job: it may wait; else NULL */
    struct api_report_sink sink;
};

/* The modules of a report, for generation_options or vm_options: outlives both. */
struct api_report_hooks {
    struct script_hooks hooks;
    struct vm_module modules[API_REPORT_MODULES_MAX];
};
void api_report_hooks_init(struct api_report_hooks *hooks_out);

/* Runs in this state, which was made with these modules (the generation's own when there is one).
 * *is_ok_out and the document as JSON; an error when the report itself failed. */
int api_report_run(struct vm *vm, const struct api_report *report, bool *is_ok_out,
                   struct buf *document, struct error *err) NEAP_MUST_USE;

/*
 * The same for a report that is a job of the flow "reports.asking": from begin to end the scripts
 * of vm find it. report is borrowed meanwhile.
 */
struct api_report_asking;
struct api_report_asking *api_report_begin(struct vm *vm, const struct api_report *report,
                                           struct buf *document, struct error *err);
/* The report gave its result, which *is_ok_out then holds and document as JSON. */
bool api_report_is_finished(const struct api_report_asking *asking, bool *is_ok_out);
void api_report_end(struct api_report_asking *asking); /* accepts NULL */

#endif
