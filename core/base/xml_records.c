/*
 * Open elements form a stack, and so do the fields found in them and their text: when an element
 * ends, everything above its mark goes, or becomes one field of its parent. Records are copied out
 * at that moment, as fields whose text lies in `done_text`.
 */
#include "core/base/xml_records.h"

#include <assert.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"

struct text_field {
    size_t name; /* offsets, both terminated */
    size_t value;
    size_t value_size;
};

struct frame {
    size_t field_count; /* when it opened */
    size_t text_size;   /* when it opened; its name comes first */
    size_t text_kept;   /* of its name and fields: character data of its own lies behind */
    bool has_children;
};

struct field_list {
    struct text_field *list;
    size_t count;
    size_t capacity;
};

struct xml_records {
    XML_Parser parser;
    char *having[XML_RECORDS_MAX_HAVING];
    size_t having_count;
    struct frame frames[XML_RECORDS_MAX_DEPTH];
    size_t depth;
    struct field_list fields;
    struct buf text;
    struct field_list done; /* fields of records; a name of SIZE_MAX ends each record */
    struct buf done_text;
    size_t next; /* in done */
    struct xml_field *shown;
    size_t shown_capacity;
    struct error *err; /* during a feed */
    int rc;
};

#define END_OF_RECORD SIZE_MAX

static void stop(struct xml_records *r, int code, const char *what)
{
    if (r->rc == 0) {
        r->rc = error_set(r->err, code, "XML: %s at line %lu", what,
                          (unsigned long)XML_GetCurrentLineNumber(r->parser));
        XML_StopParser(r->parser, XML_FALSE);
    }
}

static void push_field(struct field_list *fields, size_t name, size_t value, size_t value_size)
{
    if (fields->count == fields->capacity) {
        fields->capacity = fields->capacity == 0 ? 64 : fields->capacity * 2;
        fields->list = xrealloc(fields->list, fields->capacity * sizeof *fields->list);
    }
    fields->list[fields->count++] = (struct text_field){name, value, value_size};
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_records *r = context;
    (void)attributes;
    if (r->rc != 0) {
        return;
    }
    if (r->depth == XML_RECORDS_MAX_DEPTH) {
        stop(r, ERROR_LIMIT, "too many levels");
        return;
    }
    if (r->depth > 0) {
        struct frame *parent = &r->frames[r->depth - 1];
        parent->has_children = true;
        r->text.size = parent->text_kept; /* what stands between elements */
    }
    const char *colon = strchr(name, ':');
    const char *local = colon == NULL ? name : colon + 1;
    struct frame *frame = &r->frames[r->depth++];
    *frame = (struct frame){.field_count = r->fields.count, .text_size = r->text.size};
    if (buf_add(&r->text, local, strlen(local) + 1) != 0) {
        stop(r, ERROR_LIMIT, "text too large");
    }
    frame->text_kept = r->text.size;
}

static void on_text(void *context, const XML_Char *text, int size)
{
    struct xml_records *r = context;
    if (r->rc == 0 && r->depth > 0 && buf_add(&r->text, text, (size_t)size) != 0) {
        stop(r, ERROR_LIMIT, "text too large");
    }
}

static bool is_record(const struct xml_records *r, size_t first)
{
    for (size_t i = first; i < r->fields.count; i++) {
        for (size_t h = 0; h < r->having_count; h++) {
            if (strcmp(r->text.data + r->fields.list[i].name, r->having[h]) == 0) {
                return true;
            }
        }
    }
    return false;
}

static size_t copy_out(struct xml_records *r, const char *text, size_t size)
{
    size_t at = r->done_text.size;
    if (buf_add(&r->done_text, text, size) != 0 || buf_add_char(&r->done_text, '\0') != 0) {
        stop(r, ERROR_LIMIT, "too many records in one piece");
    }
    return at;
}

