/*
 * The spreadsheet is written row by row (constant memory: rows of a sheet in order, sheets as they
 * come). Money and numbers are decimal text until here; a cell holds what the text says, shown with
 * two decimals. In CSV a text that a spreadsheet would take for a formula gets an apostrophe.
 */
#include "core/cli/report_table.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xlsxwriter.h>

#include "core/base/xalloc.h"

#define SHEET_NAME_MAX 31
#define SHEET_ROWS_MAX 1048576
#define CELL_MAX       32767 /* characters; what is longer is cut */
#define COLUMN_WIDTH   16

struct sheet {
    char *name;                        /* as told */
    struct api_report_column *columns; /* names owned */
    size_t column_count;
    bool is_in_csv;
    lxw_worksheet *worksheet;
    lxw_row_t next_row;
};

struct report_table {
    FILE *csv;
    char *csv_path;
    char *xlsx_path;
    lxw_workbook *workbook;
    lxw_format *bold;
    lxw_format *money;
    struct sheet *sheets;
    size_t sheet_count;
    size_t csv_header; /* sheet whose columns the CSV shows now, plus 1 */
    struct error err;  /* the first failure */
};

static void fail(struct report_table *t, const char *path, const char *why)
{
    if (t->err.code == 0) {
        error_set(&t->err, ERROR_IO, "%s: %s", path, why);
    }
}

/* ---- CSV
 * ------------------------------------------------------------------------------------------ */

static void csv_field(FILE *file, struct bytes text, bool is_text)
{
    bool is_formula = is_text && text.size > 0 && strchr("=+-@\t\r", text.data[0]) != NULL;
    bool is_quoted = is_formula;
    for (size_t i = 0; i < text.size && !is_quoted; i++) {
        is_quoted = strchr("\",\r\n", text.data[i]) != NULL;
    }
    if (!is_quoted) {
        fwrite(text.data, 1, text.size, file);
        return;
    }
    fputc('"', file);
    if (is_formula) {
        fputc('\'', file);
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            fputc('"', file);
        }
        fputc(text.data[i], file);
    }
    fputc('"', file);
}

static bool has_same_columns(const struct sheet *a, const struct sheet *b)
{
    if (a->column_count != b->column_count) {
        return false;
    }
    for (size_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0) {
            return false;
        }
    }
    return true;
}

static void csv_header(struct report_table *t, size_t index)
{
    const struct sheet *sheet = &t->sheets[index];
    size_t shown = t->csv_header;
    t->csv_header = index + 1;
    if (shown != 0 && has_same_columns(&t->sheets[shown - 1], sheet)) {
        return;
    }
    fputs("sheet", t->csv);
    for (size_t i = 0; i < sheet->column_count; i++) {
        fputc(',', t->csv);
        csv_field(t->csv, bytes_str(sheet->columns[i].name), true);
    }
    fputs("\r\n", t->csv);
}

static void csv_row(struct report_table *t, size_t index, const struct bytes *cells, size_t count)
{
    const struct sheet *sheet = &t->sheets[index];
    csv_header(t, index);
    csv_field(t->csv, bytes_str(sheet->name), true);
    for (size_t i = 0; i < sheet->column_count; i++) {
        fputc(',', t->csv);
        if (i < count) {
            csv_field(t->csv, cells[i], sheet->columns[i].kind == API_REPORT_TEXT);
        }
    }
    fputs("\r\n", t->csv);
}

/* ---- XLSX
 * ----------------------------------------------------------------------------------------- */

static bool is_title_taken(const struct report_table *t, const char *title)
{
    return workbook_get_worksheet_by_name(t->workbook, title) != NULL;
}

