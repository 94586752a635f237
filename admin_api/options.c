/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration file and command line (options.h). Both become one JSON document, so that
 * one schema checks both and an error has the same pointer wherever the value came from.
 */
#include "options.h"
#include "../core/json/config.h"
#include "../core/schema/schema.h"
#include "http/listen.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)
#define UPLOAD_MAX ((size_t)1 << 30) /* unless the file says otherwise */

/* `member` NULL: not a key of the file. An object's member is "object.member". */
static const struct {
    const char *option, *member, *argument, *help;
} table[] = {
    {"config", NULL, "FILE", "JSON file with these keys (- becomes _)"},
    {"listen", "listen", "ADDRESS:PORT", "API address (127.0.0.1:9180)"},
    {"unix-socket", "unix_socket", "PATH", "API for root and this user on a unix socket"},
    {"data-dir", "data_dir", "DIR", "databases (/var/lib/l7shieldd)"},
    {"memcached", "memcached", "ADDRESS:PORT", "a server of the pool; may be repeated"},
    {"secret-file", "secret_file", "FILE", "the fleet's secret (/etc/l7shield/secret)"},
    {"signing-key-file", "signing_key_file", "FILE",
     "the daemon's private key (/etc/l7shield/signing.key)"},
    {"trust-file", "trust_file", "FILE",
     "its public key, for the nodes (/etc/l7shield/trust); written by init"},
    {"allowed-host", "allowed_hosts", "NAME",
     "a further name that clients may call the API by; may be repeated"},
    {"token-file", "token_file", "FILE", "where the first admin token goes (DATA/token)"},
    {"tls-cert", "tls.certificate_file", "FILE", "certificate chain, PEM: serve HTTPS"},
    {"tls-key", "tls.key_file", "FILE", "its private key, PEM"},
    {"backtest-folder", "backtest.folder", "DIR", "access logs that the API may read"},
    {"backup-folder", "backup.folder", "DIR", "where POST /v1/backup puts backups"},
    {"webhook-ca", "webhooks.ca_file", "FILE",
     "who may sign webhooks' certificates, instead of the system's"},
    {"webhook-private-targets", "webhooks.private_targets", "refuse|allow",
     "webhooks at private addresses (refuse)"},
    {"event-log", "event_log", "FILE|syslog|-", "events as lines of JSON, for a SIEM"},
    {"tls-client-ca", "tls.client_ca_file", "FILE",
     "demand client certificates of this authority, PEM, besides a token"},
    {"from-node-state", NULL, "FOLDER", "of recover: a copy of a node's state directory"},
    {"policies", NULL, "FILE", "of backtest: what is tried, like an L7ShieldPolicyFile"},
    {"format", NULL, "NAME", "of backtest: auto, combined, vhost_combined or json"},
    {"host", NULL, "NAME", "of backtest: the host of lines that name none"},
    {"json", NULL, NULL, "of backtest: the whole result as JSON"},
    {"help", NULL, NULL, "this text"},
    {"version", NULL, NULL, "the version"},
};

#define OPTIONS (sizeof table / sizeof table[0])

static void print_help(void)
{
    puts(
        "usage: l7shieldd [serve] [options]   serve the API\n"
        "       l7shieldd init [options]      write signing key, trust file and secret\n"
        "       l7shieldd emergency off|observe|enforce   the kill switch without a daemon\n"
        "       l7shieldd backup FILE         both databases into one file\n"
        "       l7shieldd restore FILE        and back, with a new epoch\n"
        "       l7shieldd new-epoch           after the data directory went back in time\n"
        "       l7shieldd recover --from-node-state FOLDER   from a node's snapshot\n"
        "       l7shieldd backtest LOG --policies FILE   what would they have stopped?\n");
    for (size_t i = 0; i < OPTIONS; i++) {
        char left[40];
        snprintf(left, sizeof left, "--%s %s", table[i].option,
                 table[i].argument == NULL ? "" : table[i].argument);
        printf("  %-32s %s\n", left, table[i].help);
    }
}

static json_t *read_config(const char *path, l7s_problems_t *problems)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(FILE_MAX);
    size_t size = text == NULL ? 0 : fread(text, 1, FILE_MAX, file);
    json_t *document = NULL;
    l7s_problems_t found = {.count = 0};
    if (text == NULL || ferror(file) != 0) {
        l7s_problems_add(problems, "", "unreadable", "%s: %s", path, strerror(errno));
    } else if (size == FILE_MAX) {
        l7s_problems_add(problems, "", "too_large", "%s is larger than 1 MiB", path);
    } else {
        document = l7s_json_read(text, size, &found);
    }
    for (size_t i = 0; i < found.count; i++) {
        l7s_problems_add(problems, "", found.items[i].code, "%.100s: %.140s", path,
                         found.items[i].message);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    if (document != NULL && !json_is_object(document)) {
        l7s_problems_add(problems, "", "type", "%s must hold a JSON object", path);
        json_decref(document);
        return NULL;
    }
    return document;
}

