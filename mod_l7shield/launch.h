/* SPDX-License-Identifier: Apache-2.0
 *
 * Running l7shield-sync: as httpd's User, with the segment as descriptor 3 and no other.
 */
#ifndef SHIELD_LAUNCH_H
#define SHIELD_LAUNCH_H

#include "process.h"

#define SHIELD_SEGMENT_FD 3
#define SHIELD_GROUPS_MAX 64
/* Tells it that its configuration has gone; it waits, blocked, until the program asks. */
#define SHIELD_GONE_SIGNAL SIGUSR2

/* What exec needs, prepared before fork: the child may not allocate. */
typedef struct {
    const char *program;
    char *const *argv;
    int segment_fd;    /* -1: it gets none */
    int error_fd;      /* -1: it keeps ours */
    unsigned sleep_ms; /* it waits before it runs, so that its parent need not */
    bool drop;         /* change to `uid`, `gid`, `groups` */
    uid_t uid;
    gid_t gid;
    int groups_count;
    gid_t groups[SHIELD_GROUPS_MAX];
} shield_launch_t;

/* The program's path: L7ShieldSync, else beside the module's own file. */
const char *shield_launch_program(apr_pool_t *pool, const shield_node_t *node);

/* NULL, or the sentence that says why it cannot be run, for the configuration test. */
const char *shield_launch_problem(apr_pool_t *pool, const shield_node_t *node);

/* Fills `out` for `program` and `argv` (its own name first, NULL last), both borrowed. */
void shield_launch_prepare(const char *program, char *const *argv, shield_launch_t *out);

/* Forks and runs it. The pid, or -1 with errno. It is sent SIGTERM when its parent ends.
 */
pid_t shield_launch_fork(const shield_launch_t *launch);

/* What an exit status says about a program that was never run; "" for any other. */
const char *shield_launch_explain(int status);

#endif
