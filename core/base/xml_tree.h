/*
 * XML text into a flat tree, and one escaper for the way back.
 *
 * Nodes are elements in document order with their depth (the root has 0). A document type, and with
 * it every entity but the five of XML, is refused. Prefixes are kept as written and not resolved.
 */
#ifndef NEAP_CORE_BASE_XML_TREE_H
#define NEAP_CORE_BASE_XML_TREE_H

#include "core/base/buf.h"

#define XML_TREE_MAX_DEPTH 256 /* no caller may ask for more levels */

struct xml_limits {
    size_t max_bytes;
    size_t max_nodes; /* elements and attributes together */
    unsigned max_depth;
};

/* Names and values are offsets of NUL-terminated text in `pool` (XML holds no NUL). */
struct xml_attribute {
    size_t name; /* as written, prefix included; declarations of prefixes are left out */
    size_t value;
};

/* Character data directly inside an element comes in runs, broken by its children. */
struct xml_run {
    size_t offset; /* in pool, not terminated */
    size_t size;
    size_t next; /* index + 1 of the next run of the same element, 0 when it is the last */
};

struct xml_node {
    size_t name;            /* the local name */
    size_t prefix;          /* XML_NO_PREFIX when there is none */
    size_t first_attribute; /* they lie in a row */
    size_t attribute_count;
    size_t first_run; /* index + 1, 0 when there is none */
    size_t last_run;
    size_t child_count;
    size_t position; /* among the children of its parent, from 1 */
    unsigned depth;
};

#define XML_NO_PREFIX ((size_t)-1)

/* Owned by the caller; zero it before the first use. It may be filled again and again: memory and
 * parser stay. */
struct xml_tree {
    void *parser;
    struct buf pool;
    struct xml_node *nodes;
    size_t node_count;
    size_t node_capacity;
    struct xml_attribute *attributes;
    size_t attribute_count;
    size_t attribute_capacity;
    struct xml_run *runs;
    size_t run_count;
    size_t run_capacity;
};

/*
 * Fills the tree anew; free it in the end, also after a failure. Returns 0, or ERROR_INVALID or
 * ERROR_LIMIT with the line in the message. Encodings: those expat knows by itself (UTF-8, UTF-16,
 * ISO-8859-1, ASCII).
 */
int xml_tree_parse(struct xml_tree *tree, struct bytes text, const struct xml_limits *limits,
                   struct error *err) NEAP_MUST_USE;

void xml_tree_free(struct xml_tree *tree); /* may be called again */
/* Frees the memory when it is more than this. */
void xml_tree_trim(struct xml_tree *tree, size_t keep_bytes);

/* The NUL-terminated text at an offset. */
const char *xml_tree_text(const struct xml_tree *tree, size_t offset);

enum xml_place {
    XML_IN_TEXT,
    XML_IN_ATTRIBUTE,
};

/*
 * Appends text with the characters escaped that mean something in that place. Returns 0,
 * ERROR_INVALID at the first character XML 1.0 cannot hold (*bad_out is its offset), or
 * ERROR_LIMIT.
 */
int xml_escape(struct buf *out, struct bytes text, enum xml_place place,
               size_t *bad_out) NEAP_MUST_USE;

/* Length of the sequence at s when XML 1.0 can hold that character, else 0. */
size_t xml_char_length(const char *s, size_t left);
/* How many bytes from s on XML can hold, up to the first that it cannot. */
size_t xml_clean_length(const char *s, size_t left);

/* Whether name can be written as an element or attribute name, with at most one prefix. */
bool xml_is_name(struct bytes name);

#endif
