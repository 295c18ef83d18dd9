/*
 * The desk of a simulation's driver: what people do to a client, over HTTP.
 *
 *     POST http://desk.test/neap   {"words": ["order", "300001"], "reason": ...}  a verb, as JSON
 *     POST http://desk.test/edit   {"file": "mappings/tax.lua", "find": ..., "put": ...}
 *     POST http://desk.test/kill   {"ms": 60000}      kill -9 within a turn; started again then
 *     POST http://desk.test/clock  {"ms": -3600000}   the client's wall clock jumps
 *     POST http://desk.test/say    {"text": ...}      a line for whoever watches
 *     POST http://desk.test/end    {"ok": true, ...}  the day is over; the driver's books
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/cli/files.h"
#include "core/cli/simulation.h"
#include "core/ops/admin.h"

#define ANSWER_MAX (32u << 20)
#define TEXT_MAX   (1u << 20)
#define WORDS_MAX  16

/* The text of a member; "" when it is none. The caller frees it. */
static char *text_at(struct bytes json, const char *name)
{
    struct bytes value;
    struct buf text;
    buf_init(&text, TEXT_MAX);
    if (json_find(json, name, &value)) {
        (void)json_text(value, &text);
    }
    char *copy = xstrdup(buf_text(&text));
    buf_free(&text);
    return copy;
}

static int64_t number_at(struct bytes json, const char *name)
{
    struct bytes value;
    int64_t number = 0;
    return json_find(json, name, &value) && json_integer(value, &number) ? number : 0;
}

/* ---- What can be done
 * ------------------------------------------------------------------------------ */

static int run_verb(struct simulation *s, struct bytes body, struct buf *out)
{
    if (s->client == NULL) {
        return 503;
    }
    struct bytes list;
    struct bytes element;
    char *words[WORDS_MAX + 1] = {NULL};
    size_t count = 0;
    if (json_find(body, "words", &list)) {
        while (count < WORDS_MAX && json_next(&list, &element)) {
            struct buf text;
            buf_init(&text, TEXT_MAX);
            (void)json_text(element, &text);
            words[count++] = xstrdup(buf_text(&text));
            buf_free(&text);
        }
    }
    char *reason = text_at(body, "reason");
    struct admin_request request = {
        .count = count,
        .words = (const char *const *)words,
        .who = "operator",
        .reason = reason[0] == '\0' ? NULL : reason,
        .wants_json = true,
    };
    struct ops_view view = host_view(s->client);
    int code = admin_run(&view, &request, out);
    free((void *)view.clients);
    free(reason);
    for (size_t i = 0; i < count; i++) {
        free(words[i]);
    }
    return code == ADMIN_OK || code == ADMIN_WRONG ? 200 : code == ADMIN_NOT_FOUND ? 404 : 400;
}

/* Replaces one text of a file of the client, as somebody with an editor would. */
static int edit_file(struct simulation *s, struct bytes body)
{
    char *file = text_at(body, "file");
    char *find = text_at(body, "find");
    char *put = text_at(body, "put");
    char *path = xasprintf("%s/%s", s->client_folder, file);
    struct buf old;
    struct buf new;
    buf_init(&old, TEXT_MAX);
    buf_init(&new, TEXT_MAX);
    int status = 404;
    if (files_read(path, &old) == 0) {
        const char *at = strstr(buf_text(&old), find);
        if (at != NULL && find[0] != '\0') {
            buf_add(&new, buf_text(&old), (size_t)(at - buf_text(&old)));
            buf_addf(&new, "%s%s", put, at + strlen(find));
            status = files_write(path, buf_bytes(&new), true) == 0 ? 200 : 500;
        }
    }
    buf_free(&old);
    buf_free(&new);
    free(path);
    free(file);
    free(find);
    free(put);
    return status;
}

static int kill_client(struct simulation *s, struct bytes body)
{
    if (s->client == NULL || s->must_kill) {
        return 409;
    }
    s->must_kill = true;
    s->down_ms = number_at(body, "ms");
    return 200;
}

static int jump_clock(struct simulation *s, struct bytes body)
{
    int64_t delta_ms = number_at(body, "ms");
    s->client_off_ms += delta_ms;
    if (s->client != NULL) {
        clock_jump_wall(s->client->clock, delta_ms);
    }
    return 200;
}

static int say(struct simulation *s, struct bytes body)
{
    if (!cli_has(s->args, "--json")) {
        char *text = text_at(body, "text");
        puts(text);
        fflush(stdout);
        free(text);
    }
    return 200;
}

static int end_day(struct simulation *s, struct bytes body)
{
    free(s->books);
    s->books = xstrndup(body.data, body.size);
    return 200;
}

/* ---- The desk
 * -------------------------------------------------------------------------------------- */

static void on_request(void *arg, struct http_exchange *x)
{
    struct simulation *s = arg;
    const char *path = http_exchange_path(x);
    struct bytes body = http_exchange_body(x);
    struct buf out;
    buf_init(&out, ANSWER_MAX);
    int status = 404;
    if (strcmp(path, "/neap") == 0) {
        status = run_verb(s, body, &out);
    } else if (strcmp(path, "/edit") == 0) {
        status = edit_file(s, body);
    } else if (strcmp(path, "/kill") == 0) {
        status = kill_client(s, body);
    } else if (strcmp(path, "/clock") == 0) {
        status = jump_clock(s, body);
    } else if (strcmp(path, "/say") == 0) {
        status = say(s, body);
    } else if (strcmp(path, "/end") == 0) {
        status = end_day(s, body);
    }
    if (out.size == 0) {
        (void)!buf_add_str(&out, "{}");
    }
    http_exchange_answer(x, status, NULL, buf_bytes(&out));
    buf_free(&out);
}

void simulation_desk_open(struct simulation *s)
{
    struct http_server_options options = {0};
    s->desk = http_server_new(s->time.loop, &options, on_request, s);
    loopback_network_set(s->time.network, "desk.test", s->desk);
}

void simulation_desk_close(struct simulation *s)
{
    if (s->desk != NULL) {
        loopback_network_set(s->time.network, "desk.test", NULL);
        http_server_free(s->desk);
    }
}
