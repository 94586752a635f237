/* SPDX-License-Identifier: Apache-2.0
 *
 * See tick.h. Ticks stand on an absolute grid of the monotonic clock; one that took too
 * long skips the places it missed. While a new revision is on its way the grid is finer,
 * since somebody waits for the rollout.
 */
#include "tick.h"
#include "ban_file.h"
#include "ban_log.h"
#include "bans.h"
#include "caution.h"
#include "clock.h"
#include "counters.h"
#include "episodes.h"
#include "guard.h"
#include "log.h"
#include "mode.h"
#include "outage.h"
#include "policy_file.h"
#include "publish.h"
#include "seat.h"
#include "snapshot.h"
#include "spool.h"
#include "strict.h"
#include "sweeper.h"
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* So long at most until a reason to end is noticed, however long a tick is. */
#define LOOK_MS 50
#define HURRY_MS 20
#define LATE_MS 1000
/* httpd need not wait longer than this for policies that are on their way. */
#define READY_MS 2000
/* httpd reads a new configuration in less, mostly; where not, the successor finds nobody,
 * and what is in force has stayed. */
#define SUCCESSOR_S 10

struct sync_tick {
    const l7s_shared_t *shared;
    const sync_options_t *options;
    l7s_now_t started;
    uint64_t lag_ms;
    sync_log_gate_t late_gate;
    sync_caution_t caution; /* of a node in a fleet */
    sync_publisher_t *publisher;
    sync_mode_t *mode;
    sync_policy_file_t *policy_file; /* NULL without one */
    sync_counters_t *counters;
    sync_strict_t *strict;
    sync_sweeper_t *sweeper;
    sync_bans_t *bans;
    sync_ban_file_t *ban_file;
    sync_episodes_t *episodes;
    sync_guard_t *guard;
    /* of a node in a fleet, else NULL */
    sync_bus_t *bus;
    sync_snapshot_t *snapshot;
    sync_ban_log_t *ban_log;
    sync_spool_t *spool;
    sync_outage_t *outage;
    sync_seat_t *seat;
};

/* ---- making ---- */

static l7s_status_t create_fleet(sync_tick_t *tick)
{
    const sync_options_t *options = tick->options;
    l7s_status_t status = sync_bus_create(options, &tick->bus);

    sync_caution_begin(&tick->caution, tick->shared->header, tick->started);

    if (status == L7S_OK) {
        sync_snapshot_links_t links = {.bus = tick->bus,
                                       .mode = tick->mode,
                                       .publisher = tick->publisher,
                                       .shared = tick->shared,
                                       .state_dir = options->state_dir};
        status = sync_snapshot_create(&links, &tick->snapshot);
    }
    if (status == L7S_OK) {
        status = sync_spool_create(tick->bus, options, tick->started, &tick->spool);
    }
    if (status == L7S_OK) {
        status = sync_outage_create(tick->shared, tick->bus, tick->spool, options->node,
                                    &tick->outage);
    }
    if (status == L7S_OK) {
        status = sync_seat_create(tick->shared, tick->bus, options, tick->started,
                                  &tick->seat);
    }
    if (status == L7S_OK) {
        sync_snapshot_load(tick->snapshot, tick->started);
    }
    return status;
}

/* Without a file and without a fleet nothing may be left in force that an earlier
 * configuration of httpd brought. */
static void publish_nothing(sync_tick_t *tick)
{
    l7s_config_t *config = NULL;
    l7s_segment_t *header = tick->shared->header;
    json_t *document = json_object();

    if (l7s_config_parse(document, NULL, &config) == L7S_OK &&
        sync_publisher_offer(tick->publisher, config, &header->boot_count_key, 0,
                             atomic_load(&header->revision) + 1,
                             tick->started) != L7S_OK) {
        l7s_config_free(config);
    }
    json_decref(document);
}

static l7s_status_t create_bans(sync_tick_t *tick, bool cold)
{
    l7s_status_t status = sync_bans_create(tick->shared, tick->publisher, &tick->bans);

    if (status == L7S_OK) {
        status =
            sync_ban_file_create(tick->shared, tick->options->state_dir, &tick->ban_file);
    }
    if (status == L7S_OK && tick->bus != NULL) {
        status = sync_ban_log_create(tick->bus, tick->bans, &tick->ban_log);
    }
    if (status == L7S_OK) {
        if (tick->ban_log != NULL) {
            sync_ban_log_begin(tick->ban_log); /* before the file says what is told */
        }
        sync_ban_file_load(tick->ban_file, tick->bans,
                           tick->bus == NULL ? "" : sync_bus_epoch(tick->bus),
                           sync_publisher_count_key(tick->publisher), cold,
                           tick->started);
    }
    return status;
}

