/* The figures that the shipped flows keep in tables of their own; see health.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/xalloc.h"
#include "core/ops/health_private.h"
#include "core/work/script_table.h"

#define HOUR_MS        3600000
#define PULSE_TABLE    "pulse_counts" /* "<name> <hour>" -> how often in that hour since 1970 */
#define OPEN_TABLE     "orders_open"
#define DIRTY_TABLE    "stock_dirty"
#define STOCK_TABLE    "stock_state"
#define ORDER_ID_MAX   200
#define FLOW_NAME_MAX  200
#define RECONCILED_MAX 400

static bool find_row(struct work *work, const char *table, const char *key, struct bytes *json)
{
    return script_table_get(work, bytes_str(table), bytes_str(key), json) == 0;
}

static int64_t number_in(struct bytes json, const char *name, int64_t otherwise)
{
    struct bytes value;
    int64_t number;
    return json_find(json, name, &value) && json_integer(value, &number) ? number : otherwise;
}

static bool flag_in(struct bytes json, const char *name)
{
    struct bytes value;
    return json_find(json, name, &value) && bytes_equal(value, bytes_str("true"));
}

/* ---- Orders
 * --------------------------------------------------------------------------------------- */

static int64_t beats_of_day(struct work *work, const char *name, int64_t now_ms)
{
    int64_t sum = 0;
    for (int64_t hour = now_ms / HOUR_MS - 23; hour <= now_ms / HOUR_MS; hour++) {
        char key[64];
        struct bytes json;
        int64_t count;
        snprintf(key, sizeof(key), "%s %012" PRId64, name, hour);
        if (find_row(work, PULSE_TABLE, key, &json) && json_integer(json, &count)) {
            sum += count;
        }
    }
    return sum;
}

static int note_open(void *arg, struct bytes key, struct bytes json)
{
    (void)key;
    struct health_orders *orders = arg;
    int64_t accepted_ms = number_in(json, "accepted_ms", 0);
    orders->waiting++;
    orders->stuck += flag_in(json, "is_told");
    if (accepted_ms > 0 && (orders->oldest_ms == 0 || accepted_ms < orders->oldest_ms)) {
        struct bytes id;
        struct buf text;
        buf_init(&text, ORDER_ID_MAX);
        if (json_find(json, "order_id", &id)) {
            json_text(id, &text);
        }
        orders->oldest_ms = accepted_ms;
        free(orders->oldest);
        orders->oldest = xstrdup(buf_text(&text));
        buf_free(&text);
    }
    return 0;
}

static void read_orders(struct work *work, int64_t now_ms, struct health_orders *orders)
{
    struct bytes last;
    struct script_range all = {.limit = HEALTH_LOOK_AT};
    script_table_range(work, bytes_str(OPEN_TABLE), &all, note_open, orders);
    orders->is_known = orders->waiting > 0 || find_row(work, PULSE_TABLE, "orders last", &last);
    orders->in_24h = beats_of_day(work, "orders", now_ms);
    orders->posted_24h = beats_of_day(work, "posted", now_ms);
    if (orders->oldest == NULL) {
        orders->oldest = xstrdup("");
    }
}

/* ---- Stock
 * ---------------------------------------------------------------------------------------- */

struct dirty {
    uint64_t count;
    int64_t oldest_ms;
};

static int note_dirty(void *arg, struct bytes key, struct bytes json)
{
    (void)key;
    struct dirty *dirty = arg;
    int64_t since_ms = number_in(json, "since_ms", 0);
    dirty->count++;
    if (since_ms > 0 && (dirty->oldest_ms == 0 || since_ms < dirty->oldest_ms)) {
        dirty->oldest_ms = since_ms;
    }
    return 0;
}

/* A code is marked from the moment its figure may have changed until SCAYLE has it. Of very many,
 * the sending's own word counts too: it takes the oldest first. */
