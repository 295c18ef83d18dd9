/* simulation.json: who takes part in a simulation, and from when. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/instant.h"
#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/cli/files.h"
#include "core/cli/simulation.h"

#define PLAN_MAX (1u << 20)
#define TEXT_MAX 4096

/* The text of a value, or NULL. */
static char *text_of(struct bytes value)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    char *copy = json_text(value, &text) ? xstrdup(buf_text(&text)) : NULL;
    buf_free(&text);
    return copy;
}

static char *member(struct bytes json, const char *name)
{
    struct bytes value;
    return json_find(json, name, &value) ? text_of(value) : NULL;
}

static char *path_below(const char *folder, char *name)
{
    char *path = name == NULL ? NULL : xasprintf("%s/%s", folder, name);
    free(name);
    return path;
}

void simulation_plan_set(struct simulation_plan *plan, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof(text), fmt, list);
    va_end(list);
    size_t max = sizeof(plan->variables) / sizeof(plan->variables[0]) - 1;
    if (plan->variable_count < max) {
        plan->variables[plan->variable_count++] = xstrdup(text);
    }
}

static int read_start(struct simulation_plan *plan, struct bytes json, struct error *err)
{
    char *text = member(json, "start");
    struct instant_text start;
    int rc = instant_parse(bytes_str(text), &start, err);
    free(text);
    if (rc == 0) {
        plan->start_ms = instant_from_parts(&start.parts) - (int64_t)start.offset_minutes * 60000;
    }
    return rc;
}

static void read_lists(struct simulation_plan *plan, const char *folder, struct bytes json)
{
    struct bytes list;
    struct bytes element;
    size_t count = 0;
    if (json_find(json, "world", &list)) {
        while (count < SIMULATION_TEXTS_MAX && json_next(&list, &element)) {
            char *path = path_below(folder, text_of(element));
            if (path != NULL) {
                plan->world[count++] = path;
            }
        }
    }
    if (json_find(json, "variables", &list)) {
        while (plan->variable_count < SIMULATION_TEXTS_MAX && json_next(&list, &element)) {
            char *text = text_of(element);
            if (text != NULL) {
                plan->variables[plan->variable_count++] = text;
            }
        }
    }
}

int simulation_plan_read(struct simulation_plan *plan, const char *folder, struct error *err)
{
    memset(plan, 0, sizeof(*plan));
    char *path = xasprintf("%s/simulation.json", folder);
    struct buf text;
    buf_init(&text, PLAN_MAX);
    int rc = files_read(path, &text);
    if (rc != 0) {
        rc = error_set(err, ERROR_IO, "%s cannot be read: name a folder that holds one", path);
    } else {
        struct bytes json = buf_bytes(&text);
        rc = read_start(plan, json, err);
        plan->client = path_below(folder, member(json, "client"));
        plan->secrets = path_below(folder, member(json, "secrets"));
        read_lists(plan, folder, json);
        if (rc == 0 && (plan->client == NULL || plan->world[0] == NULL)) {
            rc = error_set(err, ERROR_INVALID, "%s must name \"client\" and \"world\"", path);
        } else if (rc != 0) {
            error_wrap(err, "%s: \"start\"", path);
        }
    }
    buf_free(&text);
    free(path);
    return rc;
}

void simulation_plan_free(struct simulation_plan *plan)
{
    free(plan->client);
    free(plan->secrets);
    for (size_t i = 0; plan->world[i] != NULL; i++) {
        free(plan->world[i]);
    }
    for (size_t i = 0; i < plan->variable_count; i++) {
        free(plan->variables[i]);
    }
}
