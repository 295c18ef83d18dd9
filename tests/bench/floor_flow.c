/*
 * The six calls of the orders flow for a customer who is new: read the order, look for the
 * customer, create it, post the order, read it back, write its reference to the shop. Each answer
 * is kept, and the next call leaves after that commit. The two calls that must not be repeated use
 * a connection of their own, as the design demands of the host.
 */
#include "tests/bench/floor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <expat.h>

#define TEXT_MAX         16384
#define KEPT_CONNECTIONS 256L
#define INNER_MAX        8192

enum call {
    CALL_GET_ORDER,
    CALL_EXPORT_COMPANY,
    CALL_IMPORT_COMPANY,
    CALL_IMPORT_ORDERS,
    CALL_ORDER_STATUS,
    CALL_PUT_REFERENCE,
    CALL_COUNT
};

static const char *const ACTIONS[CALL_COUNT] = {
    [CALL_EXPORT_COMPANY] = "ExportCompany",
    [CALL_IMPORT_COMPANY] = "ImportCompany",
    [CALL_IMPORT_ORDERS] = "ImportOrders",
    [CALL_ORDER_STATUS] = "ExportOrderStatusEx",
};

struct text {
    char data[TEXT_MAX];
    size_t size;
};

struct flow {
    struct event_base *base;
    lua_State *L;
    CURLM *multi;
    struct event *timer;
    unsigned port;
};

/* An order on its way. */
struct order {
    struct flow *flow;
    struct floor_env *env;
    uint32_t id;
    enum call call;
    CURL *easy;
    struct curl_slist *headers;
    struct text request;
    struct text answer;
    struct text posting; /* SALES_ORDERS document, made from the order */
    char url[256];
};

/* ---- texts ---- */

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text->data + text->size, TEXT_MAX - text->size, format, list);
    va_end(list);
    floor_check(size >= 0 && text->size + (size_t)size < TEXT_MAX, "building a text");
    text->size += (size_t)size;
}

static void add_escaped(struct text *text, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const char *entity = data[i] == '<'   ? "&lt;"
                             : data[i] == '>' ? "&gt;"
                             : data[i] == '&' ? "&amp;"
                             : data[i] == '"' ? "&quot;"
                                              : NULL;
        floor_check(text->size + 8 < TEXT_MAX, "escaping a text");
        if (entity == NULL) {
            text->data[text->size++] = data[i];
        } else {
            size_t length = strlen(entity);
            memcpy(text->data + text->size, entity, length);
            text->size += length;
        }
    }
}

/* <name>field</name>, from the table at the top of the stack. */
static void add_field(struct text *text, lua_State *L, const char *name, const char *field)
{
    size_t size = 0;
    lua_getfield(L, -1, field);
    const char *value = lua_tolstring(L, -1, &size);
    if (value != NULL) {
        add(text, "<%s>", name);
        add_escaped(text, value, size);
        add(text, "</%s>", name);
    }
    lua_pop(L, 1);
}

/* ---- the documents ---- */

static void add_address(struct text *text, lua_State *L)
{
    lua_getfield(L, -1, "address");
    lua_getfield(L, -1, "billing");
    add_field(text, L, "IADDRESS1", "street");
    add_field(text, L, "ITOWN", "city");
    add_field(text, L, "IPOSTCODE", "zipCode");
    add_field(text, L, "ICOUNTRY_CODE", "countryCode");
    add_field(text, L, "ITEL", "phone");
    lua_getfield(L, -1, "recipient");
    add_field(text, L, "IFORENAME", "firstName");
    add_field(text, L, "ISURNAME", "lastName");
    lua_pop(L, 3);
}

