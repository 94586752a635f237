/* SPDX-License-Identifier: Apache-2.0
 *
 * Minding l7shield-sync: each configuration starts its own, one that dies is started
 * again, one of an older configuration retires by itself and is only collected here.
 *
 * The parent may not wait or sleep while it serves. So a program that dies at once is
 * started again at once but sleeps before it begins, a little longer each time: the
 * back-off happens in the forked child. One that never came to work waits ever longer;
 * one that worked, if only for a moment, was killed or crashed over something that may
 * pass, and is back within a second.
 *
 * The parent of every MPM looks after its children once a second, between which it
 * sleeps; a SIGCHLD that is caught ends that sleep. Every ten seconds it also runs the
 * monitor hook: there a process that lives and does not work is found by a beat in the
 * segment that stands still, and a fork that failed is tried again.
 */
#include "sync_process.h"

#include "launch.h"

#include "ap_mpm.h"
#include "apr_strings.h"
#include "apr_thread_proc.h"
#include "http_core.h"
#include "http_main.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RETAINED "l7shield.sync.1"
#define READY_WAIT_MS 2000
#define STOP_WAIT_MS 1000
#define POLL_MS 5
#define SHORT_LIFE apr_time_from_sec(2)
#define BACKOFF_MAX_MS 30000
#define CRASH_STEP_MS 100
#define CRASH_MAX_MS 500
#define CRASHES_MAX 20 /* in a row: after so many it is not so urgent any more */
#define CRASHES_MS 5000
#define RETIRED_MAX 16
/* Two looks of the monitor hook are further apart; a tick, even one that compiles
 * policies, does not take so long. */
#define HUNG_US (8 * 1000000ULL)

/* Over restarts: processes of older configurations, whose end is still to be collected.
 */
typedef struct {
    pid_t pids[RETIRED_MAX];
} retired_t;

/* The one of this configuration; lives in the configuration's pool. */
typedef struct {
    shield_launch_t launch;
    apr_pool_t *pool;
    server_rec *server;
    apr_proc_t process;
    apr_time_t started;
    unsigned failures; /* in a row: lives that never came to work */
    unsigned crashes;  /* in a row: lives that ended soon after they had begun to work */
    uint64_t beat;     /* the last one seen, … */
    uint64_t beat_since_us; /* … since when */
} minder_t;

static minder_t *minding; /* NULL: nothing is configured, or that goes just now */

static retired_t *retired(void)
{
    retired_t *all = ap_retained_data_get(RETAINED);
    return all ? all : ap_retained_data_create(RETAINED, sizeof(*all));
}

/* "FACILITY:TAG" of `ErrorLog syslog…`, NULL for any other log. */
static const char *syslog_of(apr_pool_t *pool, const server_rec *server)
{
    static const char name[] = "syslog";
    const char *log = server->error_fname;
    size_t length = sizeof(name) - 1;
    if (!log || strncasecmp(log, name, length) != 0 || !strchr(":", log[length])) {
        return NULL; /* "syslog.log" is a file */
    }
    const char *facility = log[length] == ':' ? log + length + 1 : "";
    const char *tag = strchr(facility, ':');
    return tag && tag[1] != '\0'
               ? facility
               : apr_psprintf(pool, "%.*s:%s", (int)strcspn(facility, ":"), facility,
                              ap_server_argv0);
}

/* The command line of this configuration's process. */
static char *const *arguments(apr_pool_t *pool, const server_rec *server,
                              const char *program, uint64_t generation)
{
    const shield_node_t *node = shield_process.node;
    const char *syslog = syslog_of(pool, server);
    apr_array_header_t *all = apr_array_make(pool, 16, sizeof(char *));
#define ARGUMENT(...) (APR_ARRAY_PUSH(all, char *) = apr_psprintf(pool, __VA_ARGS__))
    ARGUMENT("%s", program);
    ARGUMENT("--segment-fd=%d", SHIELD_SEGMENT_FD);
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
    if (syslog) {
        ARGUMENT("--syslog=%s", syslog);
    }
#undef ARGUMENT
    APR_ARRAY_PUSH(all, char *) = NULL;
    return (char *const *)all->elts;
}

/* What lies there now may not be what was made there: where others may write beside it,
 * it could be a link to somebody else's. */