static l7s_status_t create_parts(sync_tick_t *tick)
{
    const sync_options_t *options = tick->options;
    const l7s_shared_t *shared = tick->shared;
    l7s_segment_t *header = shared->header;
    bool cold = atomic_load(&header->image_generation) == 0;
    bool fleet = options->server_count > 0;
    l7s_status_t status = sync_publisher_create(shared, &tick->publisher);

    if (status == L7S_OK) {
        status = sync_mode_create(shared, options->state_dir, &tick->mode);
    }
    if (status == L7S_OK && options->policy_file != NULL) {
        status = sync_policy_file_create(options->policy_file, &tick->policy_file);
    }
    if (status == L7S_OK && fleet) {
        status = create_fleet(tick);
    }
    if (status == L7S_OK && !fleet && options->policy_file == NULL && !cold) {
        publish_nothing(tick);
    }
    if (status == L7S_OK) {
        status = create_bans(tick, cold);
    }
    if (status == L7S_OK) {
        status = sync_counters_create(shared, tick->bus, options, &tick->counters);
    }
    if (status == L7S_OK) {
        status = sync_strict_create(shared, options, &tick->strict);
    }
    if (status == L7S_OK) {
        status = sync_sweeper_create(shared, options->tick_ms, fleet, &tick->sweeper);
    }
    if (status == L7S_OK) {
        status = sync_guard_create(shared, options->node, tick->spool, &tick->guard);
    }
    if (status == L7S_OK) {
        status =
            sync_episodes_create(shared, options->node, tick->spool,
                                 atomic_load(&header->sync_beat_ms), &tick->episodes);
    }
    return status;
}

l7s_status_t sync_tick_create(const l7s_shared_t *shared, const sync_options_t *options,
                              sync_tick_t **out)
{
    sync_tick_t *tick = calloc(1, sizeof *tick);

    if (tick == NULL) {
        return L7S_NO_MEMORY;
    }
    tick->shared = shared;
    tick->options = options;
    tick->started = sync_clock_now();
    l7s_status_t status = create_parts(tick);
    if (status != L7S_OK) {
        sync_tick_free(tick);
        return status;
    }
    atomic_store(&shared->header->sync_pid, (int32_t)getpid());
    atomic_store(&shared->header->store_servers, (uint32_t)options->server_count);
    *out = tick;
    return L7S_OK;
}

void sync_tick_free(sync_tick_t *tick)
{
    if (tick == NULL) {
        return;
    }
    sync_guard_free(tick->guard);
    sync_episodes_free(tick->episodes);
    sync_sweeper_free(tick->sweeper);
    sync_strict_free(tick->strict);
    sync_counters_free(tick->counters);
    sync_ban_log_free(tick->ban_log);
    sync_ban_file_free(tick->ban_file);
    sync_bans_free(tick->bans);
    sync_seat_free(tick->seat);
    sync_outage_free(tick->outage);
    sync_spool_free(tick->spool);
    sync_snapshot_free(tick->snapshot);
    sync_policy_file_free(tick->policy_file);
    sync_mode_free(tick->mode);
    sync_publisher_free(tick->publisher);
    sync_bus_free(tick->bus);
    free(tick);
}

/* ---- one tick ---- */

static void tell_seat(sync_tick_t *tick, l7s_now_t now)
{
    sync_seat_report_t report = {.lag_ms = tick->lag_ms};

    (void)sync_snapshot_refused(tick->snapshot, &report.refused_epoch,
                                &report.refused_revision, &report.refused_why);
    sync_spool_range(tick->spool, &report.incident_first, &report.incident_next);
    sync_seat_tick(tick->seat, &report, now);
}

/* What is in force, and how strictly. */
static void follow_policies(sync_tick_t *tick, l7s_now_t now)
{
    if (tick->policy_file != NULL) {
        sync_policy_file_tick(tick->policy_file, tick->publisher, tick->shared, now);
    }
    if (tick->bus != NULL) {
        sync_snapshot_tick(tick->snapshot, tick->bans, tick->ban_log, now);
    }
    sync_publisher_tick(tick->publisher, now);
    sync_mode_tick(tick->mode, sync_publisher_config(tick->publisher), now);
    if (tick->bus != NULL) {
        tell_seat(tick, now); /* a rollout waits for it */
    }
}

static void follow_requests(sync_tick_t *tick, l7s_now_t now)
{
    const l7s_image_t *image = sync_publisher_image(tick->publisher);

    sync_bans_tick(tick->bans, now);
    if (tick->bus != NULL) {
        sync_ban_log_tick(tick->ban_log, now);
    }
    sync_counters_tick(tick->counters, image, now);
    sync_strict_tick(tick->strict,
                     tick->bus == NULL ? NULL : sync_bus_name_key(tick->bus), image, now);
    sync_sweeper_tick(tick->sweeper, image, now);
    sync_episodes_tick(tick->episodes, now);
    sync_guard_tick(tick->guard, sync_publisher_config(tick->publisher), now);
    if (tick->bus != NULL) {
        sync_outage_tick(tick->outage, now);
        sync_spool_tick(tick->spool, now);
        tell_seat(tick, now); /* where the daemon finds the incidents */
    }
}

