/*
 * The shop: delegates orders over connections that stay open, each order once.
 *
 * Without a rate, a connection sends the next order as soon as the last one is over (answered, or,
 * for the whole flow, its reference key written). With a rate, orders have an intended time: a late
 * one is sent as soon as a connection is free and measured from the intended time, so a stall of
 * the system under test costs all that should have been sent meanwhile.
 */
#include "tests/bench/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
    struct load_options options;
    struct document *documents; /* one per client: their paths differ */
    struct conn **conns;
    int64_t *intended_us; /* per connection */
    uint32_t *of_order;   /* connection of each order under way */
    uint32_t of_order_capacity;
    uint32_t *idle;
    size_t idle_count;
    uint32_t next_id;
    uint64_t ticks; /* orders that were due until now */
    uint64_t sent;
    int64_t first_us; /* of the measured time */
    uint32_t *latencies_us;
    size_t count;
    size_t capacity;
    uint64_t failures;
};

static void send_order(struct load *load, uint32_t index, int64_t intended_us)
{
    struct document *d = &load->documents[index % load->options.clients];
    uint32_t id = load->next_id++;
    uint32_t slot = id - FIRST_ID;
    if (slot >= load->of_order_capacity) {
        load->of_order_capacity = load->of_order_capacity == 0 ? 65536 : slot * 2;
        load->of_order = realloc(load->of_order, load->of_order_capacity * sizeof(uint32_t));
    }
    load->of_order[slot] = index;
    load->intended_us[index] = intended_us;
    load->sent++;
    document_set_id(d, id);
    conn_send(load->conns[index], d->text, d->size);
}

static void send_due(struct load *load)
{
    double interval_us = 1e6 / load->options.rate;
    while (load->idle_count > 0 && load->sent < load->ticks) {
        int64_t start_us = load->first_us - load->options.warm_up_us;
        int64_t intended_us = start_us + (int64_t)((double)load->sent * interval_us);
        send_order(load, load->idle[--load->idle_count], intended_us);
    }
}

static void load_on_tick(void *arg, uint64_t count)
{
    struct load *load = arg;
    load->ticks += count;
    send_due(load);
}

static void order_over(struct load *load, uint32_t index)
{
    int64_t now = now_us();
    int64_t intended_us = load->intended_us[index];
    if (intended_us >= load->first_us || (load->options.rate == 0 && now >= load->first_us)) {
        if (load->count == load->capacity) {
            load->capacity = load->capacity == 0 ? 65536 : load->capacity * 2;
            load->latencies_us = realloc(load->latencies_us, load->capacity * sizeof(uint32_t));
        }
        load->latencies_us[load->count++] = (uint32_t)(now - intended_us);
    }
    if (load->options.rate == 0) {
        send_order(load, index, now);
    } else {
        load->idle[load->idle_count++] = index;
        send_due(load);
    }
}

static void load_on_answer(struct conn *conn)
{
    struct load *load = conn->owner;
    if (strncmp(conn->in, "HTTP/1.1 201", 12) != 0) {
        if (load->failures++ == 0) {
            fprintf(stderr, "outside: not accepted: %.300s\n", conn->in);
        }
    }
    if (!load->options.is_flow) {
        order_over(load, conn->index);
    }
}

void load_order_done(struct load *load, uint32_t id)
{
    if (load != NULL && load->options.is_flow && id - FIRST_ID < load->next_id - FIRST_ID) {
        order_over(load, load->of_order[id - FIRST_ID]);
    }
}

struct load *load_open(const struct load_options *options)
{
    struct load *load = calloc(1, sizeof(*load));
    load->options = *options;
    load->next_id = FIRST_ID;
    load->documents = calloc(options->clients, sizeof(*load->documents));
    for (unsigned i = 0; i < options->clients; i++) {
        char head[512];
        snprintf(head, sizeof(head),
                 "POST /c%u/scayle/delegation HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                 "User-Agent: outside\r\nAccept: application/json\r\n"
                 "Content-Type: application/json\r\n"
                 "Authorization: Basic c2NheWxlOnNhbmRib3g=\r\n",
                 i);
        document_load(&load->documents[i], options->wire, "delegation.json", head);
    }
    load->conns = calloc(options->connections, sizeof(*load->conns));
    load->intended_us = calloc(options->connections, sizeof(*load->intended_us));
    load->idle = calloc(options->connections, sizeof(*load->idle));
    return load;
}

void load_start(struct load *load)
{
    for (uint32_t i = 0; i < load->options.connections; i++) {
        load->conns[i] = outside_connect(load->options.port, load_on_answer, load);
        load->conns[i]->index = i;
        load->idle[load->idle_count++] = i;
    }
    load->first_us = now_us() + load->options.warm_up_us;
    if (load->options.rate > 0) {
        outside_tick(load->options.rate, load_on_tick, load);
        return;
    }
    for (uint32_t i = 0; i < load->options.connections; i++) {
        send_order(load, i, now_us());
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static double percentile_ms(const struct load *load, double share)
{
    if (load->count == 0) {
        return 0;
    }
    size_t at = (size_t)(share * (double)(load->count - 1));
    return load->latencies_us[at] / 1000.0;
}

void load_report(struct load *load)
{
    qsort(load->latencies_us, load->count, sizeof(uint32_t), compare_u32);
    double seconds = (double)load->options.duration_us / 1e6;
    printf("all_orders=%u orders=%zu per_second=%.1f p50_ms=%.3f p99_ms=%.3f max_ms=%.3f "
           "failures=%llu\n",
           load->next_id - FIRST_ID, load->count, (double)load->count / seconds,
           percentile_ms(load, 0.5), percentile_ms(load, 0.99), percentile_ms(load, 1),
           (unsigned long long)load->failures);
}
