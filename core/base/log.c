/*
 * Log lines. One write(2) per line, so lines of one process never mix.
 *
 * A secret is kept in every form a line may show it in: as it is, as JSON escapes it, and with its
 * line breaks as spaces. All places where any form stands are marked on the whole line first and
 * blanked together, so that neither a shorter secret inside a longer one nor two that overlap leave
 * a piece.
 */
#define _GNU_SOURCE
#include "core/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/json_writer.h"
#include "core/base/xalloc.h"

#define LOG_LINE_MAX   16384
#define LOG_TEXT_MAX   8192
#define LOG_SECRET_MIN 4            /* shorter texts would blank half of every line */
#define LOG_SECRET_MAX 1024         /* forms; one secret has up to three */
#define LOG_FORM_MAX   (512u << 10) /* six bytes for each of the longest secret's */

/* The one module (with main) that may hold process-wide state: a log has to be reachable. */
static struct {
    enum log_level level;
    enum log_format format;
    bool has_told_limit;
    size_t secret_count;
    char *secrets[LOG_SECRET_MAX];
} g_log = {LOG_INFO, LOG_FORMAT_AUTO, false, 0, {NULL}};

static const char *const LEVEL_NAMES[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level level, enum log_format format)
{
    g_log.level = level;
    g_log.format = format;
}

static void add_form(const char *text)
{
    for (size_t i = 0; i < g_log.secret_count; i++) {
        if (strcmp(g_log.secrets[i], text) == 0) {
            return;
        }
    }
    if (g_log.secret_count < LOG_SECRET_MAX) {
        g_log.secrets[g_log.secret_count++] = xstrdup(text);
    } else if (!g_log.has_told_limit) {
        g_log.has_told_limit = true;
        log_msg(LOG_ERROR, "log",
                "more secrets than the log can watch for: later ones may be shown");
    }
}

void log_redact(const char *secret_text)
{
    if (strlen(secret_text) < LOG_SECRET_MIN) {
        return;
    }
    add_form(secret_text);
    struct buf quoted;
    buf_init(&quoted, LOG_FORM_MAX);
    if (json_quote(&quoted, bytes_str(secret_text)) == 0) {
        quoted.data[quoted.size - 1] = '\0';
        add_form(quoted.data + 1);
        explicit_bzero(quoted.data, quoted.size);
    }
    buf_free(&quoted);
    char *flat = xstrdup(secret_text);
    for (char *c = flat; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    }
    add_form(flat);
    explicit_bzero(flat, strlen(flat));
    free(flat);
}

void log_shutdown(void)
{
    for (size_t i = 0; i < g_log.secret_count; i++) {
        explicit_bzero(g_log.secrets[i], strlen(g_log.secrets[i]));
        free(g_log.secrets[i]);
    }
    g_log.secret_count = 0;
    g_log.has_told_limit = false;
}

static bool mark_secret(struct bytes text, const char *secret, bool *marks)
{
    size_t size = strlen(secret);
    const char *end = text.data + text.size;
    const char *at = memmem(text.data, text.size, secret, size);
    bool has_any = at != NULL;
    while (at != NULL) {
        memset(marks + (at - text.data), true, size);
        at++;
        at = memmem(at, (size_t)(end - at), secret, size);
    }
    return has_any;
}

/* Each marked stretch becomes "***": how long a secret is says something too. marks: as many as
 * there are bytes, all false. Returns the new size. */
static size_t redact(char *text, size_t size, bool *marks)
{
    bool has_any = false;
    for (size_t i = 0; i < g_log.secret_count && size > 0; i++) {
        has_any = mark_secret(bytes_of(text, size), g_log.secrets[i], marks) || has_any;
    }
    size_t kept = 0;
    for (size_t i = 0; has_any && i < size; i++) {
        bool is_start = marks[i] && (i == 0 || !marks[i - 1]);
        if (is_start) {
            memset(text + kept, '*', 3); /* never longer than what it replaces */
            kept += 3;
        } else if (!marks[i]) {
            text[kept++] = text[i];
        }
    }
    return has_any ? kept : size;
}

char *log_redacted(const char *text)
{
    char *copy = xstrdup(text);
    size_t size = strlen(copy);
    bool *marks = xcalloc(size + 1, sizeof(*marks));
    copy[redact(copy, size, marks)] = '\0';
    free(marks);
    return copy;
}

static void format_json(struct buf *line, enum log_level level, const char *area,
                        const char *fields_json, const char *text)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    char instant[32];
    json_format_instant((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, instant);
    struct json_writer w;
    json_writer_init(&w, line);
    json_object_begin(&w);
    json_member_str(&w, "at", instant);
    json_member_str(&w, "level", LEVEL_NAMES[level]);
    json_member_str(&w, "area", area);
    json_member_str(&w, "text", text);
    if (fields_json != NULL && fields_json[0] != '\0') {
        buf_add_char(line, ',');
        buf_add_str(line, fields_json);
    }
    json_object_end(&w);
}

static void format_human(struct buf *line, enum log_level level, const char *area,
                         const char *fields_json, const char *text)
{
    static const char *const COLOURS[] = {"\x1b[2m", "", "\x1b[33m", "\x1b[31m"};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm parts;
    localtime_r(&now.tv_sec, &parts);
    char clock_text[16];
    strftime(clock_text, sizeof(clock_text), "%H:%M:%S", &parts);
    buf_addf(line, "%s %s%-5s\x1b[0m %-14s ", clock_text, COLOURS[level], LEVEL_NAMES[level], area);
    for (const char *c = text; *c != '\0'; c++) {
        buf_add_char(line, *c == '\n' || *c == '\r' ? ' ' : *c);
    }
    if (fields_json != NULL && fields_json[0] != '\0') {
        buf_addf(line, "  \x1b[2m%s\x1b[0m", fields_json);
    }
}

static void write_line(enum log_level level, const char *area, const char *fields_json,
                       const char *text)
{
    struct buf line;
    buf_init(&line, LOG_LINE_MAX);
    bool is_human = g_log.format == LOG_FORMAT_HUMAN ||
                    (g_log.format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO) != 0);
    if (is_human) {
        format_human(&line, level, area, fields_json, text);
    } else {
        format_json(&line, level, area, fields_json, text);
    }
    bool marks[LOG_LINE_MAX] = {false};
    line.size = redact(line.data, line.size, marks);
    line.has_failed = false; /* too long: what fitted is written, and the line still ends */
    line.max = LOG_LINE_MAX + 1;
    buf_add_char(&line, '\n');
    if (write(STDERR_FILENO, buf_text(&line), line.size) < 0) {
        /* stderr is gone: there is nowhere left to say so */
    }
    buf_free(&line);
}

void log_msg(enum log_level level, const char *area, const char *fmt, ...)
{
    if (level < g_log.level) {
        return;
    }
    char text[LOG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(level, area, NULL, text);
}

void log_fields(enum log_level level, const char *area, const char *fields_json, const char *fmt,
                ...)
{
    if (level < g_log.level) {
        return;
    }
    char text[LOG_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_line(level, area, fields_json, text);
}
