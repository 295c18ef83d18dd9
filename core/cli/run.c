/* neap run: a host in the foreground until SIGTERM or Ctrl-C. */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netdb.h>
#include <unistd.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/cli/cli.h"
#include "core/cli/serve.h"
#include "neap/host.h"

#define DRAIN_MAX_MS 600000

/* ---- Health probe, for containers that have no HTTP client
 * --------------------------------------- */

static int probe_connected(int fd)
{
    static const char QUESTION[] =
        "GET /healthz HTTP/1.1\r\nHost: neap\r\nConnection: close\r\n\r\n";
    struct timeval timeout = {3, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    char answer[64] = "";
    if (send(fd, QUESTION, sizeof(QUESTION) - 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof(answer) - 1, 0) <= 0) {
        return CLI_UNREACHABLE;
    }
    return strncmp(answer, "HTTP/1.1 200", 12) == 0 ? CLI_OK : CLI_WRONG;
}

static int probe(const struct cli_args *args, const char *address)
{
    char *host = xstrdup(address);
    char *colon = strrchr(host, ':');
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc = CLI_UNREACHABLE;
    if (colon != NULL) {
        *colon = '\0';
        rc = getaddrinfo(host, colon + 1, &hints, &found) == 0 ? CLI_OK : CLI_UNREACHABLE;
    }
    if (rc == CLI_OK) {
        int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        rc = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? probe_connected(fd)
                                                                            : CLI_UNREACHABLE;
        if (fd >= 0) {
            close(fd);
        }
        freeaddrinfo(found);
    }
    free(host);
    return rc == CLI_OK ? rc : cli_fail(args, rc, "%s is not healthy", address);
}

/* ---- Folders
 * --------------------------------------------------------------------------------------- */

static void add_client(struct serve_folders *folders, char *path)
{
    folders->paths = xrealloc(folders->paths, (folders->count + 2) * sizeof(char *));
    folders->paths[folders->count++] = path;
    folders->paths[folders->count] = NULL;
}

/* Every subfolder with a client.lua, in name order. */
static int add_clients_below(struct serve_folders *folders, const char *parent)
{
    struct dirent **names = NULL;
    int count = scandir(parent, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char *path = xasprintf("%s/%s", parent, names[i]->d_name);
        char *manifest = xasprintf("%s/client.lua", path);
        if (names[i]->d_name[0] != '.' && access(manifest, R_OK) == 0) {
            add_client(folders, path);
        } else {
            free(path);
        }
        free(manifest);
        free(names[i]);
    }
    free(names);
    return count < 0 ? ERROR_NOT_FOUND : 0;
}

int serve_find_clients(const struct cli_args *args, struct serve_folders *folders)
{
    const char *path = NULL;
    for (size_t i = 0; (path = cli_option_at(args, "--client", i)) != NULL; i++) {
        add_client(folders, xstrdup(path));
    }
    for (size_t i = 0; (path = cli_option_at(args, "--clients", i)) != NULL; i++) {
        if (add_clients_below(folders, path) != 0) {
            return cli_fail(args, CLI_NOT_FOUND, "there is no folder %s", path);
        }
    }
    if (folders->count == 0) {
        return cli_fail(
            args, CLI_USAGE,
            "no client: give --client DIR (a folder with a client.lua) or --clients DIR");
    }
    return CLI_OK;
}

void serve_folders_free(struct serve_folders *folders)
{
    for (size_t i = 0; i < folders->count; i++) {
        free(folders->paths[i]);
    }
    free(folders->paths);
}

/* ---- Signals and logs
 * -------------------------------------------------------------------------------- */

void serve_configure_log(const struct cli_args *args, enum log_level level)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    const char *wanted = cli_option(args, "--log-level");
    for (size_t i = 0; wanted != NULL && i < 4; i++) {
        level = strcmp(LEVELS[i], wanted) == 0 ? (enum log_level)i : level;
    }
    const char *format = cli_option(args, "--log");
    log_configure(level, format == NULL                ? LOG_FORMAT_AUTO
                         : strcmp(format, "json") == 0 ? LOG_FORMAT_JSON
                                                       : LOG_FORMAT_HUMAN);
}

static void collect(const struct cli_args *args, const char *option, const char *values[])
{
    size_t i = 0;
    while (i < CLI_VALUES_MAX && (values[i] = cli_option_at(args, option, i)) != NULL) {
        i++;
    }
    values[i] = NULL;
}

