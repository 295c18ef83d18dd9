/* See soap_operation.h. The parameters are not read: their text is escaped, so the first end tag of
 * the operation's own name must be its end, and the envelope's ends must follow. */
#include "core/net/soap_operation.h"

#include <ctype.h>
#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && isspace((unsigned char)*c->at)) {
        c->at++;
    }
}

static bool take(struct cursor *c, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, text, size) != 0) {
        return false;
    }
    c->at += size;
    return true;
}

/* Read in another encoding, the same bytes may be another text. */
static bool take_encoding(struct cursor *c)
{
    skip_blanks(c);
    if (!take(c, "=")) {
        return false;
    }
    skip_blanks(c);
    return take(c, "\"UTF-8\"") || take(c, "\"utf-8\"") || take(c, "'UTF-8'") || take(c, "'utf-8'");
}

static bool take_declaration(struct cursor *c)
{
    if (!take(c, "<?xml ")) {
        return true;
    }
    while (c->at < c->end && *c->at != '<' && *c->at != '?') {
        if (!take(c, "encoding")) {
            c->at++;
        } else if (!take_encoding(c)) {
            return false;
        }
    }
    return take(c, "?>");
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == ':' || c == '-' || c == '_' || c == '.';
}

/* To behind the start tag's ">"; attributes in double quotes, without "<". */
static bool take_attributes(struct cursor *c)
{
    bool is_quoted = false;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            is_quoted = !is_quoted;
        } else if (*c->at == '<' || *c->at == '\'' || (!is_quoted && *c->at == '/')) {
            return false;
        } else if (!is_quoted && *c->at == '>') {
            c->at++;
            return true;
        }
    }
    return false;
}

/* A start tag that is not empty: its whole name, prefix included. */
static bool take_start(struct cursor *c, struct bytes *name_out)
{
    if (!take(c, "<")) {
        return false;
    }
    const char *name = c->at;
    while (c->at < c->end && is_name_char(*c->at)) {
        c->at++;
    }
    *name_out = bytes_of(name, (size_t)(c->at - name));
    bool is_apart = c->at < c->end && (*c->at == '>' || isspace((unsigned char)*c->at));
    return name_out->size > 0 && is_apart && take_attributes(c);
}

static struct bytes local_name(struct bytes name)
{
    const char *colon = memchr(name.data, ':', name.size);
    if (colon == NULL) {
        return name;
    }
    return bytes_of(colon + 1, name.size - (size_t)(colon + 1 - name.data));
}

static bool is_called(struct bytes name, const char *wanted)
{
    struct bytes local = local_name(name);
    return local.size == strlen(wanted) && memcmp(local.data, wanted, local.size) == 0;
}

static bool take_end(struct cursor *c, struct bytes name)
{
    bool is_there = take(c, "</") && (size_t)(c->end - c->at) > name.size &&
                    memcmp(c->at, name.data, name.size) == 0;
    if (!is_there) {
        return false;
    }
    c->at += name.size;
    skip_blanks(c);
    return take(c, ">");
}

/* To the first end tag of this name; markup that could hide one is refused. */
static bool skip_content(struct cursor *c, struct bytes name)
{
    for (; c->at < c->end; c->at++) {
        if (*c->at != '<') {
            continue;
        }
        char next = c->at + 1 < c->end ? c->at[1] : '\0';
        if (next == '!' || next == '?') {
            return false;
        }
        struct cursor end = *c;
        if (next == '/' && take_end(&end, name)) {
            return true;
        }
    }
    return false;
}

bool soap_operation(struct bytes text, struct bytes *name_out)
{
    struct cursor c = {text.data, text.data + text.size};
    struct bytes envelope = {NULL, 0};
    struct bytes body = {NULL, 0};
    struct bytes name = {NULL, 0};
    if (text.data == NULL || !take_declaration(&c)) {
        return false;
    }
    skip_blanks(&c);
    if (!take_start(&c, &envelope) || !is_called(envelope, "Envelope")) {
        return false;
    }
    skip_blanks(&c);
    if (!take_start(&c, &body) || !is_called(body, "Body")) {
        return false;
    }
    skip_blanks(&c);
    if (!take_start(&c, &name) || !skip_content(&c, name) || !take_end(&c, name)) {
        return false;
    }
    skip_blanks(&c);
    if (!take_end(&c, body)) {
        return false;
    }
    skip_blanks(&c);
    if (!take_end(&c, envelope)) {
        return false;
    }
    skip_blanks(&c);
    *name_out = local_name(name);
    return c.at == c.end;
}
