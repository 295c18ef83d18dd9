/* Single values of a manifest: is this one right? Plain C; nothing here raises. */
#ifndef NEAP_CORE_SCRIPT_MANIFEST_VALUE_H
#define NEAP_CORE_SCRIPT_MANIFEST_VALUE_H

#include "core/base/errors.h"

/* Does a header of this name carry a credential? Its value is then named with secret("NAME"). */
bool manifest_is_secret_header(const char *name);

/* "sha256//" and a digest in base64; several are joined by ";". */
bool manifest_is_pinned_key(const char *text);

/* 0 when the file can be read. */
NEAP_MUST_USE int manifest_check_file(const char *path, struct error *err);

/* 0 when the system knows the time zone. */
NEAP_MUST_USE int manifest_check_zone(const char *name, struct error *err);

#endif