static void keep_bans(sync_tick_t *tick, bool at_once, l7s_now_t now)
{
    sync_ban_file_tick(tick->ban_file, tick->bans,
                       tick->bus == NULL ? "" : sync_bus_epoch(tick->bus),
                       sync_publisher_count_key(tick->publisher), at_once, now);
}

static void say_state(sync_tick_t *tick, l7s_now_t now)
{
    l7s_segment_t *header = tick->shared->header;
    bool waits = tick->snapshot != NULL && sync_snapshot_waits(tick->snapshot);
    bool patient = now.mono_us - tick->started.mono_us < (uint64_t)READY_MS * 1000;

    if (tick->bus != NULL) {
        atomic_store(&header->store_up, sync_bus_servers_up(tick->bus));
    } else {
        atomic_store(&header->live_nodes, 1);
        atomic_store(&header->store_up, 0);
    }
    atomic_store(&header->sync_beat_ms, now.wall_ms);
    if (!waits || !patient || atomic_load(&header->image_generation) != 0) {
        atomic_store(&header->sync_ready, 1);
    }
}

static void begin_bus(sync_tick_t *tick, l7s_now_t now)
{
    sync_bus_begin(tick->bus, now);
    if (!sync_caution_enter(&tick->caution, now)) {
        sync_bus_rest(tick->bus);
    }
}

static void run_once(sync_tick_t *tick, l7s_now_t now)
{
    if (tick->bus != NULL) {
        begin_bus(tick, now);
    }
    follow_policies(tick, now);
    follow_requests(tick, now);
    if (tick->bus != NULL) {
        sync_caution_leave(&tick->caution, now);
    }
    keep_bans(tick, false, now);
    say_state(tick, now);
}

/* ---- the loop ---- */

/* SIGUSR2: our configuration has gone. A successor comes soon, unless the module was
 * taken out of the new one. */
static bool take_signal(unsigned wait_ms)
{
    const struct timespec wait = {.tv_sec = wait_ms / 1000,
                                  .tv_nsec = (long)(wait_ms % 1000) * 1000000};
    sigset_t all;

    (void)sigfillset(&all);
    int signal = sigtimedwait(&all, NULL, &wait);
    if (signal == SIGUSR2) {
        (void)alarm(SUCCESSOR_S);
    }
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT ||
           signal == SIGALRM;
}

sync_end_t sync_tick_wait(const l7s_shared_t *shared, const sync_options_t *options,
                          unsigned wait_ms)
{
    if (take_signal(wait_ms) || getppid() != options->parent) {
        return SYNC_STOPPED;
    }
    if (atomic_load(&shared->header->config_generation) > options->generation) {
        return SYNC_SUPERSEDED;
    }
    return SYNC_GO_ON;
}

/* Waits for a place of the grid. */
static sync_end_t wait_until(const sync_tick_t *tick, uint64_t due_us)
{
    sync_end_t end;

    do {
        uint64_t now_us = sync_clock_now().mono_us;
        uint64_t left_ms = due_us > now_us ? (due_us - now_us + 999) / 1000 : 0;
        end = sync_tick_wait(tick->shared, tick->options,
                             left_ms > LOOK_MS ? LOOK_MS : (unsigned)left_ms);
    } while (end == SYNC_GO_ON && sync_clock_now().mono_us < due_us);
    return end;
}

static void watch_lag(sync_tick_t *tick, uint64_t due_us, l7s_now_t now)
{
    tick->lag_ms = now.mono_us > due_us ? (now.mono_us - due_us) / 1000 : 0;
    if (tick->lag_ms >= LATE_MS &&
        sync_log_gate(&tick->late_gate, sync_mono_ms(now), 60000, NULL)) {
        sync_log(SYNC_WARN, "L7S2005",
                 "a tick came %llu ms late; the machine is too busy or was asleep",
                 (unsigned long long)tick->lag_ms);
    }
}

sync_end_t sync_tick_run(sync_tick_t *tick)
{
    uint64_t due_us = sync_clock_now().mono_us;
    sync_end_t end = SYNC_GO_ON;

    while (end == SYNC_GO_ON) {
        l7s_now_t now = sync_clock_now();
        watch_lag(tick, due_us, now);
        run_once(tick, now);
        bool hurry = tick->snapshot != NULL && sync_snapshot_waits(tick->snapshot);
        uint64_t step_us = (uint64_t)(hurry && HURRY_MS < tick->options->tick_ms
                                          ? HURRY_MS
                                          : tick->options->tick_ms) *
                           1000;
        due_us += step_us;
        uint64_t after_us = sync_clock_now().mono_us;
        if (due_us < after_us) {
            due_us = after_us; /* places that were missed are not made up for */
        }
        end = wait_until(tick, due_us);
    }
    return end;
}

void sync_tick_end(sync_tick_t *tick, bool leave)
{
    l7s_now_t now = sync_clock_now();

    if (tick->bus != NULL) {
        sync_bus_begin(tick->bus, now);
        sync_spool_flush(tick->spool, now);
        if (leave) {
            sync_seat_leave(tick->seat);
        }
    }
    keep_bans(tick, true, now);
}
