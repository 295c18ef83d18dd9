/* Error values: what went wrong, said once, carried up by the caller. */
#ifndef NEAP_CORE_BASE_ERRORS_H
#define NEAP_CORE_BASE_ERRORS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "neap/error_codes.h"

#define ERROR_MESSAGE_SIZE 640

#define NEAP_MUST_USE          __attribute__((warn_unused_result))
#define NEAP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* A plain value, usually on the caller's stack. `code` is 0 until set. */
struct error {
    int code;
    int http_status;        /* 0 when no HTTP answer is behind it */
    int sys_errno;          /* 0 when no system call is behind it */
    bool is_retryable;      /* the same request may succeed later */
    bool maybe_sent;        /* a request may have reached the other side */
    int64_t retry_after_ms; /* 0 when the other side named no delay */
    char message[ERROR_MESSAGE_SIZE];
};

/* Clears err. */
void error_clear(struct error *err);

/* Sets code and message and returns the code. err may be NULL. */
int error_set(struct error *err, int code, const char *fmt, ...) NEAP_PRINTF(3, 4);
int error_set_v(struct error *err, int code, const char *fmt, va_list args) NEAP_PRINTF(3, 0);

/* As error_set, appending the text of sys_errno. */
int error_set_errno(struct error *err, int code, int sys_errno, const char *fmt, ...)
    NEAP_PRINTF(4, 5);

/* Prefixes the message ("loading flow orders: ...") and returns the code already set. */
int error_wrap(struct error *err, const char *fmt, ...) NEAP_PRINTF(2, 3);

/* The name of a code ("timeout"); "unknown" for others. Never NULL. */
const char *error_code_name(int code);

#endif
