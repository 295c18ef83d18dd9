/*
 * Health at a glance, per client: the colour of each flow and why, and the figures people ask for
 * first. Read from what is there already: jobs, exceptions, pauses, schedules, and the tables in
 * which the shipped flows keep where they are (scripts/flows/pulse.lua, stock_pending.lua,
 * stock_stages/tables.lua). Nothing is kept for it but what came of the newest reconciliation.
 *
 *   red    nothing gets through, or a promise to people is broken
 *   amber  somebody should look
 *   green  neither
 */
#ifndef NEAP_CORE_OPS_HEALTH_H
#define NEAP_CORE_OPS_HEALTH_H

#include "core/ops/admin.h"

#define HEALTH_COLOUR_LIST(X)                                                                      \
    X(HEALTH_GREEN, "green")                                                                       \
    X(HEALTH_AMBER, "amber")                                                                       \
    X(HEALTH_RED, "red")
enum health_colour {
#define HEALTH_COLOUR_ENUM(symbol, name) symbol,
    HEALTH_COLOUR_LIST(HEALTH_COLOUR_ENUM)
#undef HEALTH_COLOUR_ENUM
};
const char *health_colour_name(enum health_colour colour);

/* Behind the folder of a client's store: the file in which `neap reconcile`, which only reads the
 * store, leaves what came of it: {as_of_ms, at_ms, ties}. */
#define HEALTH_RECONCILED_FILE ".reconciled"

struct health_flow {
    char *name;
    enum health_colour colour;
    char *why; /* the worst first, joined by "; "; "" when green */
    uint64_t held;
    uint64_t dead;
    uint64_t parked; /* wait for a connection that is down, not paused by a person */
    uint64_t retrying;
    uint64_t problems; /* open exceptions that no job waits for */
};

struct health_orders {
    bool is_known;  /* the orders flow has run */
    int64_t in_24h; /* accepted in this hour of the clock and the 23 before */
    int64_t posted_24h;
    uint64_t held;     /* now */
    uint64_t waiting;  /* accepted and not in Khaos, held ones too */
    uint64_t stuck;    /* of them, for longer than the flow's stuck_after_ms */
    int64_t oldest_ms; /* when the oldest of them was accepted; 0 = none */
    char *oldest;      /* its order id; "" = none */
};

struct health_stock {
    bool is_known;    /* the stock flow has run */
    uint64_t waiting; /* figures due and not in the shop */
    bool is_more;     /* at least so many */
    int64_t lag_ms;   /* the oldest of them is due for so long */
    int64_t read_ms;  /* newest reading of changes in Khaos; 0 = none */
    int64_t full_ms;  /* newest complete reading; 0 = none */
    char *flow;       /* that sends them, and how late it may be; NULL = it has not sent yet */
    int64_t amber_ms;
    int64_t red_ms;
    bool is_full_under_way;
};

struct health_reconciled {
    int64_t at_ms; /* 0 = never */
    int64_t as_of_ms;
    bool ties;
};

struct health_drift {
    int64_t at_ms; /* when the newest comparison ended; 0 = none yet, or one is under way */
    int64_t looked;
    int64_t wrong;     /* codes that differ, those in flight left out */
    bool is_under_way; /* then looked is so far */
};

struct health {
    enum health_colour colour; /* the worst of the flows and of what concerns all of them */
    char *why;                 /* what concerns all of them; "" = nothing */
    struct health_flow *flows;
    size_t flow_count;
    struct health_orders orders;
    struct health_stock stock;
    struct health_reconciled reconciled;
    struct health_drift drift;
};

/* Looks at so many jobs of a state, orders and figures at most: beyond it, counts are "at least".
 */
#define HEALTH_LOOK_AT 20000

void health_read(const struct ops_view *view, const struct ops_client *client,
                 struct health *health_out);
void health_free(struct health *health); /* frees the members and clears */

#endif