static bool give(const char *folder, const shield_launch_t *launch)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool given = fd >= 0 && fchown(fd, launch->uid, launch->gid) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return given;
}

/* The state folder, made for httpd's User if it is not there. Its own complaints about it
 * are the sync process' business. */
static void make_state_dir(server_rec *server, const shield_node_t *node,
                           const shield_launch_t *launch)
{
    if (mkdir(node->state_dir, 0700) == 0) {
        if (launch->drop && !give(node->state_dir, launch)) {
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

/* Milliseconds before the next try: 0 after the first failure, then 1, 2, 4, … 30 s. */
static unsigned failure_pause(unsigned failures)
{
    if (failures < 2) {
        return 0;
    }
    return failures > 6 ? BACKOFF_MAX_MS : 1000U << (failures - 2);
}

/* 0 after the first crash, then a tenth of a second more each time, up to half a one. */
static unsigned crash_pause(unsigned crashes)
{
    if (crashes > CRASHES_MAX) {
        return CRASHES_MS;
    }
    unsigned pause = crashes > 0 ? (crashes - 1) * CRASH_STEP_MS : 0;
    return pause < CRASH_MAX_MS ? pause : CRASH_MAX_MS;
}

/* What its life was like decides when the next one begins. */
static unsigned judge(minder_t *minder, pid_t pid)
{
    apr_time_t slept = apr_time_from_msec(minder->launch.sleep_ms);
    bool brief = apr_time_now() - minder->started - slept < SHORT_LIFE;
    bool worked = atomic_load(&shield_process.shared.header->sync_pid) == (int32_t)pid;
    minder->failures = brief && !worked ? minder->failures + 1 : 0;
    minder->crashes = brief && worked ? minder->crashes + 1 : 0;
    return worked ? crash_pause(minder->crashes) : failure_pause(minder->failures);
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
    minder->launch.sleep_ms = judge(minder, pid);
    ap_log_error(
        APLOG_MARK, APLOG_ERR, 0, minder->server,
        "L7S1012: l7shield-sync (%s, pid %d) ended, by exit status or signal %d%s; the "
        "next one starts in %u ms, policies and bans in force stay",
        minder->launch.program, (int)pid, status, shield_launch_explain(status),
        minder->launch.sleep_ms);
    start(minder);
}

static void start(minder_t *minder)
{
    pid_t pid = shield_launch_fork(&minder->launch);
    minder->started = apr_time_now();
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, errno, minder->server,
                     "L7S1013: l7shield-sync cannot be started, which is tried again in "
                     "ten seconds: until then policies do not change and bans of before "
                     "stay");
        return;
    }
    minder->beat_since_us = shield_mono_us();
    memset(&minder->process, 0, sizeof(minder->process));
    minder->process.pid = pid;
    apr_proc_other_child_register(&minder->process, on_event, minder, NULL, minder->pool);
}

static bool is_ours(const minder_t *minder, pid_t pid)
{
    const retired_t *all = retired();
    bool ours = pid == minder->process.pid;
    for (int i = 0; i < RETIRED_MAX; i++) {
        ours = ours || pid == all->pids[i];
    }
    return pid > 0 && ours;
}

/* The segment names who works, which may be one that should have retired: its successor
 * waits for it. Any process that shares the segment can write there, so nobody is ended
 * who is not a child of ours. */
static void end_hung(minder_t *minder)
{
    pid_t pid = atomic_load(&shield_process.shared.header->sync_pid);
    if (!is_ours(minder, pid)) {
        pid = minder->process.pid; /* it never came to work */
    }
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, minder->server,
                 "L7S1015: l7shield-sync (pid %d) lives and has done nothing for more "
                 "than %d s: it is killed, and another one takes over; policies and bans "
                 "in force stay",
                 (int)pid, (int)(HUNG_US / 1000000));
    (void)kill(pid, SIGKILL);
    minder->beat_since_us = shield_mono_us();
}

