/* Log lines on stderr: JSON, or readable when stderr is a terminal. Secrets are never passed here.
 */
#ifndef NEAP_CORE_BASE_LOG_H
#define NEAP_CORE_BASE_LOG_H

#include "core/base/errors.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_JSON, LOG_FORMAT_HUMAN };

/* Process-wide, called once from main. A level below `level` is dropped. */
void log_configure(enum log_level level, enum log_format format);

/* area: the room or client that speaks ("http", "client acme"). Newlines in text are escaped. */
void log_msg(enum log_level level, const char *area, const char *fmt, ...) NEAP_PRINTF(3, 4);

/* As log_msg with extra members: fields_json is the inside of a JSON object or NULL. */
void log_fields(enum log_level level, const char *area, const char *fields_json, const char *fmt,
                ...) NEAP_PRINTF(4, 5);

/*
 * Registers a text that must never be printed: "***" stands for it in every line, also where JSON
 * escapes it. Ignored when shorter than 4 characters. There is room for some 340; passing that is
 * logged once.
 */
void log_redact(const char *secret_text);
/* For what is kept and shown elsewhere: a copy with "***" for what was registered. Owned. */
char *log_redacted(const char *text);
void log_shutdown(void); /* forgets the registered texts */

#endif
