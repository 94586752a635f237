/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shield-sync: does for one httpd node everything that a request must not wait for.
 * httpd's parent starts one per configuration with the node's segment on a descriptor;
 * the lease in the segment lets one work at a time, so a new one waits here until the old
 * one has gone. It never daemonises, never drops privileges (the module did) and writes
 * to stderr only, which is httpd's error log.
 */
#include "clock.h"
#include "log.h"
#include "options.h"
#include "policy_file.h"
#include "state_dir.h"
#include "tick.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEASE_PAUSE_MS 10
#define STATE_DIR_WAIT_MS 1500
#define EXIT_BAD_CALL 2

/* libmemcached loses its deadline when signals interrupt it, so none ever does; those
 * that matter are taken between ticks. */
static void block_signals(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
}

static bool map_segment(int fd, l7s_shared_t *out)
{
    struct stat info;

    if (fstat(fd, &info) != 0 || info.st_size <= 0) {
        sync_log(SYNC_ERROR, "L7S2004", "descriptor %d is not a segment: %s", fd,
                 strerror(errno));
        return false;
    }
    size_t size = (size_t)info.st_size;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        sync_log(SYNC_ERROR, "L7S2004", "the segment cannot be mapped: %s",
                 strerror(errno));
        return false;
    }
    if (l7s_segment_attach(memory, size, out) != L7S_OK) {
        sync_log(SYNC_ERROR, "L7S2004",
                 "the segment has another layout than this program; module and "
                 "l7shield-sync must be of one version");
        return false;
    }
    return true;
}

/* Waits until the predecessor has let go. A dead one's lease is taken over: what it may
 * have left half done is repaired by the sweeps. */
static sync_end_t take_lease(const l7s_shared_t *shared, const sync_options_t *options)
{
    sync_end_t end = SYNC_GO_ON;

    while (end == SYNC_GO_ON) {
        int result = pthread_mutex_trylock(&shared->header->sync_lease);
        if (result == EOWNERDEAD) {
            result = pthread_mutex_consistent(&shared->header->sync_lease);
        }
        if (result == 0) {
            return SYNC_GO_ON;
        }
        end = sync_tick_wait(shared, options, LEASE_PAUSE_MS);
    }
    return end;
}

/* A predecessor on another segment does not hold our lease, but it is about to go. What
 * stays another httpd's is read and not written: two would overwrite each other's bans.
 */
static sync_end_t take_state_dir(const l7s_shared_t *shared,
                                 const sync_options_t *options)
{
    sync_end_t end = SYNC_GO_ON;
    bool is_ours = sync_state_dir_take(options->state_dir);

    for (unsigned waited_ms = 0;
         end == SYNC_GO_ON && !is_ours && waited_ms < STATE_DIR_WAIT_MS;
         waited_ms += LEASE_PAUSE_MS) {
        end = sync_tick_wait(shared, options, LEASE_PAUSE_MS);
        is_ours = sync_state_dir_is_ours();
    }
    if (!is_ours && end == SYNC_GO_ON) {
        sync_log(SYNC_ERROR, "L7S2009",
                 "the state folder %s is in use by the l7shield-sync of another httpd: "
                 "until it goes, this one keeps neither bans nor policies over a stop; "
                 "give it an L7ShieldStateDir of its own",
                 options->state_dir);
    }
    sync_state_dir_check(options->state_dir);
    return end;
}

static int work(const l7s_shared_t *shared, const sync_options_t *options)
{
    sync_tick_t *tick = NULL;
    l7s_status_t status = sync_tick_create(shared, options, &tick);

    if (status != L7S_OK) {
        sync_log(SYNC_ERROR, "L7S2003", "l7shield-sync cannot start: %s",
                 status == L7S_INVALID ? "a memcached address is not ADDRESS:PORT"
                                       : l7s_status_name(status));
        return 1;
    }
    sync_log(SYNC_INFO, "L7S2001",
             "node %s: l7shield-sync works for configuration %llu%s", options->node,
             (unsigned long long)options->generation,
             options->server_count > 0 ? ", in a fleet" : "");
    sync_end_t end = sync_tick_run(tick);
    sync_tick_end(tick, end == SYNC_STOPPED);
    sync_tick_free(tick);
    sync_log(SYNC_INFO, "L7S2002", "l7shield-sync ends: %s",
             end == SYNC_STOPPED ? "it was told to, or httpd is gone"
                                 : "a newer configuration has its own");
    return 0;
}

int main(int argc, char **argv)
{
    sync_options_t options;
    l7s_shared_t shared;
    char why[256] = "";
    int result = 0;

    block_signals();
    (void)umask(077);
    /* httpd starts us by descriptor, and older kernels then name us after its number. */
    (void)prctl(PR_SET_NAME, "l7shield-sync");
    if (!sync_options_parse(argc, argv, &options, why)) {
        sync_log(SYNC_ERROR, "L7S2003", "l7shield-sync was called wrongly: %s", why);
        return EXIT_BAD_CALL;
    }
    if (options.syslog != NULL) {
        sync_log_to_syslog("/dev/log", options.syslog);
    }
    if (options.check_file != NULL) {
        return sync_policy_file_check(options.check_file);
    }
    if (!map_segment(options.segment_fd, &shared)) {
        return EXIT_BAD_CALL;
    }
    if (take_lease(&shared, &options) != SYNC_GO_ON) {
        return 0;
    }
    if (options.state_dir[0] == '\0' || take_state_dir(&shared, &options) == SYNC_GO_ON) {
        result = work(&shared, &options);
    }
    (void)pthread_mutex_unlock(&shared.header->sync_lease);
    return result;
}
