/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and minding l7shield-sync. It is a program of its own, run as httpd's User
 * with the segment as descriptor 3 and no other: what talks to the network holds none of
 * the server's keys and sockets. It ends with httpd's parent (a signal on the parent's
 * death), and by itself when a newer configuration has started its own.
 *
 * The parent may not wait or sleep while it serves. So a program that dies at once is
 * started again at once but sleeps before it begins, a little longer each time: the
 * back-off happens in the forked child.
 */
#include "sync_process.h"

#include "ap_mpm.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"
#include "http_core.h"
#include "http_main.h"
#include "unixd.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RETAINED "l7shield.sync.1"
#define GROUPS_MAX 64
#define SEGMENT_FD 3
#define READY_WAIT_MS 2000
#define READY_POLL_MS 5
#define STOP_WAIT_MS 1000
#define CHECK_WAIT_MS 10000
#define CHECK_OUTPUT_MAX (64 * 1024)
#define SHORT_LIFE apr_time_from_sec(2)
#define BACKOFF_MAX_S 30
#define RETIRED_MAX 16
#define EXIT_NOT_PREPARED 126 /* by our own child, before the program runs */
#define EXIT_NOT_RUN 127

/* Over restarts: processes of older configurations, whose end is still to be collected.
 */
typedef struct {
    pid_t pids[RETIRED_MAX];
} retired_t;

/* What exec needs, prepared before fork: the child may not allocate. */
typedef struct {
    const char *program;
    char *const *argv;
    int segment_fd; /* -1: it gets none */
    int error_fd;   /* -1: it keeps ours */
    unsigned sleep_s;
    bool drop; /* change to `uid`, `gid`, `groups` */
    uid_t uid;
    gid_t gid;
    int groups_count;
    gid_t groups[GROUPS_MAX];
} launch_t;

/* The one of this configuration; lives in the configuration's pool. */
typedef struct {
    launch_t launch;
    apr_pool_t *pool;
    server_rec *server;
    apr_proc_t process;
    apr_time_t started;
    unsigned short_lives;
} minder_t;

static retired_t *retired(void)
{
    retired_t *all = ap_retained_data_get(RETAINED);
    return all ? all : ap_retained_data_create(RETAINED, sizeof(*all));
}

static void sleep_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

const char *shield_sync_program(apr_pool_t *pool, const shield_node_t *node)
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

static const char *explain(int status)
{
    return status == EXIT_NOT_RUN
               ? " (httpd's User cannot execute it: check the path's permissions)"
           : status == EXIT_NOT_PREPARED ? " (httpd's User or its groups cannot be set)"
                                         : "";
}

static void launch_as_user(launch_t *launch)
{
    launch->drop = geteuid() == 0;
    launch->uid = ap_unixd_config.user_id;
    launch->gid = ap_unixd_config.group_id;
    launch->groups_count = GROUPS_MAX;
    if (!ap_unixd_config.user_name || ap_unixd_config.user_name[0] == '#' ||
        getgrouplist(ap_unixd_config.user_name, launch->gid, launch->groups,
                     &launch->groups_count) < 0) {
        launch->groups[0] = launch->gid;
        launch->groups_count = 1;
    }
}

/* In the forked child: async-signal-safe calls only, and no return. */
static void become(const launch_t *launch, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_DFL);
    }
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        (launch->error_fd >= 0 && dup2(launch->error_fd, STDERR_FILENO) < 0)) {
        _exit(EXIT_NOT_PREPARED);
    }
    unsigned first = SEGMENT_FD;
    if (launch->segment_fd >= 0) {
        int flags = launch->segment_fd == SEGMENT_FD
                        ? fcntl(SEGMENT_FD, F_SETFD, 0)
                        : dup2(launch->segment_fd, SEGMENT_FD);
        if (flags < 0) {
            _exit(EXIT_NOT_PREPARED);
        }
        first++;
    }
    if (close_range(first, ~0U, 0) != 0) {
        for (int fd = (int)first; fd < sysconf(_SC_OPEN_MAX); fd++) {
            close(fd);
        }
    }
    if (launch->drop && (setgroups((size_t)launch->groups_count, launch->groups) != 0 ||
                         setgid(launch->gid) != 0 || setuid(launch->uid) != 0)) {
        _exit(EXIT_NOT_PREPARED);
    }
    /* After setuid, which clears it. A parent that died before is seen by getppid. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (launch->sleep_s > 0) {
        sleep(launch->sleep_s);
    }
    if (getppid() != parent) {
        _exit(0);
    }
    execv(launch->program, launch->argv);
    _exit(EXIT_NOT_RUN);
}

/* The pid, or -1 with errno. */
static pid_t launch_fork(const launch_t *launch)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(launch, parent);
    }
    return pid;
}

