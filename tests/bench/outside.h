/*
 * Everything outside the system under test, in one cheap process: the shop that delegates orders
 * (load) and the two systems that the orders flow calls (upstream).
 *
 * An order id always has ID_DIGITS digits, and the documents in wire/ are written for SAMPLE_ID; so
 * a document for another id has the same size, with the id's places overwritten.
 */
#ifndef NEAP_TESTS_BENCH_OUTSIDE_H
#define NEAP_TESTS_BENCH_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_ID "40000001"
#define ID_DIGITS 8
#define FIRST_ID  10000000u

/* ---- documents ---- */

struct document {
    char *text; /* owned; with room for another id at each place */
    size_t size;
    size_t *places; /* offsets of the id */
    size_t place_count;
};

/* head is put before the file's text; NULL for none. Ends the process when it cannot be read. */
void document_load(struct document *d, const char *folder, const char *name, const char *head);
void document_set_id(struct document *d, uint32_t id);

/* ---- connections ---- */

struct conn;
typedef void (*conn_fn)(struct conn *conn);

/* One socket; on_message is called with a whole HTTP message at the front of `in`. */
struct conn {
    int fd;
    conn_fn on_message; /* NULL: a listening socket */
    void *owner;
    uint32_t index;
    char *in;
    size_t in_size;
    size_t in_capacity;
    size_t message_size; /* of the message at the front */
    const char *body;    /* inside `in` */
    char *out;           /* what the socket did not take yet */
    size_t out_size;
    bool must_stay; /* its end is an error */
    bool is_closed;
};

int64_t now_us(void); /* monotonic */

void outside_fail(const char *what); /* says errno and ends the process */
void outside_listen(unsigned port, conn_fn on_message, void *owner);
struct conn *outside_connect(unsigned port, conn_fn on_message, void *owner);
void conn_send(struct conn *conn, const char *data, size_t size);

/* Calls fn at this rate through a timer; count is how many ticks are due. */
void outside_tick(double per_second, void (*fn)(void *arg, uint64_t count), void *arg);
void outside_run(int64_t until_us);

/* ---- the two parts ---- */

struct load;

struct load_options {
    unsigned port;
    unsigned connections;
    unsigned clients;    /* paths /c0/... to /c<clients - 1>/... */
    double rate;         /* requests per second; 0: each connection sends as soon as it may */
    bool is_flow;        /* an order is over when its reference key was written */
    int64_t warm_up_us;  /* not measured */
    int64_t duration_us; /* measured */
    const char *wire;    /* folder of the documents */
};

void upstream_open(unsigned port, const char *wire, struct load *load);

struct load *load_open(const struct load_options *options);
void load_start(struct load *load);
void load_order_done(struct load *load, uint32_t id);
void load_report(struct load *load); /* one line of name=value to standard output */

#endif