static void keep_record(struct xml_records *r, size_t first)
{
    for (size_t i = first; i < r->fields.count && r->rc == 0; i++) {
        const struct text_field *field = &r->fields.list[i];
        const char *name = r->text.data + field->name;
        size_t name_at = copy_out(r, name, strlen(name));
        size_t value_at = copy_out(r, r->text.data + field->value, field->value_size);
        push_field(&r->done, name_at, value_at, field->value_size);
    }
    push_field(&r->done, END_OF_RECORD, 0, 0);
}

static void on_end(void *context, const XML_Char *name)
{
    struct xml_records *r = context;
    (void)name;
    if (r->rc != 0) {
        return;
    }
    assert(r->depth > 0);
    const struct frame *frame = &r->frames[--r->depth];
    bool is_field = !frame->has_children && r->depth > 0 && r->text.size > frame->text_kept;
    if (is_field) {
        push_field(&r->fields, frame->text_size, frame->text_kept, r->text.size - frame->text_kept);
        r->frames[r->depth - 1].text_kept = r->text.size;
        return;
    }
    if (is_record(r, frame->field_count)) {
        keep_record(r, frame->field_count);
    }
    r->fields.count = frame->field_count;
    r->text.size = frame->text_size;
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    stop(context, ERROR_INVALID, "a document type is not accepted");
}

struct xml_records *xml_records_new(const char *const *having, size_t count)
{
    assert(count > 0 && count <= XML_RECORDS_MAX_HAVING);
    struct xml_records *r = xcalloc(1, sizeof *r);
    r->parser = XML_ParserCreate(NULL);
    if (r->parser == NULL) {
        free(r);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        r->having[i] = xstrdup(having[i]);
    }
    r->having_count = count;
    buf_init(&r->text, XML_RECORDS_MAX_BYTES);
    buf_init(&r->done_text, 4 * XML_RECORDS_MAX_BYTES);
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, on_start, on_end);
    XML_SetCharacterDataHandler(r->parser, on_text);
    XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
    return r;
}

void xml_records_free(struct xml_records *r)
{
    if (r == NULL) {
        return;
    }
    XML_ParserFree(r->parser);
    for (size_t i = 0; i < r->having_count; i++) {
        free(r->having[i]);
    }
    free(r->fields.list);
    free(r->done.list);
    free(r->shown);
    buf_free(&r->text);
    buf_free(&r->done_text);
    free(r);
}

int xml_records_feed(struct xml_records *r, struct bytes piece, bool is_last, struct error *err)
{
    r->err = err;
    if (r->rc != 0) {
        return error_set(err, r->rc, "XML: reading failed before");
    }
    if (r->next == r->done.count) {
        r->next = 0;
        r->done.count = 0;
        r->done_text.size = 0;
    }
    enum XML_Status status = XML_Parse(r->parser, piece.data, (int)piece.size, is_last);
    if (r->rc == 0 && status != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(r->parser);
        stop(r, code == XML_ERROR_NO_MEMORY ? ERROR_LIMIT : ERROR_INVALID, XML_ErrorString(code));
    }
    r->err = NULL;
    return r->rc;
}

bool xml_records_next(struct xml_records *r, const struct xml_field **fields_out, size_t *count_out)
{
    if (r->next == r->done.count) {
        return false;
    }
    size_t count = 0;
    for (; r->done.list[r->next].name != END_OF_RECORD; r->next++) {
        const struct text_field *field = &r->done.list[r->next];
        if (count == r->shown_capacity) {
            r->shown_capacity = r->shown_capacity == 0 ? 16 : r->shown_capacity * 2;
            r->shown = xrealloc(r->shown, r->shown_capacity * sizeof *r->shown);
        }
        r->shown[count++] = (struct xml_field){
            r->done_text.data + field->name,
            bytes_of(r->done_text.data + field->value, field->value_size),
        };
    }
    r->next++;
    *fields_out = r->shown;
    *count_out = count;
    return true;
}
