/*
 * One e-mail as bytes: RFC 5322 with a quoted-printable UTF-8 text. Nothing a caller gives can add
 * a header or a recipient: line ends and other controls are refused, what is not ASCII is encoded.
 */
#ifndef NEAP_CORE_NET_MAIL_MESSAGE_H
#define NEAP_CORE_NET_MAIL_MESSAGE_H

#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/errors.h"

#define MAIL_ADDRESS_MAX 254
#define MAIL_SUBJECT_MAX 500
#define MAIL_TEXT_MAX    ((size_t)1 << 20)

struct mail_message { /* borrowed */
    const char *from;
    const char *from_name; /* or NULL */
    const char *const *to;
    size_t to_count;
    const char *subject;
    struct bytes text; /* UTF-8, lines end in LF or CRLF */
    const char *key;   /* the same key (and sender) gives the same Message-ID */
    int64_t date_ms;
};

/* "local@domain" in ASCII without quoting. ERROR_INVALID tells what is wrong with it. */
int mail_check_address(const char *address, struct error *err) NEAP_MUST_USE;

/* Appends the message; ERROR_INVALID names the member that cannot be sent. */
int mail_message_write(const struct mail_message *m, struct buf *out,
                       struct error *err) NEAP_MUST_USE;

#endif
