/*
 * What the host's figures are compared with: the same libraries doing the same work with nothing
 * else around them.
 *
 *     footprint_floor serve PORT FOLDER    LMDB, Lua with cjson, libevent and libcurl ready; any
 *                                          connection to PORT is answered 200
 *     footprint_floor scripts FILE...      microseconds to read and compile the files in one state
 *     footprint_floor mirror FOLDER N      milliseconds to write N sorted stock codes, one commit
 *     footprint_floor delta FOLDER N       milliseconds to read N of them, spread over all, and
 *                                          write them again, one commit
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <lauxlib.h>
#include <lmdb.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAP_BYTES ((size_t)4 << 30)

int luaopen_cjson(lua_State *L);

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void check(int rc, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "%s: %d\n", what, rc);
        exit(1);
    }
}

static MDB_env *open_env(const char *folder)
{
    MDB_env *env = NULL;
    mkdir(folder, 0700);
    check(mdb_env_create(&env), "mdb_env_create");
    check(mdb_env_set_mapsize(env, MAP_BYTES), "mdb_env_set_mapsize");
    check(mdb_env_open(env, folder, 0, 0600), "mdb_env_open");
    return env;
}

static MDB_txn *begin(MDB_env *env, MDB_dbi *dbi)
{
    MDB_txn *txn = NULL;
    check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
    check(mdb_dbi_open(txn, NULL, 0, dbi), "mdb_dbi_open");
    return txn;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int size, void *arg)
{
    static const char ANSWER[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    (void)listener;
    (void)from;
    (void)size;
    (void)arg;
    if (write(fd, ANSWER, sizeof(ANSWER) - 1) < 0) {
        perror("write");
    }
    shutdown(fd, SHUT_WR);
    close(fd);
}

static void serve(int port, const char *folder)
{
    MDB_env *env = open_env(folder);
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "cjson", luaopen_cjson, 1);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    struct event_base *base = event_base_new();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                128, (struct sockaddr *)&address, sizeof(address));
    check(listener == NULL, "listening");
    event_base_dispatch(base);
    curl_multi_cleanup(multi);
    lua_close(L);
    mdb_env_close(env);
}

static void load_scripts(char **files)
{
    double start = now_us();
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    for (; *files != NULL; files++) {
        check(luaL_loadfilex(L, *files, "t"), *files);
    }
    printf("%.0f\n", now_us() - start);
    lua_close(L);
}

/* Keys and values as long as those of the mirror's own table. */
static void put_code(MDB_txn *txn, MDB_dbi dbi, unsigned number, unsigned revision)
{
    char key_text[64];
    char value_text[128];
    int key_size = snprintf(key_text, sizeof(key_text), ".khaos_stockSKU%07uM", number);
    int value_size = snprintf(value_text, sizeof(value_text),
                              ".....{\"SKU-%07u-M\":{\"last_updated\":\"2026-05-04T10:00:%02u\"}}",
                              number, revision);
    MDB_val key = {(size_t)key_size, key_text};
    MDB_val value = {(size_t)value_size, value_text};
    MDB_val old;
    if (revision > 0) {
        check(mdb_get(txn, dbi, &key, &old), "mdb_get");
    }
    check(mdb_put(txn, dbi, &key, &value, 0), "mdb_put");
}

static void write_codes(const char *folder, unsigned count, unsigned step, unsigned revision)
{
    MDB_env *env = open_env(folder);
    MDB_dbi dbi;
    double start = now_us();
    MDB_txn *txn = begin(env, &dbi);
    for (unsigned i = 0; i < count; i++) {
        put_code(txn, dbi, i * step, revision);
    }
    check(mdb_txn_commit(txn), "mdb_txn_commit");
    printf("%.1f\n", (now_us() - start) / 1e3);
    mdb_env_close(env);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "serve") == 0) {
        serve((int)strtol(argv[2], NULL, 10), argv[3]);
    } else if (argc >= 3 && strcmp(argv[1], "scripts") == 0) {
        load_scripts(argv + 2);
    } else if (argc >= 4 && strcmp(argv[1], "mirror") == 0) {
        write_codes(argv[2], (unsigned)strtoul(argv[3], NULL, 10), 1, 0);
    } else if (argc >= 4 && strcmp(argv[1], "delta") == 0) {
        write_codes(argv[2], (unsigned)strtoul(argv[3], NULL, 10), 100, 1);
    } else {
        fprintf(stderr, "usage: footprint_floor serve|scripts|mirror|delta ...\n");
        return 2;
    }
    return 0;
}
