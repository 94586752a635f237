/* SPDX-License-Identifier: Apache-2.0
 *
 * What the operator told the daemon: a JSON file, then options of the same names, which
 * win. Everything is validated with the DaemonConfig schema before anything is opened.
 */
#ifndef ADMIN_OPTIONS_H
#define ADMIN_OPTIONS_H

#include "../core/status.h"
#include <jansson.h>

#define ADMIN_SERVERS_MAX 16
#define ADMIN_HOSTS_MAX 16

/* Of single commands; NULL or false when not given. */
typedef struct {
    const char *from_node_state;          /* recover */
    const char *policies, *format, *host; /* backtest */
    bool json;
} admin_command_options_t;

/* Strings are owned by `document` and "" when not given, except unix_socket, event_log
 * and the members of tls, which are NULL then. */
typedef struct {
    json_t *document;     /* file and options merged */
    const char *command;  /* "serve", "init", … */
    const char *argument; /* of the command, "" without one */
    admin_command_options_t of_command;
    const char *listen; /* "127.0.0.1:9180", "[::1]:9180" */
    const char *unix_socket;
    const char *event_log;  /* NULL: none */
    const char *webhook_ca; /* NULL: the system's */
    bool webhook_private;   /* webhooks at private addresses are allowed */
    const char *data_dir;
    const char *secret_file, *signing_key_file, *trust_file, *token_file;
    const char *tls_cert, *tls_key, *tls_client_ca;
    const char *backtest_folder; /* NULL: none */
    const char *backup_folder;   /* NULL: none */
    size_t backtest_max_upload_bytes;
    size_t server_count;
    const char *servers[ADMIN_SERVERS_MAX]; /* memcached, "address:port" */
    size_t host_count;
    const char *hosts[ADMIN_HOSTS_MAX]; /* allowed_hosts */
} admin_options_t;

/* L7S_INVALID: `problems` says what is wrong, with pointers like "/listen".
 * L7S_NOT_FOUND: help or version was asked for and printed. */
L7S_MUST_USE l7s_status_t admin_options_read(int argc, char **argv,
                                             l7s_problems_t *problems,
                                             admin_options_t *out);
void admin_options_clear(admin_options_t *options);

#endif
