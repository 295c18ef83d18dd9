/*
 * neap.xml: small documents as plain tables.
 *
 *     local xml = require("neap.xml")
 *     local root, err = xml.parse(answer.body)
 *     local code = xml.value(root, "Body/ImportOrdersResponse/OrderCode")
 *     local text = xml.encode(xml.element("Order", {ref = "5001"}, {
 *         xml.element("Code", nil, "TS-RED-L"),
 *         xml.element("Qty", nil, 2),
 *     }), {declaration = true})
 *
 * A node is {name=, prefix=, attrs={}, text=, [1..n]=children}. Parsing goes through
 * core/base/xml_tree, so that no callback of expat ever meets Lua. Access is raw: encoding runs no
 * metamethod.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_values.h"
#include "core/api/api_xml_records.h"
#include "core/base/decimal.h"
#include "core/base/xml_tree.h"
#include "core/script/lx.h"

#define XML_TREE_MT    "neap.xml.tree"
#define XML_KEEP_BYTES ((size_t)256 << 10) /* memory kept from one parse to the next */

#define XML_DEFAULT_DEPTH 32
#define XML_DEFAULT_BYTES ((lua_Integer)16 << 20)
#define XML_DEFAULT_NODES ((lua_Integer)1000000)
#define XML_MAX_BYTES     ((size_t)64 << 20) /* of a document written */

/* ---- reading ---- */

static int tree_gc(lua_State *L)
{
    xml_tree_free(luaL_checkudata(L, 1, XML_TREE_MT));
    return 0;
}

/* Pushes the character data directly inside a node. [-0, +1] */
static void push_text(lua_State *L, const struct xml_tree *tree, const struct xml_node *node)
{
    if (node->first_run == node->last_run) {
        const struct xml_run *run = node->first_run == 0 ? NULL : &tree->runs[node->first_run - 1];
        lua_pushlstring(L, run == NULL ? "" : tree->pool.data + run->offset,
                        run == NULL ? 0 : run->size);
        return;
    }
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (size_t at = node->first_run; at != 0; at = tree->runs[at - 1].next) {
        luaL_addlstring(&text, tree->pool.data + tree->runs[at - 1].offset,
                        tree->runs[at - 1].size);
    }
    luaL_pushresult(&text);
}

/* Pushes the table of a node, without its children. [-0, +1] */
static void push_node(lua_State *L, const struct xml_tree *tree, const struct xml_node *node)
{
    lua_createtable(L, (int)node->child_count, node->prefix != XML_NO_PREFIX ? 4 : 3);
    lua_pushstring(L, xml_tree_text(tree, node->name));
    lua_setfield(L, -2, "name");
    if (node->prefix != XML_NO_PREFIX) {
        lua_pushstring(L, xml_tree_text(tree, node->prefix));
        lua_setfield(L, -2, "prefix");
    }
    push_text(L, tree, node);
    lua_setfield(L, -2, "text");
    lua_createtable(L, 0, (int)node->attribute_count);
    for (size_t i = 0; i < node->attribute_count; i++) {
        const struct xml_attribute *a = &tree->attributes[node->first_attribute + i];
        lua_pushstring(L, xml_tree_text(tree, a->value));
        lua_setfield(L, -2, xml_tree_text(tree, a->name));
    }
    lua_setfield(L, -2, "attrs");
}

/* Pushes the root with all below it: the open nodes lie on the stack, outermost first. [-0, +1] */
static void push_tree(lua_State *L, const struct xml_tree *tree)
{
    luaL_checkstack(L, XML_TREE_MAX_DEPTH + 6, "XML");
    int base = lua_gettop(L);
    for (size_t i = 0; i < tree->node_count; i++) {
        const struct xml_node *node = &tree->nodes[i];
        lua_settop(L, base + (int)node->depth);
        push_node(L, tree, node);
        if (node->depth > 0) {
            lua_pushvalue(L, -1);
            lua_rawseti(L, -3, (lua_Integer)node->position);
        }
    }
    lua_settop(L, base + 1);
}