/* Everything that comes out of `fd` until its end or the deadline. */
static char *read_all(apr_pool_t *pool, int fd, int timeout_ms)
{
    char *text = apr_palloc(pool, CHECK_OUTPUT_MAX + 1);
    size_t size = 0;
    apr_time_t deadline = apr_time_now() + apr_time_from_msec(timeout_ms);
    while (size < CHECK_OUTPUT_MAX) {
        apr_interval_time_t left = deadline - apr_time_now();
        struct pollfd entry = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&entry, 1, (int)apr_time_as_msec(left)) <= 0) {
            break;
        }
        ssize_t got = read(fd, text + size, CHECK_OUTPUT_MAX - size);
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
    for (int waited = 0; waited < STOP_WAIT_MS; waited += READY_POLL_MS) {
        if (waitpid(pid, &status, WNOHANG) != 0) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        sleep_ms(READY_POLL_MS);
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
    launch_t launch = {.program = program, .argv = argv, .segment_fd = -1};
    *output = apr_pstrdup(pool, "");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    launch.error_fd = ends[1];
    launch_as_user(&launch);
    pid_t pid = launch_fork(&launch);
    close(ends[1]);
    int status = -1;
    if (pid > 0) {
        *output = read_all(pool, ends[0], CHECK_WAIT_MS);
        status = collect(pid);
    }
    close(ends[0]);
    return status;
}

bool shield_sync_check_policies(apr_pool_t *pool, server_rec *server,
                                const shield_node_t *node)
{
    const char *program = shield_sync_program(pool, node);
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
                     node->policy_file, program, status, explain(status));
    }
    return false;
}

/* The command line of this configuration's process. */
static char *const *arguments(apr_pool_t *pool, const char *program,
                              const shield_node_t *node, uint64_t generation)
{
    apr_array_header_t *all = apr_array_make(pool, 16, sizeof(char *));
#define ARGUMENT(...) (APR_ARRAY_PUSH(all, char *) = apr_psprintf(pool, __VA_ARGS__))
    ARGUMENT("%s", program);
    ARGUMENT("--segment-fd=%d", SEGMENT_FD);
    ARGUMENT("--generation=%" APR_UINT64_T_FMT, generation);
    ARGUMENT("--node=%s", node->name);
    ARGUMENT("--state-dir=%s", node->state_dir);
    ARGUMENT("--tick-ms=%d", node->tick_ms);
    ARGUMENT("--parent=%d", (int)getpid());
    if (node->policy_file) {
        ARGUMENT("--policy-file=%s", node->policy_file);
    }
    for (int i = 0; i < node->memcached->nelts; i++) {
        ARGUMENT("--memcached=%s", APR_ARRAY_IDX(node->memcached, i, const char *));
    }
    if (node->secret_file) {
        ARGUMENT("--secret-file=%s", node->secret_file);
    }
    if (node->trust_file) {
        ARGUMENT("--trust-file=%s", node->trust_file);
    }
#undef ARGUMENT
    APR_ARRAY_PUSH(all, char *) = NULL;
    return (char *const *)all->elts;
}

/* The state folder, made for httpd's User if it is not there. Its own complaints about it
 * are the sync process' business. */
static void make_state_dir(server_rec *server, const shield_node_t *node,
                           const launch_t *launch)
{
    if (mkdir(node->state_dir, 0700) == 0) {
        if (launch->drop && chown(node->state_dir, launch->uid, launch->gid) != 0) {
            ap_log_error(APLOG_MARK, APLOG_ERR, errno, server,
                         "L7S1010: the state folder %s cannot be given to httpd's User",
                         node->state_dir);
        }
    } else if (errno != EEXIST) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, errno, server,
            "L7S1011: the state folder %s (L7ShieldStateDir) cannot be made: bans "
            "and policies are not kept over a stop",
            node->state_dir);
    }
}

static void start(minder_t *minder);

static bool is_stopping(void)
{
    int state;
    return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING ||
           (ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS &&
            state == AP_MPMQ_STOPPING);
}

/* Seconds before the next try: 0 after the first short life, then 1, 2, 4, … 30. */
static unsigned backoff(unsigned short_lives)
{
    if (short_lives < 2) {
        return 0;
    }
    return short_lives > 6 ? BACKOFF_MAX_S : 1U << (short_lives - 2);
}