/* Puts an option's value into the document; the first --memcached replaces the file's. */
static bool apply(json_t *document, const char *member, const char *value)
{
    json_t *text = json_string(value);
    if (text == NULL) {
        return false; /* not UTF-8 */
    }
    if (strcmp(member, "memcached") == 0 || strcmp(member, "allowed_hosts") == 0) {
        json_t *array = json_object_get(document, member);
        if (array == NULL && json_object_set_new(document, member, json_array()) != 0) {
            json_decref(text);
            return false;
        }
        return json_array_append_new(json_object_get(document, member), text) == 0;
    }
    const char *dot = strchr(member, '.');
    if (dot == NULL) {
        return json_object_set_new(document, member, text) == 0;
    }
    char outer[16];
    snprintf(outer, sizeof outer, "%.*s", (int)(dot - member), member);
    json_t *inner = json_object_get(document, outer);
    if (!json_is_object(inner)) {
        json_object_set_new(document, outer, json_object());
        inner = json_object_get(document, outer);
    }
    return json_object_set_new(inner, dot + 1, text) == 0;
}

static const char *text_of(const json_t *document, const char *key)
{
    return json_string_value(json_object_get(document, key));
}

/* Gives an absent member its default and returns the member's text. */
static const char *text_or(json_t *document, const char *key, const char *otherwise)
{
    if (!json_is_string(json_object_get(document, key))) {
        json_object_set_new(document, key, json_string(otherwise));
    }
    return text_of(document, key);
}

static void fill(admin_options_t *out)
{
    json_t *document = out->document;
    out->listen = text_or(document, "listen", "127.0.0.1:9180");
    out->unix_socket = text_of(document, "unix_socket");
    out->event_log = text_of(document, "event_log");
    out->data_dir = text_or(document, "data_dir", "/var/lib/l7shieldd");
    out->secret_file = text_or(document, "secret_file", "/etc/l7shield/secret");
    out->signing_key_file =
        text_or(document, "signing_key_file", "/etc/l7shield/signing.key");
    out->trust_file = text_or(document, "trust_file", "/etc/l7shield/trust");
    char token[4096];
    snprintf(token, sizeof token, "%s/token", out->data_dir);
    out->token_file = text_or(document, "token_file", token);
    const json_t *backtest = json_object_get(document, "backtest");
    int64_t most = l7s_json_integer_or(json_object_get(backtest, "max_upload_bytes"), 0);
    out->backtest_folder = text_of(backtest, "folder");
    out->backup_folder = text_of(json_object_get(document, "backup"), "folder");
    out->backtest_max_upload_bytes = most > 0 ? (size_t)most : UPLOAD_MAX;
    const json_t *webhooks = json_object_get(document, "webhooks");
    const char *private = text_of(webhooks, "private_targets");
    out->webhook_ca = text_of(webhooks, "ca_file");
    out->webhook_private = private != NULL && strcmp(private, "allow") == 0;
    const json_t *tls = json_object_get(document, "tls");
    out->tls_cert = text_of(tls, "certificate_file");
    out->tls_key = text_of(tls, "key_file");
    out->tls_client_ca = text_of(tls, "client_ca_file");
    if (json_object_get(document, "memcached") == NULL) {
        json_object_set_new(document, "memcached", json_pack("[s]", "127.0.0.1:11211"));
    }
    size_t index;
    json_t *server, *host;
    json_array_foreach(json_object_get(document, "memcached"), index, server)
    {
        if (index < ADMIN_SERVERS_MAX) {
            out->servers[out->server_count++] = json_string_value(server);
        }
    }
    json_array_foreach(json_object_get(document, "allowed_hosts"), index, host)
    {
        if (index < ADMIN_HOSTS_MAX) {
            out->hosts[out->host_count++] = json_string_value(host);
        }
    }
}

/* What a schema cannot say. */
static void check(const admin_options_t *options, l7s_problems_t *problems)
{
    if ((options->tls_cert == NULL) != (options->tls_key == NULL)) {
        l7s_problems_add(problems, "/tls", "incomplete",
                         "tls needs both certificate_file and key_file, or neither");
    }
    if (options->tls_cert == NULL && !admin_listen_is_loopback(options->listen)) {
        l7s_problems_add(problems, "/listen", "needs_tls",
                         "beyond loopback (127.0.0.0/8 or [::1], with a port) the API is"
                         " served over TLS only: give --tls-cert and --tls-key");
    }
    for (size_t i = 0; i < options->server_count; i++) {
        if (options->servers[i] == NULL || strchr(options->servers[i], ':') == NULL) {
            l7s_problems_add(problems, "/memcached", "invalid",
                             "each server is ADDRESS:PORT with a literal address");
        }
    }
    if (options->server_count == 0) {
        l7s_problems_add(problems, "/memcached", "empty",
                         "at least one server is needed");
    }
}

