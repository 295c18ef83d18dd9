/*
 * A walk along the path, one part at a time: find the part among the entries of the table at hand,
 * go to its value, and if that is a name or a require, to the table behind it. Everything else is
 * skipped by counting brackets and block words outside of strings and comments.
 */
#include "core/script/source_place.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/xalloc.h"

#define SOURCE_MAX_BYTES (1u << 20)
#define PART_MAX         200
#define HOPS_MAX         16 /* names and requires from one table to the next */
#define PREFIX           "client.lua: "

struct source {
    const char *folder;
    char *file; /* relative to folder */
    char *text; /* NUL-terminated */
    size_t at;
    /* The best place so far. */
    char *found_file;
    size_t found_line;
};

/* ---- Reading
 * -------------------------------------------------------------------------------------- */

/* Replaces the text; false (nothing changed) when there is no such file. */
static bool open_file(struct source *s, const char *file)
{
    char *path = xasprintf("%s/%s", s->folder, file);
    FILE *in = fopen(path, "rb");
    free(path);
    if (in == NULL) {
        return false;
    }
    struct buf text;
    buf_init(&text, SOURCE_MAX_BYTES);
    char block[4096];
    size_t got = 0;
    while ((got = fread(block, 1, sizeof(block), in)) > 0 && buf_add(&text, block, got) == 0) {
    }
    fclose(in);
    buf_add_char(&text, '\n');
    free(s->text);
    free(s->file);
    s->text = xstrdup(buf_text(&text));
    s->file = xstrdup(file);
    s->at = 0;
    buf_free(&text);
    return true;
}

static void note_place(struct source *s, size_t at)
{
    s->found_line = 1;
    for (size_t i = 0; i < at; i++) {
        s->found_line += s->text[i] == '\n' ? 1 : 0;
    }
    free(s->found_file);
    s->found_file = xstrdup(s->file);
}

/* ---- Tokens
 * --------------------------------------------------------------------------------------- */

static char here(const struct source *s)
{
    return s->text[s->at];
}

/* The level of a long bracket that opens here ("[[": 0, "[=[": 1), or -1. */
static int long_level(const struct source *s)
{
    if (here(s) != '[') {
        return -1;
    }
    size_t size = strspn(s->text + s->at + 1, "=");
    return s->text[s->at + 1 + size] == '[' ? (int)size : -1;
}

static void skip_long(struct source *s, int level)
{
    s->at += (size_t)level + 2;
    for (; here(s) != '\0'; s->at++) {
        size_t size = here(s) == ']' ? strspn(s->text + s->at + 1, "=") : 0;
        if (here(s) == ']' && (int)size == level && s->text[s->at + 1 + size] == ']') {
            s->at += size + 2;
            return;
        }
    }
}

static void skip_quoted(struct source *s)
{
    char quote = here(s);
    for (s->at++; here(s) != '\0' && here(s) != quote; s->at++) {
        s->at += here(s) == '\\' && s->text[s->at + 1] != '\0' ? 1 : 0;
    }
    s->at += here(s) == quote ? 1 : 0;
}

static void skip_blank(struct source *s)
{
    for (;;) {
        s->at += strspn(s->text + s->at, " \t\r\n");
        if (strncmp(s->text + s->at, "--", 2) != 0) {
            return;
        }
        s->at += 2;
        if (long_level(s) >= 0) {
            skip_long(s, long_level(s));
        } else {
            s->at += strcspn(s->text + s->at, "\n");
        }
    }
}

static size_t word_size(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) != 0 || text[size] == '_') {
        size++;
    }
    return size;
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return size == strlen(word) && strncmp(text, word, size) == 0;
}

/* How a word changes the depth of blocks. */
static int block_step(const char *text, size_t size)
{
    static const char *const OPENING[] = {"function", "if", "do", "repeat"};
    for (size_t i = 0; i < sizeof(OPENING) / sizeof(OPENING[0]); i++) {
        if (is_word(text, size, OPENING[i])) {
            return 1;
        }
    }
    return is_word(text, size, "end") || is_word(text, size, "until") ? -1 : 0;
}

/* Over one token; returns how it changes the depth. */
static int skip_token(struct source *s)
{
    char c = here(s);
    size_t size = word_size(s->text + s->at);
    if (size > 0) {
        int step = block_step(s->text + s->at, size);
        s->at += size;
        return step;
    }
    if (c == '"' || c == '\'') {
        skip_quoted(s);
        return 0;
    }
    if (long_level(s) >= 0) {
        skip_long(s, long_level(s));
        return 0;
    }
    s->at++;
    return c == '{' || c == '(' || c == '[' ? 1 : c == '}' || c == ')' || c == ']' ? -1 : 0;
}

/* To the end of the value that begins here: before ",", ";" or the "}" of the table around. */
static void skip_value(struct source *s)
{
    int depth = 0;
    for (skip_blank(s); here(s) != '\0'; skip_blank(s)) {
        if (depth == 0 && strchr(",;}", here(s)) != NULL) {
            return;
        }
        depth += skip_token(s);
    }
}

/* Over the quoted text here, its content into out (escapes as written); false when there is none.
 */
static bool read_quoted(struct source *s, char out[PART_MAX])
{
    if (here(s) != '"' && here(s) != '\'') {
        return false;
    }
    size_t start = s->at + 1;
    skip_quoted(s);
    snprintf(out, PART_MAX, "%.*s", (int)(s->at - start - 1), s->text + start);
    return true;
}

/* ---- Tables
 * --------------------------------------------------------------------------------------- */

