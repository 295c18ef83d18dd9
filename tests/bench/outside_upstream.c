/*
 * SCAYLE and Khaos as canned, correct answers: which request it is, is told by one text in it; the
 * order id stands behind another one.
 */
#include "tests/bench/outside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reply {
    const char *request; /* a text that only this request has */
    const char *before;  /* stands before the order id; NULL: the answer names no order */
    const char *file;
    const char *head;
    bool is_last; /* the order's way ends with it */
};

#define OK_JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define OK_XML  "HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\n"
#define CREATED "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"

static const struct reply REPLIES[] = {
    {"/scayle/delegation ", NULL, "accepted.json", CREATED, false}, /* only to measure itself */
    {"PUT /", "/orders/", "order.json", OK_JSON, true},
    {"/orders/", "/orders/", "order.json", OK_JSON, false},
    {"GET /", NULL, "order_list.json", OK_JSON, false},
    {"#ExportCompany\"", NULL, "company_unknown.xml", OK_XML, false},
    {"#ImportCompany\"", "OTHER_REF&gt;S", "company_imported.xml", OK_XML, false},
    {"#ImportOrders\"", "ASSOCIATED_REF&gt;SC", "order_imported.xml", OK_XML, false},
    {"#ExportOrderStatusEx\"", ">SC", "order_status.xml", OK_XML, false},
    {"#GetStockList\"", NULL, "stock_list.xml", OK_XML, false},
};
#define REPLY_COUNT (sizeof(REPLIES) / sizeof(REPLIES[0]))

struct upstream {
    struct load *load;
    struct document documents[REPLY_COUNT];
};

static void upstream_on_message(struct conn *conn)
{
    struct upstream *u = conn->owner;
    size_t head_size = (size_t)(conn->body - conn->in);
    size_t which = 0;
    while (which < REPLY_COUNT && memmem(conn->in, head_size, REPLIES[which].request,
                                         strlen(REPLIES[which].request)) == NULL) {
        which++;
    }
    if (which == REPLY_COUNT) {
        fprintf(stderr, "outside: nobody answers %.200s\n", conn->in);
        exit(1);
    }
    const struct reply *reply = &REPLIES[which];
    struct document *d = &u->documents[which];
    uint32_t id = 0;
    if (reply->before != NULL) {
        const char *at = memmem(conn->in, conn->message_size, reply->before, strlen(reply->before));
        id = at == NULL ? 0 : (uint32_t)strtoul(at + strlen(reply->before), NULL, 10);
        if (id < FIRST_ID) {
            fprintf(stderr, "outside: a request without an order: %.200s\n", conn->in);
            exit(1);
        }
        document_set_id(d, id);
    }
    conn_send(conn, d->text, d->size);
    if (reply->is_last) {
        load_order_done(u->load, id);
    }
}

void upstream_open(unsigned port, const char *wire, struct load *load)
{
    struct upstream *u = calloc(1, sizeof(*u));
    u->load = load;
    for (size_t i = 0; i < REPLY_COUNT; i++) {
        document_load(&u->documents[i], wire, REPLIES[i].file, REPLIES[i].head);
    }
    outside_listen(port, upstream_on_message, u);
}