typedef struct {
    json_t *given; /* from options only */
    const char *config;
    admin_command_options_t command;
    bool printed;
} parsed_t;

/* Options of single commands, which are no keys of the file. False: it is none. */
static bool apply_command(admin_command_options_t *command, const char *name,
                          const char *value)
{
    const struct {
        const char *name;
        const char **out;
    } texts[] = {{"from-node-state", &command->from_node_state},
                 {"policies", &command->policies},
                 {"format", &command->format},
                 {"host", &command->host}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].out = value;
            return true;
        }
    }
    command->json |= strcmp(name, "json") == 0;
    return strcmp(name, "json") == 0;
}

static bool parse_arguments(int argc, char **argv, l7s_problems_t *problems,
                            parsed_t *parsed)
{
    struct option options[OPTIONS + 1] = {0};
    for (size_t i = 0; i < OPTIONS; i++) {
        options[i].name = table[i].option;
        options[i].has_arg = table[i].argument == NULL ? no_argument : required_argument;
    }
    int index, code;
    optind = 1;
    while ((code = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (code != 0) {
            l7s_problems_add(problems, "", "unknown_option",
                             "unknown or incomplete option; l7shieldd --help lists them");
            return false;
        }
        if (strcmp(table[index].option, "help") == 0) {
            print_help();
            parsed->printed = true;
        } else if (strcmp(table[index].option, "version") == 0) {
            puts("l7shieldd " L7S_VERSION);
            parsed->printed = true;
        } else if (apply_command(&parsed->command, table[index].option, optarg)) {
            continue;
        } else if (table[index].member == NULL) {
            parsed->config = optarg;
        } else if (!apply(parsed->given, table[index].member, optarg)) {
            l7s_problems_add(problems, "", "invalid", "--%s: not UTF-8 text",
                             table[index].option);
            return false;
        }
    }
    return true;
}

static const struct {
    const char *name, *argument; /* what must follow it */
} commands[] = {
    {"serve", NULL},    {"init", NULL},      {"emergency", "off|observe|enforce"},
    {"backup", "FILE"}, {"restore", "FILE"}, {"new-epoch", NULL},
    {"recover", NULL},  {"backtest", "LOG"}};

/* The words that are no options: a command and what belongs to it. */
static bool choose_command(int argc, char **argv, l7s_problems_t *problems,
                           admin_options_t *out)
{
    const char *word = optind == argc ? "serve" : argv[optind];
    int words = argc - optind;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(word, commands[i].name) != 0) {
            continue;
        }
        bool wants = commands[i].argument != NULL;
        if (words > (wants ? 2 : 1) || (wants && words < 2)) {
            l7s_problems_add(problems, "", "arguments",
                             "usage: l7shieldd %s%s%s [options]", word, wants ? " " : "",
                             wants ? commands[i].argument : "");
            return false;
        }
        out->command = commands[i].name;
        out->argument = wants ? argv[optind + 1] : "";
        return true;
    }
    l7s_problems_add(problems, "", "unknown_command",
                     "unknown command \"%s\"; l7shieldd --help lists them", word);
    return false;
}

static void merge(json_t *document, json_t *given)
{
    static const char *const objects[] = {"tls", "backtest", "backup", "webhooks"};
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        json_t *own = json_object_get(given, objects[i]);
        json_t *object = json_object_get(document, objects[i]);
        if (own != NULL && json_is_object(object)) {
            json_object_update(object, own);
            json_object_del(given, objects[i]);
        }
    }
    json_object_update(document, given);
}

l7s_status_t admin_options_read(int argc, char **argv, l7s_problems_t *problems,
                                admin_options_t *out)
{
    *out = (admin_options_t){0};
    parsed_t parsed = {.given = json_object()};
    bool good = parse_arguments(argc, argv, problems, &parsed) &&
                (parsed.printed || choose_command(argc, argv, problems, out));
    if (!good || parsed.printed) {
        json_decref(parsed.given);
        return good ? L7S_NOT_FOUND : L7S_INVALID;
    }
    out->of_command = parsed.command;
    out->document =
        parsed.config == NULL ? json_object() : read_config(parsed.config, problems);
    if (out->document != NULL) {
        merge(out->document, parsed.given);
        const l7s_schema_t *schema = l7s_openapi_schema("DaemonConfig");
        if (schema == NULL ||
            l7s_schema_validate(schema, out->document, problems) == L7S_OK) {
            fill(out);
            check(out, problems);
        }
    }
    json_decref(parsed.given);
    if (out->document == NULL || problems->count > 0) {
        admin_options_clear(out);
        return L7S_INVALID;
    }
    return L7S_OK;
}

void admin_options_clear(admin_options_t *options)
{
    json_decref(options->document);
    *options = (admin_options_t){0};
}
