/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of l7shield-sync. It is written by mod_l7shield, not by people, so a
 * bad one is a plain error; the directives have been checked by httpd already.
 */
#ifndef SYNC_OPTIONS_H
#define SYNC_OPTIONS_H

#include "../../core/bus/pool.h"
#include "../../core/status.h"
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    int segment_fd;
    uint64_t generation; /* of httpd's configuration that started us */
    const char *node;
    const char *state_dir;   /* "" keeps nothing on disk */
    uint32_t tick_ms;        /* 20…1000 */
    const char *policy_file; /* NULL: none */
    const char *servers[L7S_SERVERS_MAX];
    size_t server_count; /* 0: embedded, no fleet */
    const char *secret_file, *trust_file;
    pid_t parent;           /* 0: whoever started us */
    const char *syslog;     /* "FACILITY:TAG"; NULL: stderr is the error log */
    const char *check_file; /* only check this policy file, then exit */
} sync_options_t;

/* The strings are borrowed from argv. False: `why` says what is wrong. */
bool sync_options_parse(int argc, char **argv, sync_options_t *out, char why[256]);

#endif
