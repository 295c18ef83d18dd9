/*
 * The tree is filled by expat's callbacks. The first failure is kept in the parse state and the
 * parser stopped; callbacks that still arrive after that do nothing.
 */
#include "core/base/xml_tree.h"

#include <assert.h>
#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

/* Bytes given to expat at a time; its interface counts in int. */
#define XML_SLICE_BYTES ((size_t)1 << 20)

struct xml_parse {
    XML_Parser parser;
    struct xml_tree *tree;
    const struct xml_limits *limits;
    struct error *err;
    size_t open[XML_TREE_MAX_DEPTH]; /* indexes of the open elements */
    unsigned depth;
    int rc;
};

static void stop(struct xml_parse *p, int code, const char *what)
{
    if (p->rc == 0) {
        p->rc = error_set(p->err, code, "XML: %s at line %lu", what,
                          (unsigned long)XML_GetCurrentLineNumber(p->parser));
        XML_StopParser(p->parser, XML_FALSE);
    }
}

/* Makes room for one more item of an array; false when memory is out. */
static bool grow(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity) {
        return true;
    }
    size_t larger = *capacity == 0 ? 32 : *capacity * 2;
    void *grown = larger > SIZE_MAX / item_size ? NULL : realloc(*items, larger * item_size);
    if (grown == NULL) {
        return false;
    }
    *items = grown;
    *capacity = larger;
    return true;
}

/* Adds NUL-terminated text to the pool and gives its offset. */
static size_t keep(struct xml_parse *p, const char *text, size_t size)
{
    struct buf *pool = &p->tree->pool;
    size_t offset = pool->size;
    if (buf_add(pool, text, size) != 0 || buf_add_char(pool, '\0') != 0) {
        stop(p, ERROR_LIMIT, "text too large");
        return 0;
    }
    return offset;
}

static bool is_declaration(const char *name)
{
    return strncmp(name, "xmlns", 5) == 0 && (name[5] == '\0' || name[5] == ':');
}

static void add_attribute(struct xml_parse *p, const char *name, const char *value)
{
    struct xml_tree *t = p->tree;
    void *items = t->attributes;
    bool has_room =
        grow(&items, t->attribute_count, &t->attribute_capacity, sizeof(*t->attributes));
    t->attributes = items;
    if (!has_room || t->node_count + t->attribute_count >= p->limits->max_nodes) {
        stop(p, ERROR_LIMIT, "too many elements and attributes");
        return;
    }
    struct xml_attribute *attribute = &t->attributes[t->attribute_count++];
    attribute->name = keep(p, name, strlen(name));
    attribute->value = keep(p, value, strlen(value));
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct xml_parse *p = context;
    struct xml_tree *t = p->tree;
    if (p->rc != 0) {
        return;
    }
    if (p->depth >= p->limits->max_depth || p->depth >= XML_TREE_MAX_DEPTH) {
        stop(p, ERROR_LIMIT, "too many levels");
        return;
    }
    void *items = t->nodes;
    bool has_room = grow(&items, t->node_count, &t->node_capacity, sizeof(*t->nodes));
    t->nodes = items;
    if (!has_room || t->node_count + t->attribute_count >= p->limits->max_nodes) {
        stop(p, ERROR_LIMIT, "too many elements and attributes");
        return;
    }
    size_t index = t->node_count++;
    struct xml_node *node = &t->nodes[index];
    memset(node, 0, sizeof(*node));
    node->depth = p->depth;
    if (p->depth > 0) {
        node->position = ++t->nodes[p->open[p->depth - 1]].child_count;
    }
    const char *colon = strchr(name, ':');
    node->prefix = colon == NULL ? XML_NO_PREFIX : keep(p, name, (size_t)(colon - name));
    const char *local = colon == NULL ? name : colon + 1;
    node->name = keep(p, local, strlen(local));
    node->first_attribute = t->attribute_count;
    for (; attributes[0] != NULL && p->rc == 0; attributes += 2) {
        if (!is_declaration(attributes[0])) {
            add_attribute(p, attributes[0], attributes[1]);
        }
    }
    node->attribute_count = t->attribute_count - node->first_attribute;
    p->open[p->depth++] = index;
}

static void on_end(void *context, const XML_Char *name)
{
    struct xml_parse *p = context;
    (void)name;
    if (p->rc == 0) {
        p->depth--;
    }
}

