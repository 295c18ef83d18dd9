/*
 * client.lua as somebody writes it: any text must load or be refused with words that name what is
 * wrong, never crash, hang or raise outside a door. What loads must be usable: its routes are
 * found, its schedules pass their own check.
 */
#include <stdint.h>

#define WORLD_ANY_SECRET
#include "core/work/schedule.h"
#include "tests/support/script_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world_client *any_client(void)
{
    static struct world_client *c;
    if (c == NULL) {
        struct world *w = world_open();
        c = &w->clients[0];
        c->world = w;
        c->name = "any";
        c->folder = xasprintf("%s/any", w->folder);
        mkdir(c->folder, 0700);
        world_write(c, "main.lua",
                    "return {name = 'main', run = function() end,\n"
                    "    schema = {type = 'object', fields = {greeting = {type = 'string'},\n"
                    "        count = {type = 'integer', min = 1}, list = {type = 'list',\n"
                    "        items = {type = 'string'}}}}, triggers = {\n"
                    "        {kind = 'schedule', name = 'often', every_ms = 1000},\n"
                    "        {kind = 'route', name = 'order', method = 'POST', path = '/o/{id}',\n"
                    "            handle = function() return {status = 200} end}}}\n");
        w->limits.load_us = 200000;
        w->limits.memory_bytes = 32 << 20;
    }
    return c;
}

static void check_loaded(const struct generation *generation)
{
    const struct manifest *m = generation_manifest(generation);
    struct error err;
    if (m->name == NULL || m->name[0] == '\0' || generation_hash(generation) == 0) {
        abort();
    }
    for (size_t i = 0; i < m->schedule_count; i++) {
        const struct manifest_schedule *s = &m->schedules[i];
        struct schedule_spec spec = {m->flows[s->flow].name, s->name, s->every_ms, s->cron,
                                     s->zone};
        if (schedule_check(&spec, &err) != 0) {
            fprintf(stderr, "%s\n", err.message);
            abort();
        }
    }
    for (size_t i = 0; i < m->connection_count; i++) {
        if (m->connections[i].name == NULL || m->connections[i].base_url == NULL) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world_client *c = any_client();
    struct generation *generation = NULL;
    struct error err;
    char *path = xasprintf("%s/client.lua", c->folder);
    FILE *file = fopen(path, "w");
    free(path);
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        abort();
    }
    int rc = world_load(c, &generation, &err);
    if (rc == 0) {
        check_loaded(generation);
    } else if (err.message[0] == '\0' || generation != NULL) {
        abort();
    }
    generation_free(generation);
    return 0;
}
