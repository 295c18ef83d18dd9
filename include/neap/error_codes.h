/* Error codes of Neap. A code says what the caller does next, not where it happened. */
#ifndef NEAP_ERROR_CODES_H
#define NEAP_ERROR_CODES_H

/* X(symbol, value, name). The names are the `kind` of Lua error objects. */
#define ERROR_CODE_LIST(X)                                                                         \
    X(ERROR_INVALID, -1, "invalid")     /* the input is wrong: fix it, do not retry */             \
    X(ERROR_NOT_FOUND, -2, "not_found") /* the thing named does not exist */                       \
    X(ERROR_EXISTS, -3, "exists")       /* it is there already */                                  \
    X(ERROR_TIMEOUT, -4, "timeout")     /* no answer in time: the outcome may be unknown */        \
    X(ERROR_CANCELLED, -5, "cancelled") /* somebody asked to stop */                               \
    X(ERROR_NETWORK, -6, "network")     /* connection refused, reset, no route, TLS refused */     \
    X(ERROR_REMOTE, -7, "remote")       /* the other system answered, and the answer is no */      \
    X(ERROR_FULL, -8, "full")           /* no space: disk, map or queue */                         \
    X(ERROR_IO, -9, "io")               /* the operating system refused; state may be unsafe */    \
    X(ERROR_CORRUPT, -10, "corrupt")    /* stored data breaks an invariant */                      \
    X(ERROR_LIMIT, -11, "limit")        /* a declared limit would be exceeded */                   \
    X(ERROR_SCRIPT, -12, "script")      /* a script raised */

enum error_code {
    ERROR_NONE = 0,
#define ERROR_CODE_ENUM(symbol, value, name) symbol = (value),
    ERROR_CODE_LIST(ERROR_CODE_ENUM)
#undef ERROR_CODE_ENUM
};

#endif