static void on_text(void *context, const XML_Char *text, int size)
{
    struct xml_parse *p = context;
    struct xml_tree *t = p->tree;
    if (p->rc != 0 || p->depth == 0) {
        return;
    }
    struct xml_node *node = &t->nodes[p->open[p->depth - 1]];
    size_t offset = t->pool.size;
    if (buf_add(&t->pool, text, (size_t)size) != 0) {
        stop(p, ERROR_LIMIT, "text too large");
        return;
    }
    struct xml_run *last = node->last_run == 0 ? NULL : &t->runs[node->last_run - 1];
    if (last != NULL && last->offset + last->size == offset) {
        last->size += (size_t)size;
        return;
    }
    void *items = t->runs;
    bool has_room = grow(&items, t->run_count, &t->run_capacity, sizeof(*t->runs));
    t->runs = items;
    if (!has_room) {
        stop(p, ERROR_LIMIT, "out of memory");
        return;
    }
    assert(t->runs != NULL);
    t->runs[t->run_count++] = (struct xml_run){offset, (size_t)size, 0};
    if (node->last_run == 0) {
        node->first_run = t->run_count;
    } else {
        t->runs[node->last_run - 1].next = t->run_count;
    }
    node->last_run = t->run_count;
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

static int feed(struct xml_parse *p, struct bytes text)
{
    size_t offset = 0;
    do {
        size_t left = text.size - offset;
        size_t size = left < XML_SLICE_BYTES ? left : XML_SLICE_BYTES;
        bool is_last = size == left;
        enum XML_Status status = XML_Parse(p->parser, text.data + offset, (int)size, is_last);
        if (p->rc != 0) {
            return p->rc;
        }
        if (status != XML_STATUS_OK) {
            enum XML_Error code = XML_GetErrorCode(p->parser);
            stop(p, code == XML_ERROR_NO_MEMORY ? ERROR_LIMIT : ERROR_INVALID,
                 XML_ErrorString(code));
            return p->rc;
        }
        offset += size;
    } while (offset < text.size);
    return 0;
}

static void empty(struct xml_tree *tree)
{
    buf_reset(&tree->pool);
    tree->node_count = 0;
    tree->attribute_count = 0;
    tree->run_count = 0;
}

int xml_tree_parse(struct xml_tree *tree, struct bytes text, const struct xml_limits *limits,
                   struct error *err)
{
    if (text.size > limits->max_bytes) {
        return error_set(err, ERROR_LIMIT, "XML: %zu bytes, at most %zu allowed", text.size,
                         limits->max_bytes);
    }
    empty(tree);
    tree->pool.max = text.size * 4 + 64;
    bool has_parser = tree->parser == NULL ? (tree->parser = XML_ParserCreate(NULL)) != NULL
                                           : XML_ParserReset(tree->parser, NULL) == XML_TRUE;
    if (!has_parser) {
        return error_set(err, ERROR_LIMIT, "XML: out of memory");
    }
    struct xml_parse p = {.parser = tree->parser, .tree = tree, .limits = limits, .err = err};
    XML_SetUserData(p.parser, &p);
    XML_SetElementHandler(p.parser, on_start, on_end);
    XML_SetCharacterDataHandler(p.parser, on_text);
    XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
    return feed(&p, text);
}

void xml_tree_free(struct xml_tree *tree)
{
    if (tree->parser != NULL) {
        XML_ParserFree(tree->parser);
    }
    buf_free(&tree->pool);
    free(tree->nodes);
    free(tree->attributes);
    free(tree->runs);
    memset(tree, 0, sizeof(*tree));
}

void xml_tree_trim(struct xml_tree *tree, size_t keep_bytes)
{
    size_t bytes = tree->pool.capacity + tree->node_capacity * sizeof(*tree->nodes) +
                   tree->attribute_capacity * sizeof(*tree->attributes) +
                   tree->run_capacity * sizeof(*tree->runs);
    if (bytes > keep_bytes) {
        xml_tree_free(tree); /* the parser's buffers have grown as well */
    }
}

const char *xml_tree_text(const struct xml_tree *tree, size_t offset)
{
    return tree->pool.data + offset;
}

/* ---- writing ---- */

/* Bytes at s that every place takes as they are: printable ASCII without markup. */
static size_t plain_length(const char *s, size_t left)
{
    size_t i = 0;
    while (i < left && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '&' && s[i] != '<' && s[i] != '>' &&
           s[i] != '"') {
        i++;
    }
    return i;
}

size_t xml_char_length(const char *s, size_t left)
{
    size_t length = utf8_length(s, left);
    if (length == 1) {
        unsigned char c = (unsigned char)s[0];
        return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' ? 1 : 0;
    }
    if (length == 3) {
        uint32_t code = utf8_code_point(s, length);
        return code == 0xfffe || code == 0xffff ? 0 : 3;
    }
    return length;
}

/* What stands for c, NULL for c itself. A literal CR, and TAB and LF in attributes, would not
 * survive. */
static const char *escape_of(char c, enum xml_place place)
{
    bool is_attribute = place == XML_IN_ATTRIBUTE;
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\r':
        return "&#13;";
    case '\n':
        return is_attribute ? "&#10;" : NULL;
    case '\t':
        return is_attribute ? "&#9;" : NULL;
    default:
        return NULL;
    }
}

int xml_escape(struct buf *out, struct bytes text, enum xml_place place, size_t *bad_out)
{
    size_t plain = 0;
    for (size_t i = 0; i < text.size;) {
        i += plain_length(text.data + i, text.size - i);
        if (i == text.size) {
            break;
        }
        size_t length = xml_char_length(text.data + i, text.size - i);
        if (length == 0) {
            *bad_out = i;
            return ERROR_INVALID;
        }
        const char *escape = length == 1 ? escape_of(text.data[i], place) : NULL;
        if (escape != NULL) {
            buf_add(out, text.data + plain, i - plain);
            buf_add_str(out, escape);
            plain = i + 1;
        }
        i += length;
    }
    return buf_add(out, text.data + plain, text.size - plain);
}

static bool is_name_char(unsigned char c, bool is_first)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
    return is_letter || (!is_first && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
}

bool xml_is_name(struct bytes name)
{
    bool is_first = true;
    bool has_prefix = false;
    for (size_t i = 0; i < name.size;) {
        size_t length = xml_char_length(name.data + i, name.size - i);
        if (length == 0) {
            return false;
        }
        if (name.data[i] == ':' && !is_first && !has_prefix) {
            has_prefix = true;
            is_first = true;
        } else if (is_name_char((unsigned char)name.data[i], is_first)) {
            is_first = false;
        } else {
            return false;
        }
        i += length;
    }
    return !is_first;
}

size_t xml_clean_length(const char *s, size_t left)
{
    size_t i = 0;
    while (i < left) {
        size_t length = s[i] >= 0x20 && s[i] < 0x7f ? 1 : xml_char_length(s + i, left - i);
        if (length == 0) {
            break;
        }
        i += length;
    }
    return i;
}
