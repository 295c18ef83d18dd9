/*
 * Which operation a request calls decides whether a read-only transport lets it through. What must
 * hold: where this reader sees an operation and a real XML reader accepts the text at all, both see
 * the same envelope, one body and in it that one operation.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xml_tree.h"
#include "core/net/soap_operation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of((const char *)data, size);
    struct bytes name;
    if (!soap_operation(text, &name)) {
        return 0;
    }
    need(name.size > 0 && name.data >= text.data && name.data + name.size <= text.data + text.size,
         "the name lies outside");
    struct xml_tree tree = {0};
    struct error err;
    const struct xml_limits limits = {size + 1, 1000, 100};
    if (xml_tree_parse(&tree, text, &limits, &err) == 0) {
        need(tree.node_count >= 3, "fewer elements than three");
        need(strcmp(xml_tree_text(&tree, tree.nodes[0].name), "Envelope") == 0, "no envelope");
        need(tree.nodes[0].child_count == 1, "the envelope holds more than a body");
        need(strcmp(xml_tree_text(&tree, tree.nodes[1].name), "Body") == 0, "no body");
        need(tree.nodes[1].child_count == 1, "the body holds more than one operation");
        need(bytes_equal(bytes_str(xml_tree_text(&tree, tree.nodes[2].name)), name),
             "another operation");
    }
    xml_tree_free(&tree);
    return 0;
}