/* xml.parse(text [, {max_depth=, max_bytes=, max_nodes=}]) -> node | nil, err.  Upvalue: a tree */
static int xml_parse(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    lx_check_keys(L, 2, "max_depth", "max_bytes", "max_nodes", NULL);
    lua_Integer max_depth = lx_opt_integer(L, 2, "max_depth", XML_DEFAULT_DEPTH, 1);
    struct xml_limits limits = {
        .max_bytes = (size_t)lx_opt_integer(L, 2, "max_bytes", XML_DEFAULT_BYTES, 1),
        .max_nodes = (size_t)lx_opt_integer(L, 2, "max_nodes", XML_DEFAULT_NODES, 1),
        .max_depth = max_depth > XML_TREE_MAX_DEPTH ? XML_TREE_MAX_DEPTH : (unsigned)max_depth,
    };
    struct xml_tree *tree = lua_touserdata(L, lua_upvalueindex(1));
    struct error err;
    int rc = xml_tree_parse(tree, bytes_of(text, size), &limits, &err);
    if (rc != 0) {
        xml_tree_trim(tree, XML_KEEP_BYTES);
        return lx_push_error(L, &err);
    }
    push_tree(L, tree);
    xml_tree_trim(tree, XML_KEEP_BYTES);
    return 1;
}

/* ---- walking ---- */

/* Whether the node at the top is an element of this name. A name may carry its prefix. [-0, +0] */
static bool has_name(lua_State *L, const char *name, size_t size)
{
    if (!lua_istable(L, -1)) {
        return false;
    }
    lua_pushliteral(L, "name");
    lua_rawget(L, -2);
    size_t own_size = 0;
    const char *own = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &own_size) : NULL;
    bool is_same = own != NULL && own_size == size && memcmp(own, name, size) == 0;
    lua_pop(L, 1);
    return is_same;
}

/* Pushes the first child of the table at idx with this name, or nil. [-0, +1] */
static bool push_child(lua_State *L, int idx, const char *name, size_t size)
{
    idx = lua_absindex(L, idx);
    size_t count = lua_rawlen(L, idx);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, idx, (lua_Integer)i);
        if (has_name(L, name, size)) {
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    return false;
}

/* xml.child(node, name) -> first child of that name | nil */
static int xml_child(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t size = 0;
    const char *name = luaL_checklstring(L, 2, &size);
    push_child(L, 1, name, size);
    return 1;
}

/* xml.children(node [, name]) -> list of the children of that name, or of all */
static int xml_children(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t size = 0;
    const char *name = luaL_optlstring(L, 2, NULL, &size);
    lua_settop(L, 2);
    lua_newtable(L);
    size_t count = lua_rawlen(L, 1);
    lua_Integer found = 0;
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i);
        if (name == NULL || has_name(L, name, size)) {
            lua_rawseti(L, 3, ++found);
        } else {
            lua_pop(L, 1);
        }
    }
    return 1;
}

/* Whether the node at idx says xsi:nil="true". [-0, +0] */
static bool is_nil_node(lua_State *L, int idx)
{
    int height = lua_gettop(L);
    bool is_nil = false;
    lua_pushliteral(L, "attrs");
    if (lua_rawget(L, idx) == LUA_TTABLE) {
        lua_pushliteral(L, "xsi:nil");
        lua_rawget(L, -2);
        const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        is_nil = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    }
    lua_settop(L, height);
    return is_nil;
}

