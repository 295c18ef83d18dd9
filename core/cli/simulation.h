/*
 * A simulation: a client under test and the world around it (sandboxes and a driver) as two hosts
 * in one process and in virtual time. simulate.c runs it, simulation_desk.c is what the driver has
 * in its hands.
 */
#ifndef NEAP_CORE_CLI_SIMULATION_H
#define NEAP_CORE_CLI_SIMULATION_H

#include "core/base/buf.h"
#include "core/cli/cli.h"
#include "core/host_world.h"

#define SIMULATION_TEXTS_MAX 32

/* Of simulation.json; every path made absolute or relative to the working folder. */
struct simulation_plan {
    int64_t start_ms;
    char *client; /* folder; a copy of it is served */
    char *secrets;
    char *world[SIMULATION_TEXTS_MAX + 1];
    char *variables[SIMULATION_TEXTS_MAX + CLI_VALUES_MAX + 4]; /* "NAME=VALUE" */
    size_t variable_count;
};

struct simulation {
    const struct cli_args *args;
    struct simulation_plan plan;
    uint64_t seed;
    char *scripts;
    char *folder; /* client/, data/, world/ */
    char *client_folder;
    struct host_world time;
    struct host *client; /* NULL while it is dead */
    struct host *world;
    struct http_server *desk;
    struct loop_timer *restart;
    bool must_kill;
    int64_t down_ms;
    unsigned kills;
    int64_t client_off_ms; /* its wall clock less the true one; a new start keeps it */
    char *books;           /* the driver's last word, JSON; NULL while the day goes on */
    struct error problem;  /* ends the simulation */
};

/* ERROR_INVALID or ERROR_IO, with what is wrong. */
int simulation_plan_read(struct simulation_plan *plan, const char *folder,
                         struct error *err) NEAP_MUST_USE;
void simulation_plan_free(struct simulation_plan *plan);
void simulation_plan_set(struct simulation_plan *plan, const char *fmt, ...) NEAP_PRINTF(2, 3);

/* The desk of the driver, http://desk.test/ (docs/blackfriday.md). */
void simulation_desk_open(struct simulation *s);
void simulation_desk_close(struct simulation *s);

#endif
