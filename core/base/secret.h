/*
 * Secrets by reference: a manifest names one, the text comes from a file or the environment, and is
 * kept out of logs and timelines.
 */
#ifndef NEAP_CORE_BASE_SECRET_H
#define NEAP_CORE_BASE_SECRET_H

#include "core/base/buf.h"

struct secrets;

/* folder: where the files are ("/run/secrets"), copied; NULL for the environment only. */
struct secrets *secrets_new(const char *folder);
void secrets_free(struct secrets *secrets); /* zeroes every text; accepts NULL */

/*
 * The text of folder/NAME (one trailing newline removed, at most 64 KiB), else of the environment
 * variable NAME. Borrowed until secrets_free; read once, then remembered: a new value needs a new
 * struct secrets. The log never prints it from here on.
 * NULL with ERROR_NOT_FOUND, ERROR_INVALID (a bad name, an empty or binary text), ERROR_LIMIT or
 * ERROR_IO. No message holds any of the text.
 */
const char *secrets_get(struct secrets *secrets, const char *name, struct error *err);

/*
 * Replaces every secret handed out so far by "***"; true when there was one. Secrets shorter than 4
 * characters are left alone: they would blank half of every text. The longest is replaced first.
 */
bool secrets_redact(const struct secrets *secrets, struct buf *text);

#endif
