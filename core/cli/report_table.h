/* Rows of a report as files: CSV (one file, the sheet in the first column) and XLSX. */
#ifndef NEAP_CORE_CLI_REPORT_TABLE_H
#define NEAP_CORE_CLI_REPORT_TABLE_H

#include "core/api/api_report.h"

struct report_table;

/* Either path may be NULL; at_ms is the spreadsheet's time of making, so that equal rows are equal
 * bytes. NULL with err set when a file cannot be made. */
struct report_table *report_table_open(const char *csv_path, const char *xlsx_path, int64_t at_ms,
                                       struct error *err);
/* Ends the files. ERROR_IO when not everything was written. Frees. Accepts NULL. */
int report_table_close(struct report_table *table, struct error *err) NEAP_MUST_USE;

void report_table_sheet(struct report_table *table, const char *name,
                        const struct api_report_column *columns, size_t count, bool is_in_csv);
void report_table_row(struct report_table *table, size_t sheet, const struct bytes *cells,
                      size_t count);

#endif