/* xml.value(node, "A/B/C") -> text | nil; an element that says xsi:nil="true" counts as absent */
static int xml_value(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *path = luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushvalue(L, 1); /* stack: node, path, current */
    while (*path != '\0') {
        size_t size = strcspn(path, "/");
        if (!push_child(L, 3, path, size)) {
            return 1;
        }
        lua_replace(L, 3);
        path += size;
        path += *path == '/' ? 1 : 0;
    }
    if (is_nil_node(L, 3)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushliteral(L, "text");
    lua_rawget(L, 3);
    return 1;
}

/* ---- making ---- */

/* Pushes the value at idx as text: strings, integers, booleans, decimals; else raises. [-0, +1] */
static void push_scalar(lua_State *L, int idx, const char *what)
{
    const struct decimal *d = luaL_testudata(L, idx, LX_DECIMAL_MT);
    if (d != NULL) {
        char text[DECIMAL_TEXT_SIZE];
        lua_pushlstring(L, text, decimal_format(*d, text));
    } else if (lua_type(L, idx) == LUA_TSTRING || lua_isinteger(L, idx)) {
        lua_pushvalue(L, idx);
        lua_tostring(L, -1); /* converts the copy */
    } else if (lua_isboolean(L, idx)) {
        lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false");
    } else {
        bool is_float = lua_type(L, idx) == LUA_TNUMBER;
        luaL_error(L, "xml: %s: text, integer, boolean or decimal expected, got %s", what,
                   is_float ? "a float" : luaL_typename(L, idx));
    }
}

/* Pushes a copy of the attributes at idx with their values as text. [-0, +1] */
static void push_attributes(lua_State *L, int idx)
{
    lua_newtable(L);
    if (lua_isnoneornil(L, idx)) {
        return;
    }
    luaL_checktype(L, idx, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "xml: the name of an attribute is a %s", luaL_typename(L, -2));
        }
        lua_pushvalue(L, -2);
        push_scalar(L, lua_absindex(L, -2), lua_tostring(L, -3));
        lua_rawset(L, -5); /* stack: copy, key, value */
    }
}

/* xml.element(name, attrs | nil, text | list of nodes | nil) -> node */
static int xml_element(lua_State *L)
{
    size_t size = 0;
    const char *name = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, xml_is_name(bytes_of(name, size)), 1, "not an XML name");
    lua_settop(L, 3);
    lua_newtable(L); /* stack: name, attrs, content, node */
    const char *colon = strchr(name, ':');
    if (colon != NULL) {
        lua_pushlstring(L, name, (size_t)(colon - name));
        lua_setfield(L, 4, "prefix");
    }
    lua_pushstring(L, colon == NULL ? name : colon + 1);
    lua_setfield(L, 4, "name");
    push_attributes(L, 2);
    lua_setfield(L, 4, "attrs");
    if (lua_istable(L, 3)) {
        size_t count = lua_rawlen(L, 3);
        for (size_t i = 1; i <= count; i++) {
            if (lua_rawgeti(L, 3, (lua_Integer)i) != LUA_TTABLE) {
                luaL_error(L, "xml: child %d of %s is a %s, not a node", (int)i, name,
                           luaL_typename(L, -1));
            }
            lua_rawseti(L, 4, (lua_Integer)i);
        }
        lua_pushliteral(L, "");
    } else if (lua_isnil(L, 3)) {
        lua_pushliteral(L, "");
    } else {
        push_scalar(L, 3, name);
    }
    lua_setfield(L, 4, "text");
    return 1;
}

/* ---- writing ---- */

struct xml_encoder {
    lua_State *L;
    struct buf *out;
    unsigned depth;
};

static int raise_bad_text(lua_State *L, const char *where, size_t offset)
{
    return luaL_error(L, "xml: %s holds a character XML cannot, at byte %d (see xml.clean)", where,
                      (int)offset + 1);
}

/* Pushes a raw field of the node at the top; raises when it is not of the type. [-0, +1] */
static bool push_member(struct xml_encoder *e, const char *key, int type)
{
    lua_pushstring(e->L, key);
    int own = lua_rawget(e->L, -2);
    if (own != type && own != LUA_TNIL) {
        luaL_error(e->L, "xml: node.%s is a %s, %s expected", key, lua_typename(e->L, own),
                   lua_typename(e->L, type));
    }
    return own == type;
}

/* Appends the value at the top, which is text, and pops it. */
static void write_escaped(struct xml_encoder *e, enum xml_place place, const char *where)
{
    size_t size = 0;
    const char *text = lua_tolstring(e->L, -1, &size);
    size_t bad = 0;
    if (xml_escape(e->out, bytes_of(text, size), place, &bad) == ERROR_INVALID) {
        raise_bad_text(e->L, where, bad);
    }
    lua_pop(e->L, 1);
}

