/* SPDX-License-Identifier: Apache-2.0
 *
 * Fork and exec of l7shield-sync. What talks to the network holds none of the server's
 * keys and sockets: it runs as httpd's User, everything but the segment and the error log
 * is closed, and it ends with its parent. All that allocates happens before fork.
 */
#include "launch.h"

#include "apr_strings.h"
#include "unixd.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EXIT_NOT_PREPARED 126 /* by our own child, before the program runs */
#define EXIT_NOT_RUN 127

const char *shield_launch_program(apr_pool_t *pool, const shield_node_t *node)
{
    if (node->sync_program) {
        return node->sync_program;
    }
    Dl_info info;
    if (dladdr(&l7shield_module, &info) == 0 || !info.dli_fname) {
        return "l7shield-sync";
    }
    const char *slash = strrchr(info.dli_fname, '/');
    size_t folder = slash ? (size_t)(slash - info.dli_fname) + 1 : 0;
    return apr_pstrcat(pool, apr_pstrmemdup(pool, info.dli_fname, folder),
                       "l7shield-sync", NULL);
}

const char *shield_launch_problem(apr_pool_t *pool, const shield_node_t *node)
{
    const char *program = shield_launch_program(pool, node);
    if (access(program, X_OK) == 0) {
        return NULL;
    }
    return apr_psprintf(
        pool,
        "L7ShieldSync must be the program l7shield-sync where it does not "
        "lie beside the module: there is no '%s' that can be run",
        program);
}

const char *shield_launch_explain(int status)
{
    return status == EXIT_NOT_RUN
               ? " (it is not there, or httpd's User may not execute it)"
           : status == EXIT_NOT_PREPARED ? " (httpd's User or its groups cannot be set)"
                                         : "";
}

void shield_launch_prepare(const char *program, char *const *argv,
                           shield_launch_t *launch)
{
    memset(launch, 0, sizeof(*launch));
    launch->program = program;
    launch->argv = argv;
    launch->segment_fd = -1;
    launch->error_fd = -1;
    launch->drop = geteuid() == 0;
    launch->uid = ap_unixd_config.user_id;
    launch->gid = ap_unixd_config.group_id;
    launch->groups_count = SHIELD_GROUPS_MAX;
    if (!ap_unixd_config.user_name || ap_unixd_config.user_name[0] == '#' ||
        getgrouplist(ap_unixd_config.user_name, launch->gid, launch->groups,
                     &launch->groups_count) < 0) {
        launch->groups[0] = launch->gid;
        launch->groups_count = 1;
    }
}

/* Opened while we may still reach it: the server's user need not be able to. Above the
 * descriptors that have fixed places; gone with the exec. */
static int open_program(const shield_launch_t *launch)
{
    int fd = open(launch->program, O_PATH | O_CLOEXEC);
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, SHIELD_SEGMENT_FD + 1);
}

static void close_range_of(unsigned first, unsigned last)
{
    if (first <= last && close_range(first, last, 0) != 0) { /* a kernel before 5.9 */
        for (unsigned fd = first; fd <= last && fd < sysconf(_SC_OPEN_MAX); fd++) {
            close((int)fd);
        }
    }
}

/* Nothing is left but null, null, the log, perhaps the segment, and the program (-1: it
 * could not be opened). */
static bool keep_descriptors(const shield_launch_t *launch, int program)
{
    unsigned first = SHIELD_SEGMENT_FD;
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        (launch->error_fd >= 0 && dup2(launch->error_fd, STDERR_FILENO) < 0)) {
        return false;
    }
    if (launch->segment_fd >= 0) {
        /* dup2 onto itself would leave the close-on-exec flag. */
        int done = launch->segment_fd == SHIELD_SEGMENT_FD
                       ? fcntl(SHIELD_SEGMENT_FD, F_SETFD, 0)
                       : dup2(launch->segment_fd, SHIELD_SEGMENT_FD);
        if (done < 0) {
            return false;
        }
        first++;
    }
    if (program >= 0) {
        close_range_of(first, (unsigned)program - 1);
        first = (unsigned)program + 1;
    }
    close_range_of(first, ~0U);
    return true;
}

static bool drop_privileges(const shield_launch_t *launch)
{
    return !launch->drop ||
           (setgroups((size_t)launch->groups_count, launch->groups) == 0 &&
            setgid(launch->gid) == 0 && setuid(launch->uid) == 0);
}

static void pause_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000,
                                   .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* In the forked child: async-signal-safe calls only, and no return. What fails is told
 * after the pause only, or a program that is not there would be forked for without end.
 */
static void become(const shield_launch_t *launch, pid_t parent, const sigset_t *blocked)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, blocked, NULL);
    int program = open_program(launch);
    bool prepared = keep_descriptors(launch, program) && drop_privileges(launch);
    /* After setuid, which clears it. A parent that died before is seen by getppid. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    pause_ms(launch->sleep_ms);
    if (getppid() != parent) {
        _exit(0);
    }
    if (!prepared) {
        _exit(EXIT_NOT_PREPARED);
    }
    if (program >= 0) {
        fexecve(program, launch->argv, environ);
    }
    /* It may be there by now; and a script's interpreter would have to open a descriptor
     * that is closed by then. */
    execv(launch->program, launch->argv);
    _exit(EXIT_NOT_RUN);
}

pid_t shield_launch_fork(const shield_launch_t *launch)
{
    sigset_t told, before;
    sigemptyset(&told);
    sigaddset(&told, SHIELD_GONE_SIGNAL);
    pid_t parent = getpid();
    (void)sigprocmask(SIG_BLOCK, &told, &before);
    pid_t pid = fork();
    if (pid == 0) {
        become(launch, parent, &told);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}