static void add_lines(struct text *text, lua_State *L)
{
    lua_getfield(L, -1, "items");
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        add(text, "<ORDER_ITEM>");
        lua_getfield(L, -1, "variant");
        add_field(text, L, "STOCK_CODE", "referenceKey");
        lua_pop(L, 1);
        lua_getfield(L, -1, "product");
        add_field(text, L, "STOCK_DESC", "name");
        lua_pop(L, 1);
        lua_getfield(L, -1, "price");
        lua_Integer price = floor_integer(L, "withTax");
        lua_pop(L, 1);
        add(text, "<MAPPING_TYPE>1</MAPPING_TYPE><ORDER_QTY>1</ORDER_QTY>");
        add(text, "<PRICE_GRS>%lld.%02lld</PRICE_GRS>", (long long)price / 100,
            (long long)price % 100);
        add(text, "<IMPORT_REF>SC-%lld</IMPORT_REF></ORDER_ITEM>",
            (long long)floor_integer(L, "id"));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* From the decoded order at the top of the stack. */
static void build_posting(struct order *order, lua_State *L)
{
    struct text *text = &order->posting;
    text->size = 0;
    add(text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SALES_ORDERS><SALES_ORDER>"
        "<CUSTOMER_DETAIL><IS_NEW_CUSTOMER>0</IS_NEW_CUSTOMER><OTHER_REF>S%u-GBP</OTHER_REF>"
        "<COMPANY_CLASS>Web Retail</COMPANY_CLASS><ADDRESSES><INVADDR>",
        (unsigned)order->id);
    add_address(text, L);
    add(text,
        "</INVADDR></ADDRESSES></CUSTOMER_DETAIL><PAYMENTS><PAYMENT_DETAIL>"
        "<PAYMENT_TYPE>2</PAYMENT_TYPE><PREAUTH>-1</PREAUTH><AUTH_CODE>ADYEN</AUTH_CODE>"
        "<ACCOUNT_NAME>Web Card Clearing</ACCOUNT_NAME></PAYMENT_DETAIL></PAYMENTS>"
        "<ORDER_HEADER><ASSOCIATED_REF>SC%u</ASSOCIATED_REF><SITE>Main Warehouse</SITE>",
        (unsigned)order->id);
    add_field(text, L, "ORDER_DATE", "confirmedAt");
    add_field(text, L, "ORDER_CURRENCY_CODE", "currencyCode");
    add_field(text, L, "INVOICE_NOTE", "publicKey");
    add(text, "<DELIVERY_GRS>4.95</DELIVERY_GRS><COURIER_CODE>DPD48</COURIER_CODE>"
              "<BRAND>Fellside Outdoor</BRAND><SALES_SOURCE>Web UK</SALES_SOURCE></ORDER_HEADER>"
              "<ORDER_ITEMS>");
    add_lines(text, L);
    add(text, "</ORDER_ITEMS></SALES_ORDER></SALES_ORDERS>");
}

static void build_envelope(struct order *order, const char *inner, size_t inner_size)
{
    const char *action = ACTIONS[order->call];
    add(&order->request,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope "
        "xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\" "
        "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" "
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xmlns:SOAP-ENC=\"http://schemas.xmlsoap.org/soap/encoding/\"><SOAP-ENV:Body>"
        "<NS1:%s xmlns:NS1=\"urn:IKosWebIntf-IKosWeb\"><P xsi:type=\"xsd:string\">",
        action);
    add_escaped(&order->request, inner, inner_size);
    add(&order->request, "</P></NS1:%s></SOAP-ENV:Body></SOAP-ENV:Envelope>", action);
}

static void build_request(struct order *order)
{
    char inner[INNER_MAX];
    int size = 0;
    order->request.size = 0;
    switch (order->call) {
    case CALL_EXPORT_COMPANY:
        size = snprintf(inner, sizeof(inner), "S%u-GBP", (unsigned)order->id);
        break;
    case CALL_IMPORT_COMPANY:
        size = snprintf(inner, sizeof(inner),
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><COMPANYS><COMPANY>"
                        "<PASSED_REFERENCE>S%u-GBP</PASSED_REFERENCE><OTHER_REF>S%u-GBP</OTHER_REF>"
                        "<COMPANY_NAME>Ravi Sandhu</COMPANY_NAME><CURRENCY_CODE>GBP</CURRENCY_CODE>"
                        "<COMPANY_CLASS>Web Retail</COMPANY_CLASS><ADDRESSES><ADDRESS>"
                        "<ADDR1>2a Station Approach</ADDR1><TOWN>Cambridge</TOWN>"
                        "<POSTCODE>CB1 2JW</POSTCODE><ADDRTYPE>1</ADDRTYPE>"
                        "<COUNTRY_CODE>GBR</COUNTRY_CODE></ADDRESS></ADDRESSES></COMPANY>"
                        "</COMPANYS>",
                        (unsigned)order->id, (unsigned)order->id);
        break;
    case CALL_IMPORT_ORDERS:
        build_envelope(order, order->posting.data, order->posting.size);
        return;
    case CALL_ORDER_STATUS:
        size = snprintf(inner, sizeof(inner), "SC%u", (unsigned)order->id);
        break;
    case CALL_PUT_REFERENCE:
        add(&order->request, "{\"referenceKey\":\"SO%u\"}", (unsigned)order->id);
        return;
    default:
        return;
    }
    build_envelope(order, inner, (size_t)size);
}

/* ---- reading XML ---- */

static void on_text(void *arg, const XML_Char *data, int size)
{
    struct text *text = arg;
    if (text->size + (size_t)size < TEXT_MAX) {
        memcpy(text->data + text->size, data, (size_t)size);
        text->size += (size_t)size;
    }
}

/* Parses; the character data is collected. */
static void parse_xml(const char *data, size_t size, struct text *collected)
{
    XML_Parser parser = XML_ParserCreate(NULL);
    collected->size = 0;
    XML_SetUserData(parser, collected);
    XML_SetCharacterDataHandler(parser, on_text);
    floor_check(XML_Parse(parser, data, (int)size, 1) == XML_STATUS_OK, "parsing XML");
    XML_ParserFree(parser);
}

static void read_answer(struct order *order)
{
    lua_State *L = order->flow->L;
    static struct text outer;
    static struct text inner;
    switch (order->call) {
    case CALL_GET_ORDER:
        floor_decode(L, order->answer.data, order->answer.size);
        build_posting(order, L);
        lua_pop(L, 1);
        break;
    case CALL_PUT_REFERENCE:
        floor_decode(L, order->answer.data, order->answer.size);
        lua_pop(L, 1);
        break;
    case CALL_EXPORT_COMPANY:
    case CALL_ORDER_STATUS:
        parse_xml(order->answer.data, order->answer.size, &outer);
        parse_xml(outer.data, outer.size, &inner); /* a document as text */
        break;
    default:
        parse_xml(order->answer.data, order->answer.size, &outer);
        break;
    }
}

/* ---- calls ---- */

static size_t on_body(char *data, size_t unit, size_t count, void *arg)
{
    struct order *order = arg;
    size_t size = unit * count;
    floor_check(order->answer.size + size < TEXT_MAX, "reading an answer");
    memcpy(order->answer.data + order->answer.size, data, size);
    order->answer.size += size;
    return size;
}

static void set_headers(struct order *order)
{
    char line[128];
    curl_slist_free_all(order->headers);
    order->headers = curl_slist_append(NULL, "Expect:");
    if (ACTIONS[order->call] != NULL) {
        snprintf(line, sizeof(line), "SOAPAction: \"urn:IKosWebIntf-IKosWeb#%s\"",
                 ACTIONS[order->call]);
        order->headers = curl_slist_append(order->headers, line);
        order->headers = curl_slist_append(order->headers, "Content-Type: text/xml; charset=utf-8");
    } else {
        order->headers = curl_slist_append(order->headers, "Content-Type: application/json");
        order->headers = curl_slist_append(order->headers, "X-Access-Token: sandbox-token");
    }
    curl_easy_setopt(order->easy, CURLOPT_HTTPHEADER, order->headers);
}

static void start_call(void *arg)
{
    struct order *order = arg;
    struct flow *flow = order->flow;
    const char *action = ACTIONS[order->call];
    bool is_fresh = order->call == CALL_IMPORT_COMPANY || order->call == CALL_IMPORT_ORDERS;
    build_request(order);
    order->answer.size = 0;
    curl_easy_reset(order->easy);
    if (action != NULL) {
        snprintf(order->url, sizeof(order->url), "http://127.0.0.1:%u/khaos/soap/IKosWeb",
                 flow->port);
    } else {
        snprintf(order->url, sizeof(order->url),
                 "http://127.0.0.1:%u/scayle/api/admin/v1/shops/fo/countries/GB/orders/%u%s",
                 flow->port, (unsigned)order->id,
                 order->call == CALL_PUT_REFERENCE ? "/reference-key" : "");
    }
    curl_easy_setopt(order->easy, CURLOPT_URL, order->url);
    curl_easy_setopt(order->easy, CURLOPT_PRIVATE, order);
    curl_easy_setopt(order->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(order->easy, CURLOPT_WRITEDATA, order);
    curl_easy_setopt(order->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(order->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(order->easy, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(order->easy, CURLOPT_FRESH_CONNECT, is_fresh ? 1L : 0L);
    curl_easy_setopt(order->easy, CURLOPT_FORBID_REUSE, is_fresh ? 1L : 0L);
    if (order->request.size > 0) {
        curl_easy_setopt(order->easy, CURLOPT_POSTFIELDSIZE, (long)order->request.size);
        curl_easy_setopt(order->easy, CURLOPT_POSTFIELDS, order->request.data);
    }
    if (order->call == CALL_PUT_REFERENCE) {
        curl_easy_setopt(order->easy, CURLOPT_CUSTOMREQUEST, "PUT");
    }
    set_headers(order);
    floor_check(curl_multi_add_handle(flow->multi, order->easy) == CURLM_OK, "starting a call");
}

static void end_order(void *arg)
{
    struct order *order = arg;
    curl_easy_cleanup(order->easy);
    curl_slist_free_all(order->headers);
    free(order);
}

static void on_answer(struct order *order)
{
    char key[48];
    read_answer(order);
    int size = snprintf(key, sizeof(key), "answer:%u:%d", (unsigned)order->id, (int)order->call);
    floor_put(order->env, key, (size_t)size, order->answer.data, order->answer.size);
    order->call++;
    floor_release(order->call == CALL_COUNT ? end_order : start_call, order);
}

void flow_start(struct flow *flow, struct floor_env *env, uint32_t order_id)
{
    struct order *order = malloc(sizeof(*order));
    memset(order, 0, offsetof(struct order, request));
    order->flow = flow;
    order->env = env;
    order->id = order_id;
    order->easy = curl_easy_init();
    start_call(order);
}

/* ---- libcurl on the loop ---- */

static void act(struct flow *flow, curl_socket_t fd, int what)
{
    int running = 0;
    int left = 0;
    CURLMsg *message = NULL;
    curl_multi_socket_action(flow->multi, fd, what, &running);
    while ((message = curl_multi_info_read(flow->multi, &left)) != NULL) {
        struct order *order = NULL;
        long status = 0;
        CURL *easy = message->easy_handle;
        floor_check(message->data.result == CURLE_OK, "a call");
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &order);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        floor_check(status == 200, "a call's status");
        curl_multi_remove_handle(flow->multi, easy);
        on_answer(order);
    }
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    act(arg, fd,
        ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
            ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watched)
{
    (void)easy;
    struct flow *flow = arg;
    struct event *event = watched;
    if (event != NULL) {
        event_free(event);
        event = NULL;
    }
    if (what != CURL_POLL_REMOVE) {
        short flags = (short)(((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
                              ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0) | EV_PERSIST);
        event = event_new(flow->base, fd, flags, on_event, flow);
        event_add(event, NULL);
    }
    curl_multi_assign(flow->multi, fd, event);
    return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct flow *flow = arg;
    struct timeval wait = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    if (timeout_ms < 0) {
        event_del(flow->timer);
    } else {
        event_add(flow->timer, &wait);
    }
    return 0;
}

struct flow *flow_open(struct event_base *base, lua_State *L, unsigned upstream_port)
{
    struct flow *flow = calloc(1, sizeof(*flow));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    flow->base = base;
    flow->L = L;
    flow->port = upstream_port;
    flow->multi = curl_multi_init();
    flow->timer = evtimer_new(base, on_timer, flow);
    curl_multi_setopt(flow->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(flow->multi, CURLMOPT_SOCKETDATA, flow);
    curl_multi_setopt(flow->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(flow->multi, CURLMOPT_TIMERDATA, flow);
    curl_multi_setopt(flow->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    return flow;
}
