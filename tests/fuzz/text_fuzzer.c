/*
 * The small codecs: what base64, hex, JSON texts and XML escaping write is read back as it was, and
 * what they accept is what they would write themselves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/utf8.h"
#include "core/base/xalloc.h"
#include "core/base/xml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

static void check_base64(struct bytes text)
{
    size_t size = base64_encoded_size(text.size);
    char *coded = xmalloc(size + 1);
    char *back = xmalloc(size + 4);
    size_t got = 0;
    base64_encode(text, coded);
    need(base64_decode(bytes_of(coded, size), back, &got) == 0);
    need(bytes_equal(bytes_of(back, got), text));
    free(coded);
    free(back);
    char *taken = xmalloc(text.size + 4);
    if (base64_decode(text, taken, &got) == 0) {
        char *again = xmalloc(base64_encoded_size(got) + 1);
        base64_encode(bytes_of(taken, got), again);
        need(bytes_equal(bytes_of(again, base64_encoded_size(got)), text));
        free(again);
    }
    free(taken);
}

static void check_hex(struct bytes text)
{
    char *coded = xmalloc(text.size * 2 + 1);
    char *back = xmalloc(text.size + 1);
    hex_encode(text, coded);
    need(hex_decode(bytes_of(coded, text.size * 2), back) == 0);
    need(memcmp(back, text.data, text.size) == 0);
    int rc = hex_decode(text, coded);
    need(rc == 0 || rc == ERROR_INVALID);
    free(coded);
    free(back);
}

static bool is_utf8(struct bytes text)
{
    for (size_t at = 0; at < text.size;) {
        size_t length = utf8_length(text.data + at, text.size - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

static void check_json(struct bytes text)
{
    struct buf out;
    struct buf back;
    struct json_writer w;
    struct bytes value;
    buf_init(&out, text.size * 8 + 64);
    buf_init(&back, text.size * 4 + 64);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_member_bytes(&w, "a", text);
    json_member_int(&w, "b", INT64_MIN);
    json_object_end(&w);
    need(!out.has_failed);
    need(json_find(buf_bytes(&out), "a", &value) && json_text(value, &back));
    need(!is_utf8(text) || bytes_equal(buf_bytes(&back), text));
    int64_t number = 0;
    need(json_find(buf_bytes(&out), "b", &value) && json_integer(value, &number));
    need(number == INT64_MIN);
    buf_reset(&back);
    /* And as text that claims to be our own. */
    if (json_find(text, "a", &value)) {
        (void)json_text(value, &back);
        (void)json_integer(value, &number);
    }
    struct bytes name;
    struct bytes rest = text;
    while (json_member(&rest, &name, &value)) {
        need(name.data >= text.data && name.data + name.size <= value.data);
        need(value.data + value.size <= text.data + text.size);
    }
    rest = text;
    while (json_next(&rest, &value)) {
        need(value.data >= text.data && value.data + value.size <= text.data + text.size);
    }
    buf_free(&out);
    buf_free(&back);
}

static void check_xml(struct bytes text)
{
    struct buf out;
    size_t bad = 0;
    buf_init(&out, text.size * 8 + 64);
    buf_add_str(&out, "<a b=\"");
    int rc = xml_escape(&out, text, XML_IN_ATTRIBUTE, &bad);
    buf_add_str(&out, "\"/>");
    if (rc == 0 && is_utf8(text)) {
        struct xml_tree tree = {0};
        struct error err;
        const struct xml_limits limits = {out.size + 1, 10, 4};
        need(xml_tree_parse(&tree, buf_bytes(&out), &limits, &err) == 0);
        const char *value = xml_tree_text(&tree, tree.attributes[0].value);
        need(bytes_equal(bytes_str(value), text));
        xml_tree_free(&tree);
    } else {
        need(rc == 0 || rc == ERROR_INVALID || rc == ERROR_LIMIT);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    struct bytes text = bytes_of(copy, size);
    check_base64(text);
    check_hex(text);
    check_json(text);
    check_xml(text);
    free(copy);
    return 0;
}
