/* SPDX-License-Identifier: Apache-2.0
 *
 * See options.h.
 */
#include "options.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS_MIN 20
#define TICK_MS_MAX 1000

enum {
    OPTION_SEGMENT_FD = 256,
    OPTION_GENERATION,
    OPTION_NODE,
    OPTION_STATE_DIR,
    OPTION_TICK_MS,
    OPTION_POLICY_FILE,
    OPTION_MEMCACHED,
    OPTION_SECRET_FILE,
    OPTION_TRUST_FILE,
    OPTION_PARENT,
    OPTION_SYSLOG,
    OPTION_CHECK_POLICY_FILE
};

static const struct option known[] = {
    {"segment-fd", required_argument, NULL, OPTION_SEGMENT_FD},
    {"generation", required_argument, NULL, OPTION_GENERATION},
    {"node", required_argument, NULL, OPTION_NODE},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"tick-ms", required_argument, NULL, OPTION_TICK_MS},
    {"policy-file", required_argument, NULL, OPTION_POLICY_FILE},
    {"memcached", required_argument, NULL, OPTION_MEMCACHED},
    {"secret-file", required_argument, NULL, OPTION_SECRET_FILE},
    {"trust-file", required_argument, NULL, OPTION_TRUST_FILE},
    {"parent", required_argument, NULL, OPTION_PARENT},
    {"syslog", required_argument, NULL, OPTION_SYSLOG},
    {"check-policy-file", required_argument, NULL, OPTION_CHECK_POLICY_FILE},
    {NULL, 0, NULL, 0}};

static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *out >= low && *out <= high;
}

static bool add_server(sync_options_t *out, const char *server)
{
    if (out->server_count == L7S_SERVERS_MAX) {
        return false;
    }
    out->servers[out->server_count++] = server;
    return true;
}

static bool take_option(sync_options_t *out, int option, const char *value)
{
    uint64_t number = 0;
    bool good = true;

    switch (option) {
    case OPTION_SEGMENT_FD:
        good = parse_number(value, 0, 1 << 20, &number);
        out->segment_fd = (int)number;
        break;
    case OPTION_GENERATION:
        good = parse_number(value, 0, UINT64_MAX, &out->generation);
        break;
    case OPTION_TICK_MS:
        good = parse_number(value, TICK_MS_MIN, TICK_MS_MAX, &number);
        out->tick_ms = (uint32_t)number;
        break;
    case OPTION_PARENT:
        good = parse_number(value, 1, INT32_MAX, &number);
        out->parent = (pid_t)number;
        break;
    case OPTION_NODE:
        out->node = value;
        good = value[0] != '\0' && strlen(value) < 64;
        break;
    case OPTION_STATE_DIR:
        out->state_dir = value;
        good = strlen(value) < 3900;
        break;
    case OPTION_MEMCACHED:
        good = add_server(out, value);
        break;
    case OPTION_POLICY_FILE:
        out->policy_file = value;
        break;
    case OPTION_SECRET_FILE:
        out->secret_file = value;
        break;
    case OPTION_TRUST_FILE:
        out->trust_file = value;
        break;
    case OPTION_SYSLOG:
        out->syslog = value;
        break;
    case OPTION_CHECK_POLICY_FILE:
        out->check_file = value;
        break;
    default:
        good = false;
    }
    return good;
}

static const char *missing(const sync_options_t *options)
{
    if (options->check_file != NULL) {
        return NULL;
    }
    if (options->segment_fd < 0) {
        return "--segment-fd is required";
    }
    if (options->node == NULL) {
        return "--node is required";
    }
    if (options->server_count > 0 && options->policy_file != NULL) {
        return "--policy-file and --memcached together are two sources of policy";
    }
    if (options->server_count > 0 &&
        (options->secret_file == NULL || options->trust_file == NULL)) {
        return "--memcached needs --secret-file and --trust-file";
    }
    return NULL;
}

bool sync_options_parse(int argc, char **argv, sync_options_t *out, char why[256])
{
    *out = (sync_options_t){.segment_fd = -1, .tick_ms = 100, .state_dir = ""};
    opterr = 0;
    for (;;) {
        int index = 0;
        int option = getopt_long(argc, argv, "", known, &index);
        if (option == -1) {
            break;
        }
        if (option == '?') {
            (void)snprintf(why, 256, "unknown or incomplete option %s", argv[optind - 1]);
            return false;
        }
        if (!take_option(out, option, optarg)) {
            (void)snprintf(why, 256, "bad value of --%s", known[index].name);
            return false;
        }
    }
    const char *sentence = optind < argc ? "arguments are not expected" : missing(out);
    if (sentence != NULL) {
        (void)snprintf(why, 256, "%s", sentence);
        return false;
    }
    if (out->parent == 0) {
        out->parent = getppid();
    }
    return true;
}