/* A beat is told from the next one only: no clock that may be set plays a part. */
int shield_sync_monitor(apr_pool_t *pool, server_rec *server)
{
    (void)pool;
    (void)server;
    minder_t *minder = minding;
    if (!minder || is_stopping()) {
        return DECLINED;
    }
    if (minder->process.pid == 0) {
        minder->launch.sleep_ms = 0;
        start(minder);
        return DECLINED;
    }
    uint64_t now_us = shield_mono_us();
    uint64_t beat = atomic_load(&shield_process.shared.header->sync_beat_ms);
    if (beat != minder->beat) {
        minder->beat = beat;
        minder->beat_since_us = now_us;
    } else if (now_us - minder->beat_since_us >
               HUNG_US + (uint64_t)minder->launch.sleep_ms * 1000) {
        end_hung(minder);
    }
    return DECLINED;
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

/* Those of older configurations are children of ours: the MPM must not wonder whose. In a
 * memory that nobody has worked in yet they would wait for a generation that an older
 * layout cannot tell them, and keep this node's seat in the fleet: they are ended. */
static void mind_retired(apr_pool_t *pool)
{
    retired_t *all = retired();
    bool fresh = atomic_load(&shield_process.shared.header->sync_pid) == 0;
    for (int i = 0; i < RETIRED_MAX; i++) {
        if (all->pids[i] != 0 && waitpid(all->pids[i], NULL, WNOHANG) == 0) {
            if (fresh) {
                (void)kill(all->pids[i], SIGTERM);
            }
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
 * a restart it works on until its successor takes over, or for some seconds where none
 * comes: this module may not be in the next configuration. */
static apr_status_t on_pool_clear(void *data)
{
    minder_t *minder = data;
    pid_t pid = minder->process.pid;
    minding = NULL;
    if (pid == 0) {
        return APR_SUCCESS;
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_EXITING) {
        note_retired(pid);
        (void)kill(pid, SHIELD_GONE_SIGNAL);
        return APR_SUCCESS;
    }
    (void)kill(pid, SIGTERM);
    for (int waited = 0; waited < STOP_WAIT_MS && waitpid(pid, NULL, WNOHANG) == 0;
         waited += POLL_MS) {
        apr_sleep(apr_time_from_msec(POLL_MS));
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
    for (int waited = 0; waited < READY_WAIT_MS; waited += POLL_MS) {
        if (atomic_load(&header->sync_ready) != 0) {
            return;
        }
        if (minder->process.pid == 0 || has_ended(minder->process.pid)) {
            break;
        }
        apr_sleep(apr_time_from_msec(POLL_MS));
    }
    ap_log_error(
        APLOG_MARK, APLOG_WARNING, 0, minder->server,
        "L7S1014: l7shield-sync (%s) is not ready: requests are admitted until it "
        "is",
        minder->launch.program);
}

/* Only to end the parent's sleep; the MPM collects its children itself. */
static void on_child(int number)
{
    (void)number;
}

static apr_status_t ignore_children(void *unused)
{
    (void)unused;
    (void)signal(SIGCHLD, SIG_DFL);
    return APR_SUCCESS;
}

/* Not where somebody else listens already. Children of httpd do without. */
static void hear_of_children(apr_pool_t *pool)
{
    struct sigaction before,
        ours = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    if (sigaction(SIGCHLD, NULL, &before) == 0 && before.sa_handler == SIG_DFL &&
        sigaction(SIGCHLD, &ours, NULL) == 0) {
        apr_pool_cleanup_register(pool, NULL, ignore_children, ignore_children);
    }
}

void shield_sync_child(apr_pool_t *pool, server_rec *server)
{
    struct sigaction now;
    (void)pool;
    (void)server;
    if (sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == on_child) {
        (void)signal(SIGCHLD, SIG_DFL);
    }
}

void shield_sync_start(apr_pool_t *pool, server_rec *server, const shield_node_t *node,
                       const shield_segment_t *segment)
{
    minder_t *minder = apr_pcalloc(pool, sizeof(*minder));
    minder->pool = pool;
    minder->server = server;
    const char *program = shield_launch_program(pool, node);
    shield_launch_prepare(program, arguments(pool, server, program, segment->generation),
                          &minder->launch);
    minder->launch.segment_fd = segment->fd;
    make_state_dir(server, node, &minder->launch);
    mind_retired(pool);
    hear_of_children(pool);
    start(minder);
    minding = minder;
    /* After start(): cleanups run last in, first out, so this one sees the pid before APR
     * forgets the process. */
    apr_pool_cleanup_register(pool, minder, on_pool_clear, apr_pool_cleanup_null);
    wait_until_ready(minder);
}
