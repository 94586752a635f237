/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of the policy file for `apachectl -t` and for a start. The module reads no
 * JSON: it runs the program that will read it, as the user that will read it, and repeats
 * what that says. A program that hangs is ended after ten seconds.
 */
#include "policy_check.h"

#include "launch.h"

#include "apr_strings.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_WAIT_MS 10000
#define OUTPUT_MAX (64 * 1024)
#define END_WAIT_MS 1000
#define END_POLL_MS 5

/* Everything that comes out of `fd` until its end or the deadline. */
static char *read_all(apr_pool_t *pool, int fd, int timeout_ms)
{
    char *text = apr_palloc(pool, OUTPUT_MAX + 1);
    size_t size = 0;
    apr_time_t deadline = apr_time_now() + apr_time_from_msec(timeout_ms);
    while (size < OUTPUT_MAX) {
        apr_interval_time_t left = deadline - apr_time_now();
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&entry, 1, (int)apr_time_as_msec(left)) <= 0) {
            break;
        }
        ssize_t got = read(fd, text + size, OUTPUT_MAX - size);
        if (got <= 0) {
            break;
        }
        size += (size_t)got;
    }
    text[size] = '\0';
    return text;
}

/* Its output has ended, and so has it, or it hangs. The exit status, or -1 for one
 * that had to be killed. */
static int collect(pid_t pid)
{
    int status = 0;
    for (int waited = 0; waited < END_WAIT_MS; waited += END_POLL_MS) {
        if (waitpid(pid, &status, WNOHANG) != 0) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        apr_sleep(apr_time_from_msec(END_POLL_MS));
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    return -1;
}

/* Runs the check; its exit status, and what it said in *output. */
static int run_check(apr_pool_t *pool, const char *program, const char *file,
                     char **output)
{
    int ends[2];
    char *argv[] = {(char *)program,
                    apr_pstrcat(pool, "--check-policy-file=", file, NULL), NULL};
    shield_launch_t launch;
    *output = apr_pstrdup(pool, "");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    shield_launch_prepare(program, argv, &launch);
    launch.error_fd = ends[1];
    pid_t pid = shield_launch_fork(&launch);
    close(ends[1]);
    int status = -1;
    if (pid > 0) {
        *output = read_all(pool, ends[0], OUTPUT_WAIT_MS);
        status = collect(pid);
    }
    close(ends[0]);
    return status;
}

bool shield_policy_check(apr_pool_t *pool, server_rec *server, const shield_node_t *node)
{
    const char *program = shield_launch_program(pool, node);
    char *output, *state;
    int status = run_check(pool, program, node->policy_file, &output);
    if (status == 0) {
        return true;
    }
    for (char *line = apr_strtok(output, "\n", &state); line;
         line = apr_strtok(NULL, "\n", &state)) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server,
                     "L7ShieldPolicyFile %s: %s", node->policy_file, line);
    }
    if (status == 1) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server,
                     "L7ShieldPolicyFile %s is refused for the problems above",
                     node->policy_file);
    } else {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, server,
                     "L7ShieldPolicyFile %s could not be checked: %s ended with status "
                     "%d%s",
                     node->policy_file, program, status, shield_launch_explain(status));
    }
    return false;
}