/* Appends text as a CDATA section; "]]>" is divided between two. Pops it. */
static void write_cdata(struct xml_encoder *e, const char *where)
{
    size_t size = 0;
    const char *text = lua_tolstring(e->L, -1, &size);
    buf_add_str(e->out, "<![CDATA[");
    for (size_t i = 0; i < size;) {
        size_t length = xml_char_length(text + i, size - i);
        if (length == 0) {
            raise_bad_text(e->L, where, i);
        }
        if (size - i >= 3 && memcmp(text + i, "]]>", 3) == 0) {
            buf_add_str(e->out, "]]]]><![CDATA[");
            i += 2;
        } else {
            buf_add(e->out, text + i, length);
            i += length;
        }
    }
    buf_add_str(e->out, "]]>");
    lua_pop(e->L, 1);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Writes the attribute table at the top, sorted by name. [-0, +0] */
static void write_attributes(struct xml_encoder *e)
{
    lua_State *L = e->L;
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        size_t size = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &size) : NULL;
        if (name == NULL || !xml_is_name(bytes_of(name, size))) {
            luaL_error(L, "xml: \"%s\" is not the name of an attribute", name == NULL ? "?" : name);
        }
        count++;
    }
    if (count == 0) {
        return;
    }
    const char **names = lua_newuserdatauv(L, count * sizeof(*names), 0);
    size_t i = 0;
    for (lua_pushnil(L); lua_next(L, -3) != 0; lua_pop(L, 1)) {
        names[i++] = lua_tostring(L, -2);
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        lua_rawget(L, -3);
        push_scalar(L, lua_absindex(L, -1), names[i]);
        lua_replace(L, -2);
        buf_add_char(e->out, ' ');
        buf_add_str(e->out, names[i]);
        buf_add_str(e->out, "=\"");
        write_escaped(e, XML_IN_ATTRIBUTE, names[i]);
        buf_add_char(e->out, '"');
    }
    lua_pop(L, 1);
}

/* Pushes "prefix:name" of the node at the top and returns it. [-0, +1] */
static const char *push_full_name(struct xml_encoder *e)
{
    lua_State *L = e->L;
    if (!push_member(e, "name", LUA_TSTRING)) {
        luaL_error(L, "xml: a node without a name");
    }
    lua_insert(L, -2); /* stack: name, node */
    bool has_prefix = push_member(e, "prefix", LUA_TSTRING);
    lua_insert(L, -3); /* stack: prefix, name, node */
    lua_insert(L, -3); /* stack: node, prefix, name */
    if (has_prefix) {
        lua_pushliteral(L, ":");
        lua_insert(L, -2);
        lua_concat(L, 3);
    } else {
        lua_remove(L, -2);
    }
    size_t size = 0;
    const char *name = lua_tolstring(L, -1, &size);
    if (!xml_is_name(bytes_of(name, size))) {
        luaL_error(L, "xml: \"%s\" is not an XML name", name);
    }
    return name;
}

static void write_node(struct xml_encoder *e);

/* Writes text and children of the node at the top. [-0, +0] */
static void write_content(struct xml_encoder *e, const char *name, size_t count)
{
    lua_State *L = e->L;
    lua_pushliteral(L, "cdata");
    lua_rawget(L, -2);
    bool is_cdata = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    lua_pushliteral(L, "text");
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
    } else {
        push_scalar(L, lua_absindex(L, -1), name);
        lua_replace(L, -2);
        if (is_cdata) {
            write_cdata(e, name);
        } else {
            write_escaped(e, XML_IN_TEXT, name);
        }
    }
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        write_node(e);
        lua_pop(L, 1);
    }
}

static bool is_empty_node(lua_State *L, size_t child_count)
{
    lua_pushliteral(L, "text");
    int type = lua_rawget(L, -2);
    bool is_empty =
        child_count == 0 && (type == LUA_TNIL || (type == LUA_TSTRING && lua_rawlen(L, -1) == 0));
    lua_pop(L, 1);
    return is_empty;
}

