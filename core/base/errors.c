/* Error values. Messages are cut at ERROR_MESSAGE_SIZE; nothing is allocated. */
#include "core/base/errors.h"

#include <stdio.h>
#include <string.h>

void error_clear(struct error *err)
{
    if (err != NULL) {
        memset(err, 0, sizeof(*err));
    }
}

int error_set_v(struct error *err, int code, const char *fmt, va_list args)
{
    if (err != NULL) {
        error_clear(err);
        err->code = code;
        vsnprintf(err->message, sizeof(err->message), fmt, args);
    }
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_set_v(err, code, fmt, args);
    va_end(args);
    return code;
}

int error_set_errno(struct error *err, int code, int sys_errno, const char *fmt, ...)
{
    if (err == NULL) {
        return code;
    }
    va_list args;
    va_start(args, fmt);
    error_set_v(err, code, fmt, args);
    va_end(args);
    err->sys_errno = sys_errno;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(sys_errno));
    return code;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    if (err == NULL) {
        return ERROR_INVALID;
    }
    char old[ERROR_MESSAGE_SIZE];
    memcpy(old, err->message, sizeof(old));
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof(err->message) - used, ": %.*s", (int)(sizeof(old) - 1),
             old);
    return err->code;
}

const char *error_code_name(int code)
{
    switch (code) {
#define ERROR_CODE_CASE(symbol, value, name)                                                       \
    case symbol:                                                                                   \
        return name;
        ERROR_CODE_LIST(ERROR_CODE_CASE)
#undef ERROR_CODE_CASE
    default:
        return code == 0 ? "none" : "unknown";
    }
}
