/*
 * floor: the bare program that the host is compared with.
 *
 *     floor --data DIR --listen PORT [--clients N] [--upstream PORT]
 *
 * POST /c<n>/scayle/delegation is decoded, kept (payload by number, number by order id) and
 * answered after the commit. With --upstream, the calls of the orders flow follow.
 */
#include "tests/bench/floor.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <lauxlib.h>
#include <lualib.h>

#define MAP_BYTES ((size_t)8 << 30)

int luaopen_cjson(lua_State *L);

struct released {
    void (*fn)(void *arg);
    void *arg;
};

static struct floor_state {
    struct floor_env *envs;
    unsigned env_count;
    struct released *released;
    size_t released_count;
    size_t released_capacity;
    lua_State *L;
    struct flow *flow; /* NULL: accepts only */
    uint64_t next_number;
    bool has_stopped;
} state;

void floor_check(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "floor: %s failed\n", what);
        exit(1);
    }
}

/* ---- JSON ---- */

void floor_decode(lua_State *L, const char *text, size_t size)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "decode");
    lua_pushlstring(L, text, size);
    floor_check(lua_pcall(L, 1, 1, 0) == LUA_OK && lua_istable(L, -1), "decoding");
}

lua_Integer floor_integer(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    lua_Integer number = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return number;
}

static lua_State *open_lua(void)
{
    lua_State *L = luaL_newstate();
    floor_check(L != NULL, "opening Lua");
    luaL_requiref(L, "cjson", luaopen_cjson, 0);
    lua_getfield(L, -1, "decode");
    lua_setfield(L, LUA_REGISTRYINDEX, "decode");
    lua_pop(L, 1);
    return L;
}

/* ---- the store and the turn ---- */

void floor_put(struct floor_env *env, const void *key, size_t key_size, const void *value,
               size_t value_size)
{
    MDB_val k = {key_size, (void *)(uintptr_t)key};
    MDB_val v = {value_size, (void *)(uintptr_t)value};
    if (env->txn == NULL) {
        floor_check(mdb_txn_begin(env->env, NULL, 0, &env->txn) == 0, "beginning");
    }
    floor_check(mdb_put(env->txn, env->dbi, &k, &v, 0) == 0, "putting");
}

void floor_release(void (*fn)(void *arg), void *arg)
{
    if (state.released_count == state.released_capacity) {
        state.released_capacity = state.released_capacity == 0 ? 64 : state.released_capacity * 2;
        state.released = realloc(state.released, state.released_capacity * sizeof(*state.released));
    }
    state.released[state.released_count++] = (struct released){fn, arg};
}

static void end_turn(void)
{
    for (unsigned i = 0; i < state.env_count; i++) {
        struct floor_env *env = &state.envs[i];
        if (env->txn != NULL) {
            floor_check(mdb_txn_commit(env->txn) == 0, "committing");
            env->txn = NULL;
        }
    }
    /* What is released may put again: that belongs to the next turn. */
    size_t count = state.released_count;
    for (size_t i = 0; i < count; i++) {
        state.released[i].fn(state.released[i].arg);
    }
    state.released_count -= count;
    memmove(state.released, state.released + count, state.released_count * sizeof(*state.released));
}

static void open_envs(const char *folder)
{
    state.envs = calloc(state.env_count, sizeof(*state.envs));
    for (unsigned i = 0; i < state.env_count; i++) {
        char path[1024];
        MDB_txn *txn = NULL;
        struct floor_env *env = &state.envs[i];
        snprintf(path, sizeof(path), "%s/c%u", folder, i);
        mkdir(folder, 0700);
        mkdir(path, 0700);
        floor_check(mdb_env_create(&env->env) == 0 &&
                        mdb_env_set_mapsize(env->env, MAP_BYTES) == 0 &&
                        mdb_env_open(env->env, path, MDB_NOTLS, 0600) == 0,
                    "opening an environment");
        floor_check(mdb_txn_begin(env->env, NULL, 0, &txn) == 0 &&
                        mdb_dbi_open(txn, NULL, 0, &env->dbi) == 0 && mdb_txn_commit(txn) == 0,
                    "opening a database");
    }
}

/* ---- HTTP ---- */

struct answer {
    struct evhttp_request *request;
    uint32_t order_id;
    unsigned env;
};

static void send_answer(void *arg)
{
    struct answer *answer = arg;
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(
        body,
        "{\"orderDelegationResult\":\"acknowledged\",\"referenceKey\":\"%u\",\"statusCode\":201}",
        (unsigned)answer->order_id);
    evhttp_add_header(evhttp_request_get_output_headers(answer->request), "Content-Type",
                      "application/json");
    evhttp_send_reply(answer->request, 201, "Created", body);
    evbuffer_free(body);
    if (state.flow != NULL) {
        flow_start(state.flow, &state.envs[answer->env], answer->order_id);
    }
    free(answer);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    (void)arg;
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(input);
    const char *body = (const char *)evbuffer_pullup(input, -1);
    unsigned env = (unsigned)strtoul(evhttp_request_get_uri(request) + 2, NULL, 10);
    if (body == NULL || env >= state.env_count) {
        evhttp_send_reply(request, 200, "OK", NULL); /* is it up? */
        return;
    }
    struct answer *answer = calloc(1, sizeof(*answer));
    answer->request = request;
    answer->env = env;
    floor_decode(state.L, body, size);
    answer->order_id = (uint32_t)floor_integer(state.L, "orderId");
    lua_pop(state.L, 1);
    uint64_t number = __builtin_bswap64(++state.next_number);
    char key[32];
    int key_size = snprintf(key, sizeof(key), "order:%u", (unsigned)answer->order_id);
    floor_put(&state.envs[env], &number, sizeof(number), body, size);
    floor_put(&state.envs[env], key, (size_t)key_size, &number, sizeof(number));
    floor_release(send_answer, answer);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    state.has_stopped = true;
}

static struct event_base *open_base(void)
{
    struct event_config *config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    struct event_base *base = event_base_new_with_config(config);
    floor_check(base != NULL, "opening the loop");
    event_config_free(config);
    return base;
}

static const struct option OPTIONS[] = {
    {"data", required_argument, NULL, 'd'},
    {"listen", required_argument, NULL, 'l'},
    {"clients", required_argument, NULL, 'k'},
    {"upstream", required_argument, NULL, 'u'},
    {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
    const char *folder = NULL;
    unsigned numbers[128] = {['k'] = 1};
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        floor_check(letter != '?', "reading the options");
        if (letter == 'd') {
            folder = optarg;
        } else {
            numbers[letter] = (unsigned)strtoul(optarg, NULL, 10);
        }
    }
    floor_check(folder != NULL && numbers['l'] != 0, "reading the options");
    state.env_count = numbers['k'];
    open_envs(folder);
    state.L = open_lua();
    struct event_base *base = open_base();
    if (numbers['u'] != 0) {
        state.flow = flow_open(base, state.L, numbers['u']);
    }
    struct evhttp *http = evhttp_new(base);
    evhttp_set_gencb(http, on_request, NULL);
    floor_check(evhttp_bind_socket(http, "127.0.0.1", (uint16_t)numbers['l']) == 0, "listening");
    struct event *stop = evsignal_new(base, SIGTERM, on_signal, NULL);
    event_add(stop, NULL);
    while (!state.has_stopped) {
        event_base_loop(base, state.released_count > 0 ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
        end_turn();
    }
    return 0;
}