/* To behind the first top-level `word` (return), or behind `local word =`. */
static bool find_statement(struct source *s, const char *word, size_t size, bool is_local)
{
    int depth = 0;
    s->at = 0;
    for (skip_blank(s); here(s) != '\0'; skip_blank(s)) {
        bool is_here = depth == 0 && word_size(s->text + s->at) == size &&
                       strncmp(s->text + s->at, word, size) == 0;
        if (is_here && !is_local) {
            s->at += size;
            return true;
        }
        if (depth == 0 && is_local && strncmp(s->text + s->at, "local", 5) == 0) {
            s->at += word_size(s->text + s->at);
            skip_blank(s);
            is_here =
                word_size(s->text + s->at) == size && strncmp(s->text + s->at, word, size) == 0;
            s->at += is_here ? size : 0;
            skip_blank(s);
            if (is_here && here(s) == '=') {
                s->at++;
                return true;
            }
            continue;
        }
        depth += skip_token(s);
    }
    return false;
}

/* require "a.b" and require("a.b"): opens that file of the client and goes behind its return. */
static bool follow_require(struct source *s)
{
    char name[PART_MAX];
    s->at += strlen("require");
    skip_blank(s);
    s->at += here(s) == '(' ? 1 : 0;
    skip_blank(s);
    if (!read_quoted(s, name) || strstr(name, "..") != NULL || name[0] == '/') {
        return false;
    }
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '.' ? '/' : *c;
    }
    char *file = xasprintf("%s.lua", name);
    bool is_found = open_file(s, file) && find_statement(s, "return", strlen("return"), false);
    free(file);
    return is_found;
}

/* To behind the "{" of the table that the value here is or names. */
static bool enter_table(struct source *s)
{
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        skip_blank(s);
        if (here(s) == '{') {
            s->at++;
            return true;
        }
        size_t size = word_size(s->text + s->at);
        bool is_found = false;
        if (is_word(s->text + s->at, size, "require")) {
            is_found = follow_require(s);
        } else if (size > 0) {
            char name[PART_MAX];
            snprintf(name, sizeof(name), "%.*s", (int)size, s->text + s->at);
            is_found = find_statement(s, name, strlen(name), true);
        }
        if (!is_found) {
            return false;
        }
    }
    return false;
}

/* Reads "key =" or "[key] =" into key; false (nothing read) for an entry without a key. */
static bool read_key(struct source *s, char key[PART_MAX])
{
    size_t start = s->at;
    size_t size = word_size(s->text + s->at);
    if (here(s) == '[' && long_level(s) < 0) {
        s->at++;
        skip_blank(s);
        if (!read_quoted(s, key)) {
            size = strcspn(s->text + s->at, "] \t\r\n");
            snprintf(key, PART_MAX, "%.*s", (int)size, s->text + s->at);
            s->at += size;
        }
        skip_blank(s);
        s->at += here(s) == ']' ? 1 : 0;
    } else {
        snprintf(key, PART_MAX, "%.*s", (int)size, s->text + s->at);
        s->at += size;
    }
    skip_blank(s);
    if (here(s) == '=' && s->text[s->at + 1] != '=') {
        s->at++;
        return true;
    }
    s->at = start;
    return false;
}

/* To the value of the entry `part` of the table we are in; its place is noted. */
static bool find_entry(struct source *s, const char *part)
{
    long index = 0;
    for (skip_blank(s); here(s) != '\0' && here(s) != '}'; skip_blank(s)) {
        size_t start = s->at;
        char key[PART_MAX];
        if (!read_key(s, key)) {
            snprintf(key, sizeof(key), "%ld", ++index);
        }
        if (strcmp(key, part) == 0) {
            note_place(s, start);
            return true;
        }
        skip_value(s);
        s->at += here(s) == ',' || here(s) == ';' ? 1 : 0;
    }
    return false;
}

/* ---- The path
 * ------------------------------------------------------------------------------------- */

/* The next part of "a.b[3][\"0.2\"].c: words"; NULL at the end. */
static const char *next_part(const char *path, char part[PART_MAX])
{
    path += *path == '.' ? 1 : 0;
    if (strncmp(path, "[\"", 2) == 0) {
        size_t size = strcspn(path + 2, "\"");
        snprintf(part, PART_MAX, "%.*s", (int)size, path + 2);
        path += 2 + size;
        return strncmp(path, "\"]", 2) == 0 ? path + 2 : NULL;
    }
    if (*path == '[') {
        size_t size = strcspn(path + 1, "]");
        snprintf(part, PART_MAX, "%.*s", (int)size, path + 1);
        return path[1 + size] == ']' ? path + 2 + size : NULL;
    }
    size_t size = strcspn(path, ".[: ");
    snprintf(part, PART_MAX, "%.*s", (int)size, path);
    return size == 0 ? NULL : path + size;
}

char *source_place(const char *folder, const char *message)
{
    size_t prefix = strlen(PREFIX);
    struct source s = {.folder = folder};
    if (folder == NULL || strncmp(message, PREFIX, prefix) != 0 || !open_file(&s, "client.lua")) {
        return xstrdup(message);
    }
    char part[PART_MAX];
    bool is_inside = find_statement(&s, "return", strlen("return"), false);
    for (const char *path = next_part(message + prefix, part); path != NULL && is_inside;
         path = strchr(": ", *path) != NULL ? NULL : next_part(path, part)) {
        is_inside = enter_table(&s) && find_entry(&s, part);
    }
    char *placed = s.found_file == NULL
                       ? xstrdup(message)
                       : xasprintf("%s:%zu: %s", s.found_file, s.found_line, message + prefix);
    free(s.found_file);
    free(s.file);
    free(s.text);
    return placed;
}