static int serve(const struct cli_args *args, const struct serve_folders *folders,
                 const char *scripts)
{
    const char *listen[CLI_VALUES_MAX + 1];
    const char *variables[CLI_VALUES_MAX + 1];
    collect(args, "--listen", listen);
    collect(args, "--set", variables);
    if (listen[0] == NULL) {
        listen[0] = "127.0.0.1:8080";
        listen[1] = NULL;
    }
    long long drain_ms = 10000;
    if (!cli_option_int(args, "--drain-ms", 0, DRAIN_MAX_MS, &drain_ms)) {
        return CLI_USAGE;
    }
    struct host_options options = {
        .data_folder = cli_data_folder(args),
        .client_folders = (const char *const *)folders->paths,
        .scripts_root = scripts,
        .secrets_folder = cli_option(args, "--secrets"),
        .variables = variables,
        .listen = listen,
        .tls_cert_file = cli_option(args, "--tls-cert"),
        .tls_key_file = cli_option(args, "--tls-key"),
        .drain_ms = drain_ms,
    };
    struct error err = {0};
    struct host *host = NULL;
    if (host_open(&host, &options, &err) != 0) {
        return cli_fail(args, err.code == ERROR_EXISTS ? CLI_UNREACHABLE : CLI_WRONG, "%s",
                        err.message);
    }
    int rc = host_run(host, &err);
    host_close(host);
    return rc == 0 ? CLI_OK : cli_fail(args, CLI_UNSAFE, "%s", err.message);
}

static int run_run(const struct cli_args *args)
{
    if (cli_has(args, "--probe")) {
        return probe(args, cli_option(args, "--probe"));
    }
    serve_configure_log(args, LOG_INFO);
    const char *kill_at = getenv("NEAP_KILL_AT");
    if (kill_at != NULL && strcmp(kill_at, "list") == 0) {
        kill_point_list(stdout);
        return CLI_OK;
    }
    struct error err = {0};
    if (kill_point_arm(kill_at, &err) != 0) {
        return cli_fail(args, CLI_USAGE, "%s", err.message);
    }
    struct serve_folders folders = {0};
    char *scripts = cli_scripts_root(args);
    int rc = serve_find_clients(args, &folders);
    if (rc == CLI_OK && scripts == NULL) {
        rc = cli_fail(args, CLI_NOT_FOUND, "the scripts folder is nowhere: give --scripts DIR");
    }
    if (rc == CLI_OK) {
        rc = serve(args, &folders, scripts);
    }
    free(scripts);
    serve_folders_free(&folders);
    log_shutdown();
    return rc;
}

const struct cli_verb CLI_RUN = {
    .name = "run",
    .summary = "serve clients until SIGTERM; SIGHUP loads their scripts anew",
    .usage = "neap run [options] --client DIR | --clients DIR",
    .details = "SIGTERM (or Ctrl-C) drains: no new requests, work under way ends, nothing is lost; "
               "a second\n"
               "one ends at once, which loses nothing either. Scripts are watched and loaded when "
               "they change.",
    .options =
        (const struct cli_option[]){
            {"--client", "DIR", "folder with a client.lua (repeatable)"},
            {"--clients", "DIR", "folder of such folders (repeatable)"},
            {"--data", "DIR", "data folder (default $NEAP_DATA or ./data)"},
            {"--listen", "ADDR", "127.0.0.1:8080 (default), [::1]:8080, unix:/path (repeatable)"},
            {"--tls-cert", "FILE", "serve TLS with this certificate chain"},
            {"--tls-key", "FILE", "and this key"},
            {"--secrets", "DIR", "folder of secret files; else the environment"},
            {"--set", "NAME=VALUE", "a value for var(\"NAME\") in manifests (repeatable)"},
            {"--scripts", "DIR", "connectors and flows shipped with the host"},
            {"--drain-ms", "N", "how long a stop waits for work under way (default 10000)"},
            {"--log", "json|human", "default: human on a terminal"},
            {"--log-level", "LEVEL", "debug, info, warn or error"},
            {"--probe", "ADDR", "ask a running host whether it is healthy, and exit"},
            {NULL, NULL, NULL}},
    .run = run_run,
};