/* APR tells us what became of it. */
static void on_event(int reason, void *data, int status)
{
    minder_t *minder = data;
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return; /* a restart or a stop: it sees that itself */
    }
    pid_t pid = minder->process.pid;
    minder->process.pid = 0;
    apr_proc_other_child_unregister(minder);
    if (is_stopping()) {
        return;
    }
    apr_time_t slept = apr_time_from_sec(minder->launch.sleep_s);
    bool brief = apr_time_now() - minder->started - slept < SHORT_LIFE;
    minder->short_lives = brief ? minder->short_lives + 1 : 0;
    minder->launch.sleep_s = backoff(minder->short_lives);
    ap_log_error(
        APLOG_MARK, APLOG_ERR, 0, minder->server,
        "L7S1012: l7shield-sync (pid %d) ended, by exit status or signal %d; the "
        "next one starts in %u s, policies and bans in force stay",
        (int)pid, status, minder->launch.sleep_s);
    start(minder);
}

static void start(minder_t *minder)
{
    pid_t pid = launch_fork(&minder->launch);
    minder->started = apr_time_now();
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, minder->server,
                     "L7S1013: l7shield-sync cannot be started: policies do not change, "
                     "bans do not end before httpd is restarted");
        return;
    }
    memset(&minder->process, 0, sizeof(minder->process));
    minder->process.pid = pid;
    apr_proc_other_child_register(&minder->process, on_event, minder, NULL, minder->pool);
}

/* One that retired has ended: collected, and nothing to do. */
static void on_retired_event(int reason, void *data, int status)
{
    (void)status;
    if (reason == APR_OC_REASON_DEATH || reason == APR_OC_REASON_LOST) {
        pid_t *pid = data;
        *pid = 0;
        apr_proc_other_child_unregister(data);
    }
}

/* Those of older configurations are children of ours: the MPM must not wonder whose. */
static void mind_retired(apr_pool_t *pool)
{
    retired_t *all = retired();
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (all->pids[i] != 0 && waitpid(all->pids[i], NULL, WNOHANG) == 0) {
            apr_proc_t *process = apr_pcalloc(pool, sizeof(*process));
            process->pid = all->pids[i];
            apr_proc_other_child_register(process, on_retired_event, &all->pids[i], NULL,
                                          pool);
        } else {
            all->pids[i] = 0;
        }
    }
}

static void note_retired(pid_t pid)
{
    retired_t *all = retired();
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (all->pids[i] == 0) {
            all->pids[i] = pid;
            return;
        }
    }
}

/* The configuration goes. On a stop its process goes with it, in peace if it is quick; on
 * a restart it works on until its successor takes over. */
static apr_status_t on_pool_clear(void *data)
{
    minder_t *minder = data;
    pid_t pid = minder->process.pid;
    if (pid == 0) {
        return APR_SUCCESS;
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING) {
        note_retired(pid);
        return APR_SUCCESS;
    }
    (void)kill(pid, SIGTERM);
    for (int waited = 0; waited < STOP_WAIT_MS && waitpid(pid, NULL, WNOHANG) == 0;
         waited += READY_POLL_MS) {
        sleep_ms(READY_POLL_MS);
    }
    return APR_SUCCESS;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid;
}

static void wait_until_ready(const minder_t *minder)
{
    l7s_segment_t *header = shield_process.shared.header;
    for (int waited = 0; waited < READY_WAIT_MS; waited += READY_POLL_MS) {
        if (atomic_load(&header->sync_ready) != 0) {
            return;
        }
        if (minder->process.pid == 0 || has_ended(minder->process.pid)) {
            break;
        }
        sleep_ms(READY_POLL_MS);
    }
    ap_log_error(
        APLOG_MARK, APLOG_WARNING, 0, minder->server,
        "L7S1014: l7shield-sync (%s) is not ready: requests are admitted until it "
        "is",
        minder->launch.program);
}

void shield_sync_start(apr_pool_t *pool, server_rec *server, const shield_node_t *node,
                       const shield_segment_t *segment)
{
    minder_t *minder = apr_pcalloc(pool, sizeof(*minder));
    minder->pool = pool;
    minder->server = server;
    minder->launch.program = shield_sync_program(pool, node);
    minder->launch.argv =
        arguments(pool, minder->launch.program, node, segment->generation);
    minder->launch.segment_fd = segment->fd;
    minder->launch.error_fd = -1;
    launch_as_user(&minder->launch);
    make_state_dir(server, node, &minder->launch);
    mind_retired(pool);
    start(minder);
    /* After start(): cleanups run last in, first out, so this one sees the pid before APR
     * forgets the process. */
    apr_pool_cleanup_register(pool, minder, on_pool_clear, apr_pool_cleanup_null);
    wait_until_ready(minder);
}
