/*
 * Looks into JSON text that this program wrote itself (records, answers of a host): members of an
 * object, elements of an array, texts. Bad text yields "not there", never a crash. Scripts use
 * neap.json.
 */
#ifndef NEAP_CORE_BASE_JSON_READER_H
#define NEAP_CORE_BASE_JSON_READER_H

#include "core/base/buf.h"

/* The raw text of member `key` of the object `json`. False when absent or json is no object. */
bool json_find(struct bytes json, const char *key, struct bytes *value_out);
/* Walks an object: *rest_inout starts as its text; each call yields one member, its name without
 * quotes and not decoded. False at the end. */
bool json_member(struct bytes *rest_inout, struct bytes *name_out, struct bytes *value_out);
/* Walks an array: *rest_inout starts as the array text; each call yields one element. False at the
 * end. */
bool json_next(struct bytes *rest_inout, struct bytes *value_out);
/* Appends the decoded text of a JSON string. False when value is no string. */
bool json_text(struct bytes value, struct buf *out);
/* Appends what the escape at s (a backslash) means; returns its length, at most left. */
size_t json_add_escape(struct buf *out, const char *s, size_t left);
/* An integer; false when value is none. */
bool json_integer(struct bytes value, int64_t *out);

#endif