/* At most 31 characters, none of []:*?/\, no apostrophe, not used before. Owned. */
static char *make_title(const struct report_table *t, const char *name)
{
    char title[SHEET_NAME_MAX + 1];
    size_t size = 0;
    for (const char *c = name; *c != '\0' && size < SHEET_NAME_MAX; c++) {
        bool is_plain = (unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7F;
        title[size++] = !is_plain || strchr("[]:*?/\\'", *c) != NULL ? '_' : *c;
    }
    title[size] = '\0';
    if (size == 0) {
        snprintf(title, sizeof(title), "Sheet");
    }
    char *made = xstrdup(title);
    for (unsigned i = 2; is_title_taken(t, made); i++) {
        free(made);
        made = xasprintf("%.24s (%u)", title, i);
    }
    return made;
}

static void begin_worksheet(struct report_table *t, struct sheet *sheet)
{
    char *title = make_title(t, sheet->name);
    sheet->worksheet = workbook_add_worksheet(t->workbook, title);
    free(title);
    if (sheet->worksheet == NULL) {
        fail(t, t->xlsx_path, "a sheet cannot be added");
        return;
    }
    worksheet_set_column(sheet->worksheet, 0, (lxw_col_t)sheet->column_count, COLUMN_WIDTH, NULL);
    worksheet_freeze_panes(sheet->worksheet, 1, 0);
    for (size_t i = 0; i < sheet->column_count; i++) {
        worksheet_write_string(sheet->worksheet, 0, (lxw_col_t)i, sheet->columns[i].name, t->bold);
    }
    sheet->next_row = 1;
}

static void xlsx_cell(struct report_table *t, struct sheet *sheet, size_t column, struct bytes cell)
{
    enum api_report_kind kind = sheet->columns[column].kind;
    char *text = xstrndup(cell.data, cell.size > CELL_MAX ? CELL_MAX : cell.size);
    lxw_error rc;
    if (kind == API_REPORT_TEXT) {
        rc = worksheet_write_string(sheet->worksheet, sheet->next_row, (lxw_col_t)column, text,
                                    NULL);
    } else {
        rc = worksheet_write_number(sheet->worksheet, sheet->next_row, (lxw_col_t)column,
                                    strtod(text, NULL), kind == API_REPORT_MONEY ? t->money : NULL);
    }
    if (rc != LXW_NO_ERROR) {
        fail(t, t->xlsx_path, lxw_strerror(rc));
    }
    free(text);
}

static void xlsx_row(struct report_table *t, size_t index, const struct bytes *cells, size_t count)
{
    struct sheet *sheet = &t->sheets[index];
    if (sheet->worksheet == NULL || sheet->next_row == SHEET_ROWS_MAX) {
        begin_worksheet(t, sheet);
    }
    for (size_t i = 0; sheet->worksheet != NULL && i < sheet->column_count && i < count; i++) {
        if (cells[i].size > 0) {
            xlsx_cell(t, sheet, i, cells[i]);
        }
    }
    sheet->next_row++;
}

static void xlsx_open(struct report_table *t, int64_t at_ms)
{
    char *path = xstrdup(t->xlsx_path);
    /* Rows wait in files beside the spreadsheet: there may be no other place to write. */
    lxw_workbook_options options = {.constant_memory = LXW_TRUE, .tmpdir = dirname(path)};
    t->workbook = workbook_new_opt(t->xlsx_path, &options);
    free(path);
    if (t->workbook == NULL) {
        fail(t, t->xlsx_path, "a spreadsheet cannot be made");
        return;
    }
    lxw_doc_properties properties = {.created = (time_t)(at_ms / 1000)};
    workbook_set_properties(t->workbook, &properties);
    t->bold = workbook_add_format(t->workbook);
    format_set_bold(t->bold);
    t->money = workbook_add_format(t->workbook);
    format_set_num_format(t->money, "#,##0.00");
}

/* ---- The table
 * --------------------------------------------------------------------------------------- */

struct report_table *report_table_open(const char *csv_path, const char *xlsx_path, int64_t at_ms,
                                       struct error *err)
{
    struct report_table *t = xcalloc(1, sizeof(*t));
    if (csv_path != NULL) {
        t->csv_path = xstrdup(csv_path);
        t->csv = fopen(csv_path, "wbe");
        if (t->csv == NULL) {
            fail(t, csv_path, strerror(errno));
        }
    }
    if (xlsx_path != NULL) {
        t->xlsx_path = xstrdup(xlsx_path);
        xlsx_open(t, at_ms);
    }
    if (t->err.code != 0) {
        int rc = report_table_close(t, err);
        (void)rc; /* the same failure */
        return NULL;
    }
    return t;
}

void report_table_sheet(struct report_table *table, const char *name,
                        const struct api_report_column *columns, size_t count, bool is_in_csv)
{
    table->sheets = xrealloc(table->sheets, (table->sheet_count + 1) * sizeof(*table->sheets));
    struct sheet *sheet = &table->sheets[table->sheet_count++];
    memset(sheet, 0, sizeof(*sheet));
    sheet->name = xstrdup(name);
    sheet->is_in_csv = is_in_csv;
    sheet->column_count = count;
    sheet->columns = xcalloc(count, sizeof(*sheet->columns));
    for (size_t i = 0; i < count; i++) {
        sheet->columns[i] = (struct api_report_column){xstrdup(columns[i].name), columns[i].kind};
    }
    if (table->workbook != NULL) {
        begin_worksheet(table, sheet);
    }
}

void report_table_row(struct report_table *table, size_t sheet, const struct bytes *cells,
                      size_t count)
{
    if (table->csv != NULL && table->sheets[sheet].is_in_csv) {
        csv_row(table, sheet, cells, count);
    }
    if (table->workbook != NULL) {
        xlsx_row(table, sheet, cells, count);
    }
}

static void free_sheets(struct report_table *t)
{
    for (size_t i = 0; i < t->sheet_count; i++) {
        for (size_t k = 0; k < t->sheets[i].column_count; k++) {
            free((char *)t->sheets[i].columns[k].name);
        }
        free(t->sheets[i].columns);
        free(t->sheets[i].name);
    }
    free(t->sheets);
}

int report_table_close(struct report_table *table, struct error *err)
{
    if (table == NULL) {
        return 0;
    }
    if (table->csv != NULL) {
        bool is_bad = ferror(table->csv) != 0;
        if (fclose(table->csv) != 0 || is_bad) {
            fail(table, table->csv_path, "not everything could be written");
        }
    }
    if (table->workbook != NULL) {
        if (table->sheet_count == 0) {
            workbook_add_worksheet(table->workbook, NULL);
        }
        lxw_error rc = workbook_close(table->workbook);
        if (rc != LXW_NO_ERROR) {
            fail(table, table->xlsx_path, lxw_strerror(rc));
        }
    }
    int code = table->err.code;
    *err = code != 0 ? table->err : *err;
    free_sheets(table);
    free(table->csv_path);
    free(table->xlsx_path);
    free(table);
    return code;
}
