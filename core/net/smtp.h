/*
 * Carries one e-mail to a mail server. The request is an http_request with method "MAIL": headers
 * "Mail-From" and "Rcpt-To" (addresses with a blank between), body = the message as
 * mail_message_write makes it. Whatever the server says is an answer: its code is the status, its
 * last line the body.
 *
 * Each transfer runs in a thread of its own: libcurl waits for the server's last word with the loop
 * standing still (libcurl-multi(3), BLOCKING: the "done" operation of SMTP), and a mail server may
 * look at a message for many seconds before it says 250. The thread touches its own transfer only;
 * it ends with one pointer written to a pipe. Private to core/net.
 */
#ifndef NEAP_CORE_NET_SMTP_H
#define NEAP_CORE_NET_SMTP_H

#include "core/loop/loop.h"
#include "core/net/transport.h"

#define SMTP_METHOD "MAIL"

struct smtp_sender;
struct smtp_send;

bool smtp_is_url(const char *url); /* smtp:// or smtps:// */

struct smtp_sender *smtp_sender_new(struct loop *loop); /* NULL: no pipe to be had */
void smtp_sender_free(struct smtp_sender *sender);      /* as smtp_send_cancel for all; waits for
                                                           the threads to notice */

/* As transport_ops.start and cancel. request is copied; policy too. */
struct smtp_send *smtp_send_start(struct smtp_sender *sender, const struct http_request *request,
                                  const struct transport_policy *policy, transport_done_cb done,
                                  void *arg);
void smtp_send_cancel(struct smtp_send *send); /* done can no longer fire */

#endif
