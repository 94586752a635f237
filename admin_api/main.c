/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd: `init` writes the keys of a new fleet, commands.h has what else it does; by
 * default it serves the API until SIGTERM or SIGINT; SIGHUP rereads the TLS files and
 * opens the event log anew. The daemon stays in the foreground and logs to stderr:
 * systemd does the rest. A dead memcached is no reason not to start.
 */
#include "../core/bus/trust.h"
#include "backtest/job.h"
#include "commands/commands.h"
#include "events/event_file.h"
#include "events/hub.h"
#include "events/webhooks.h"
#include "fleet/collector.h"
#include "fleet/keys.h"
#include "fleet/publisher.h"
#include "http/auth.h"
#include "http/first_token.h"
#include "http/http_stats.h"
#include "http/server.h"
#include "http/tls.h"
#include "http/trail.h"
#include "log.h"
#include "store/store.h"
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#define DESCRIPTORS 4096

static int init(const admin_options_t *options)
{
    char why[256] = "";
    l7s_status_t status = l7s_trust_create(options->secret_file, options->trust_file,
                                           options->signing_key_file, why);
    if (status != L7S_OK) {
        fprintf(stderr, "l7shieldd init: %s\n",
                why[0] == '\0' ? l7s_status_name(status) : why);
        return 1;
    }
    printf("wrote %s  (the daemon's private key: keep it here)\n"
           "wrote %s  (its public key: copy it to the nodes)\n"
           "wrote %s  (the fleet's secret: copy it to the nodes, mode 0600)\n",
           options->signing_key_file, options->trust_file, options->secret_file);
    return 0;
}

/* Signals are taken by the main thread only; libmemcached's threads must see none. */
static void block_signals(sigset_t *awaited)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(awaited);
    sigaddset(awaited, SIGTERM);
    sigaddset(awaited, SIGINT);
    sigaddset(awaited, SIGHUP);
}

static bool start_parts(admin_daemon_t *daemon, admin_server_t **server)
{
    const admin_options_t *options = daemon->options;
    char why[256] = "";
    l7s_status_t status = admin_keys_open(options, why, &daemon->keys);
    if (status == L7S_OK) {
        status = admin_store_open(options->data_dir, why, &daemon->store);
    }
    if (status == L7S_OK) {
        status = admin_first_token(daemon->store, options->token_file, daemon->started_ms,
                                   why);
    }
    if (status == L7S_OK) {
        status = admin_sessions_create(&daemon->sessions);
    }
    if (status == L7S_OK) {
        status = admin_auth_create(daemon->store, daemon->sessions, &daemon->auth);
    }
    if (status == L7S_OK) {
        status = admin_trail_create(daemon->store, &daemon->trail);
    }
    daemon->http_stats = admin_http_stats_create();
    if (status == L7S_OK && daemon->http_stats == NULL) {
        status = L7S_NO_MEMORY;
    }
    if (status == L7S_OK) {
        status = admin_hub_start(daemon, &daemon->hub);
    }
    if (status == L7S_OK) {
        status = admin_jobs_create(&daemon->jobs);
    }
    if (status == L7S_OK) {
        status = admin_event_file_start(daemon, &daemon->event_file);
    }
    if (status == L7S_OK) {
        status = admin_webhooks_start(daemon, &daemon->webhooks);
    }
    if (status == L7S_OK) {
        status = admin_publisher_start(daemon, &daemon->publisher);
    }
    if (status == L7S_OK) {
        status = admin_collector_start(daemon, &daemon->collector);
    }
    if (status == L7S_OK) {
        status = admin_tls_open(options, why, &daemon->tls);
    }
    if (status == L7S_OK) {
        status = admin_server_start(daemon, why, server);
    }
    if (status != L7S_OK) {
        admin_log(ADMIN_ERROR, "L7S3003", "cannot start: %s",
                  why[0] == '\0' ? l7s_status_name(status) : why);
    }
    return status == L7S_OK;
}

/* In the reverse order: who uses a part stops before it. */
static void stop_parts(admin_daemon_t *daemon, admin_server_t *server)
{
    atomic_store(&daemon->stopping, true);
    admin_jobs_stop(daemon->jobs); /* what it streams ends before the server does */
    admin_server_stop(server);
    admin_tls_close(daemon->tls);
    if (daemon->collector != NULL) {
        admin_collector_stop(daemon->collector);
    }
    if (daemon->publisher != NULL) {
        admin_publisher_stop(daemon->publisher);
    }
    admin_webhooks_stop(daemon->webhooks);
    admin_event_file_stop(daemon->event_file);
    admin_hub_stop(daemon->hub);
    admin_http_stats_free(daemon->http_stats);
    admin_trail_free(daemon->trail, admin_wall_ms());
    admin_auth_free(daemon->auth);
    admin_sessions_free(daemon->sessions);
    admin_store_close(daemon->store);
    admin_keys_close(daemon->keys);
}

/* One for each connection, with room for databases and memcached. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Until the signal that ends it, which it returns. */
static int watch_files(admin_daemon_t *daemon, const sigset_t *awaited)
{
    const struct timespec second = {.tv_sec = 1};
    int number = 0;
    while (number != SIGTERM && number != SIGINT) {
        number = sigtimedwait(awaited, NULL, &second);
        if (number == SIGHUP) {
            admin_log(ADMIN_INFO, "L7S3006", "opening the event log anew");
            admin_event_file_reopen(daemon->event_file);
        }
        admin_tls_refresh(daemon->tls, number == SIGHUP, admin_wall_ms());
    }
    return number;
}

static int serve(const admin_options_t *options)
{
    sigset_t awaited;
    block_signals(&awaited);
    umask(077);
    raise_descriptors();
    admin_daemon_t daemon = {.options = options, .started_ms = admin_wall_ms()};
    admin_server_t *server = NULL;
    int result = 1;
    if (start_parts(&daemon, &server)) {
        admin_log(ADMIN_INFO, "L7S3004", "l7shieldd %s is ready", L7S_VERSION);
        admin_log(ADMIN_INFO, "L7S3005", "stopping on signal %d",
                  watch_files(&daemon, &awaited));
        result = 0;
    }
    stop_parts(&daemon, server);
    return result;
}

/* libmemcached must see no signal, in commands either; they end by themselves. */
static int run(const admin_options_t *options)
{
    static const struct {
        const char *name;
        int (*run)(const admin_options_t *options);
    } commands[] = {{"init", init},
                    {"new-epoch", admin_new_epoch},
                    {"emergency", admin_emergency},
                    {"backup", admin_backup},
                    {"restore", admin_restore},
                    {"recover", admin_recover},
                    {"backtest", admin_backtest}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(options->command, commands[i].name) == 0) {
            signal(SIGPIPE, SIG_IGN);
            umask(077);
            return commands[i].run(options);
        }
    }
    return serve(options);
}

int main(int argc, char **argv)
{
    admin_options_t options;
    l7s_problems_t problems = {0};
    l7s_status_t status = admin_options_read(argc, argv, &problems, &options);
    if (status != L7S_OK) {
        for (size_t i = 0; i < problems.count; i++) {
            fprintf(stderr, "l7shieldd: %s%s%s\n", problems.items[i].pointer,
                    problems.items[i].pointer[0] == '\0' ? "" : ": ",
                    problems.items[i].message);
        }
        return status == L7S_NOT_FOUND ? 0 : 2;
    }
    int result = run(&options);
    admin_options_clear(&options);
    return result;
}