static void read_bounds(struct bytes lag, struct health_stock *stock)
{
    struct bytes flow;
    struct buf text;
    buf_init(&text, FLOW_NAME_MAX);
    if (json_find(lag, "flow", &flow) && json_text(flow, &text)) {
        stock->flow = xstrdup(buf_text(&text));
        stock->amber_ms = number_in(lag, "amber_ms", INT64_MAX);
        stock->red_ms = number_in(lag, "red_ms", INT64_MAX);
    }
    buf_free(&text);
}

static void read_lag(struct work *work, int64_t now_ms, struct health_stock *stock)
{
    struct dirty dirty = {0};
    struct bytes lag;
    struct script_range all = {.limit = HEALTH_LOOK_AT};
    script_table_range(work, bytes_str(DIRTY_TABLE), &all, note_dirty, &dirty);
    stock->waiting = dirty.count;
    stock->is_more = dirty.count >= HEALTH_LOOK_AT;
    bool has_lag = find_row(work, STOCK_TABLE, "lag", &lag);
    if (has_lag) {
        read_bounds(lag, stock);
    }
    if (stock->is_more && has_lag) {
        int64_t since_ms = number_in(lag, "at_ms", now_ms) - number_in(lag, "oldest_ms", 0);
        dirty.oldest_ms = since_ms < dirty.oldest_ms ? since_ms : dirty.oldest_ms;
    }
    stock->lag_ms = dirty.oldest_ms == 0 ? 0 : now_ms - dirty.oldest_ms;
}

static void read_stock(struct work *work, int64_t now_ms, struct health_stock *stock)
{
    struct bytes row;
    if (find_row(work, STOCK_TABLE, "poll", &row)) {
        stock->is_known = true;
        stock->read_ms = number_in(row, "ran_ms", 0);
    }
    if (find_row(work, STOCK_TABLE, "full", &row)) {
        stock->is_known = true;
        stock->full_ms = number_in(row, "completed_ms", 0);
        stock->is_full_under_way = flag_in(row, "is_under_way");
    }
    if (stock->is_known) {
        read_lag(work, now_ms, stock);
    }
}

/* ---- Reconciliation and drift
 * --------------------------------------------------------------------- */

static void read_reconciled(struct work *work, struct health_reconciled *reconciled)
{
    const char *folder = store_folder(work_store(work));
    char *path = xasprintf("%s" HEALTH_RECONCILED_FILE, folder == NULL ? "" : folder);
    FILE *file = folder == NULL ? NULL : fopen(path, "r");
    char text[RECONCILED_MAX];
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text), file);
    if (file != NULL) {
        fclose(file);
    }
    free(path);
    struct bytes json = bytes_of(text, size);
    reconciled->at_ms = number_in(json, "at_ms", 0);
    reconciled->as_of_ms = number_in(json, "as_of_ms", 0);
    reconciled->ties = flag_in(json, "ties");
}

/* Classes that scripts/flows/stock_stages/drift.lua calls wrong. */
static void read_drift(struct work *work, struct health_drift *drift)
{
    static const char *const WRONG[] = {"stale", "by_hand", "missing"};
    struct bytes row;
    struct bytes counts;
    if (!find_row(work, STOCK_TABLE, "drift", &row) || !json_find(row, "counts", &counts)) {
        return;
    }
    drift->is_under_way = flag_in(row, "is_under_way");
    drift->at_ms = drift->is_under_way ? 0 : number_in(row, "completed_ms", 0);
    drift->looked = number_in(row, "looked", 0);
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        drift->wrong += number_in(counts, WRONG[i], 0);
    }
}

void health_read_tables(const struct ops_view *view, const struct ops_client *client,
                        struct health *health)
{
    struct work *work = client->work;
    read_orders(work, view->now_ms, &health->orders);
    read_stock(work, view->now_ms, &health->stock);
    read_reconciled(work, &health->reconciled);
    read_drift(work, &health->drift);
}
