/*
 * Bodies of the shop's three routes, through the real handler of the demo client with a real
 * state and a (volatile) store. Any body gets 200, 201 or 400, never a raise; a delegation whose
 * order id can be read is accepted whatever else it holds. (Routes of Khaos's pushes keep the
 * bytes as they are: pushes_fuzzer reads them.)
 *
 * First byte: 0 delegation, 1 webhook, 2 a delegation with an order id and the input as the value
 * of another member, 3 a webhook envelope around it, 4 a cancellation, 5 a cancellation with the
 * input as its reference key.
 */
#include <stdint.h>

#include "core/base/json_scan.h"

#define WORLD_ANY_SECRET
#include "tests/support/script_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world_client *demo_client(void)
{
    static struct world_client *c;
    if (c == NULL) {
        struct world *w = world_open();
        c = &w->clients[0];
        c->world = w;
        c->name = "demo";
        c->folder = xstrdup("examples/demo");
        c->data = xasprintf("%s/demo.data", w->folder);
        world_open_work(c);
    }
    return c;
}

static bool is_json(struct bytes text)
{
    struct buf rewritten;
    struct bytes ready;
    struct error err;
    buf_init(&rewritten, text.size * 4 + 16);
    bool is_it = json_scan(text, JSON_SCAN_MAX_DEPTH - 4, &rewritten, &ready, &err) == 0;
    buf_free(&rewritten);
    return is_it;
}

static void fail(const char *what, int status, struct bytes body)
{
    fprintf(stderr, "%s: %d for %.*s\n", what, status, (int)body.size, body.data);
    abort();
}

/* The handler in a unit that is given up: the store stays as small as it was. */
static int ask(struct world_client *c, const char *path, struct bytes body, size_t *events_out)
{
    size_t route = 0;
    struct route_reply reply;
    struct error err;
    struct http_headers headers = {0};
    struct route_request request = {
        .method = "POST", .path = path, .query = "", .peer = "", .headers = &headers, .body = body};
    const struct manifest *m = generation_manifest(runner_generation(c->runner));
    if (route_find(m, "POST", path, &route) != ROUTE_FOUND) {
        fail("no route", 404, bytes_str(path));
    }
    error_clear(&err);
    if (work_nested_begin(c->work) != 0) {
        fail("the store", 0, body);
    }
    int rc = route_handle(c->runner, route, &request, &reply, &err);
    int status = rc == 0 ? reply.status : 500;
    *events_out = rc == 0 && reply.event_seq != 0 ? 1 : 0;
    if (rc == 0) {
        route_reply_free(&reply);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    work_nested_abort(c->work);
    return status;
}

static void check(const char *path, struct bytes body, bool must_accept)
{
    size_t events = 0;
    int status = ask(demo_client(), path, body, &events);
    /* 503 is the cancellation's "ask again", which its job may better. */
    bool is_undecided = status == 503 && events != 0;
    if (status != 200 && status != 201 && status != 400 && !is_undecided) {
        fail("status", status, body);
    }
    if (must_accept && (status == 400 || events == 0)) {
        fail("refused", status, body);
    }
    if (status == 400 && events != 0) {
        fail("refused and accepted", status, body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const members[] = {"orderReferenceKey",
                                          "shopKey",
                                          "countryCode",
                                          "fulfillingMerchantKey",
                                          "cost",
                                          "items",
                                          "id",
                                          "shopId"};
    if (size < 2) {
        return 0;
    }
    struct bytes rest = bytes_of((const char *)data + 2, size - 2);
    const char *member = members[data[1] % 8];
    struct buf body;
    buf_init(&body, size + 256);
    switch (data[0] % 6) {
    case 0:
        check("/scayle/delegation", rest, false);
        break;
    case 1:
        check("/scayle/webhook", rest, false);
        break;
    case 2:
        buf_addf(&body, "{\"%s\":", member);
        buf_add(&body, rest.data, rest.size);
        buf_add_str(&body, ",\"orderId\":5001}");
        check("/scayle/delegation", buf_bytes(&body), is_json(rest));
        break;
    case 4:
        check("/scayle/cancellation", rest, false);
        break;
    case 5:
        buf_add_str(&body, "{\"orderReferenceKey\":");
        buf_add(&body, rest.data, rest.size);
        buf_add_str(&body, "}");
        check("/scayle/cancellation", buf_bytes(&body), false);
        break;
    default:
        buf_add_str(&body, "{\"key\":\"e1\",\"type\":\"order-confirmed\",\"payload\":");
        buf_add(&body, rest.data, rest.size);
        buf_add_str(&body, "}");
        check("/scayle/webhook", buf_bytes(&body), false);
        break;
    }
    buf_free(&body);
    return 0;
}