/* Writes the node at the top. [-0, +0] */
static void write_node(struct xml_encoder *e)
{
    lua_State *L = e->L;
    if (!lua_istable(L, -1)) {
        luaL_error(L, "xml: a node is a table, got %s", luaL_typename(L, -1));
    }
    if (e->depth == XML_TREE_MAX_DEPTH) {
        luaL_error(L, "xml: too many levels, or a node that contains itself");
    }
    luaL_checkstack(L, 12, "XML");
    e->depth++;
    const char *name = push_full_name(e);
    lua_insert(L, -2); /* stack: name, node */
    buf_add_char(e->out, '<');
    buf_add_str(e->out, name);
    if (push_member(e, "attrs", LUA_TTABLE)) {
        write_attributes(e);
    }
    lua_pop(L, 1);
    size_t count = lua_rawlen(L, -1);
    if (is_empty_node(L, count)) {
        buf_add_str(e->out, "/>");
    } else {
        buf_add_char(e->out, '>');
        write_content(e, name, count);
        buf_add_str(e->out, "</");
        buf_add_str(e->out, name);
        buf_add_char(e->out, '>');
    }
    lua_remove(L, -2);
    e->depth--;
}

/* xml.encode(node [, {declaration=}]) -> text | nil, err (limit) */
static int xml_encode(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lx_check_keys(L, 2, "declaration", NULL);
    bool has_declaration = lx_opt_boolean(L, 2, "declaration", false);
    lua_settop(L, 1);
    struct buf *out = lx_new_buf(L, XML_MAX_BYTES);
    lua_insert(L, 1);
    if (has_declaration) {
        buf_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    }
    struct xml_encoder e = {L, out, 0};
    write_node(&e);
    if (out->has_failed) {
        return lx_fail(L, ERROR_LIMIT, "XML: more than %zu bytes", XML_MAX_BYTES);
    }
    lua_pushlstring(L, out->data, out->size);
    buf_free(out);
    return 1;
}

/* xml.escape(text) -> text fit for element content and attributes in double quotes */
static int xml_escape_text(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    struct buf *out = lx_new_buf(L, XML_MAX_BYTES);
    size_t bad = 0;
    int rc = xml_escape(out, bytes_of(text, size), XML_IN_ATTRIBUTE, &bad);
    if (rc == ERROR_INVALID) {
        return raise_bad_text(L, "the text", bad);
    }
    if (rc != 0) {
        return lx_fail(L, rc, "XML: more than %zu bytes", XML_MAX_BYTES);
    }
    lua_pushlstring(L, buf_text(out), out->size);
    buf_free(out);
    return 1;
}

/* xml.clean(text) -> text without what XML cannot hold, number of bytes dropped */
static int xml_clean(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    size_t clean = xml_clean_length(text, size);
    if (clean == size) {
        lua_settop(L, 1);
        lua_pushinteger(L, 0);
        return 2;
    }
    luaL_Buffer kept;
    char *to = luaL_buffinitsize(L, &kept, size);
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        clean = xml_clean_length(text + i, size - i);
        memcpy(to + used, text + i, clean);
        used += clean;
        i += clean + 1; /* a byte that is dropped, or the end */
    }
    luaL_pushresultsize(&kept, used);
    lua_pushinteger(L, (lua_Integer)(size - used));
    return 2;
}

int luaopen_neap_xml(lua_State *L)
{
    static const luaL_Reg tree_metamethods[] = {
        {"__gc", tree_gc}, {"__close", tree_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"encode", xml_encode},     {"element", xml_element},      {"child", xml_child},
        {"children", xml_children}, {"value", xml_value},          {"escape", xml_escape_text},
        {"clean", xml_clean},       {"records", xml_records_make}, {NULL, NULL},
    };
    lx_new_type(L, XML_TREE_MT, tree_metamethods, NULL);
    xml_records_open(L);
    luaL_newlib(L, functions);
    struct xml_tree *tree = lua_newuserdatauv(L, sizeof(*tree), 0);
    memset(tree, 0, sizeof(*tree));
    luaL_setmetatable(L, XML_TREE_MT);
    lua_pushcclosure(L, xml_parse, 1);
    lua_setfield(L, -2, "parse");
    return 1;
}
