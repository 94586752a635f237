/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict.h. All questions about one set of limits form a flight: read the arrival
 * times, take a token for each question in its order, write the result with
 * compare-and-swap, answer. Who comes while the flight writes waits for its next round.
 *
 *   flight   reading ──► nobody conforms ──► answer: refused
 *               ▲    └─► writing ──► all written ──► answer: admitted
 *               └──────── raced (at most three tries, then missed)
 *
 * The thread sleeps on the mailbox' bell while nothing is on the way, else in poll, which
 * the bell cannot interrupt: it looks into the mailbox at least every POLL_US.
 */
#define _GNU_SOURCE /* ppoll */
#include "strict.h"
#include "../../core/bus/pool.h"
#include "log.h"
#include "strict_link.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLIGHTS 512
#define TRIES 3
#define POLL_US 300
#define IDLE_US 50000
#define SWEEP_US 1000000
/* So much earlier than the worker gives up the thread does, and says so. */
#define HEADSTART_US 300
#define COMMAND_MAX 128
#define LOG_INTERVAL_MS 10000
#define NONE UINT16_MAX

typedef struct {
    char name[L7S_STRICT_NAME];
    l7s_rate_t rate;
    uint32_t server;
    bool on_the_way, absent, written;
    uint64_t cas;
    l7s_strict_tat_t state;
} limit_t;

/* A question that was taken, by cell. */
typedef struct {
    l7s_mail_t mail;
    uint64_t deadline_us;
    uint16_t flight, next; /* NONE: not in use; the last one */
    bool charged;          /* its tokens are in what is being written */
} member_t;

typedef enum { FREE, READING, WRITING, BROKEN } stage_t;

typedef struct {
    stage_t stage;
    l7s_hash128_t key; /* of the first limit: names the set */
    uint16_t first;    /* member, in the order of arrival */
    uint32_t count;    /* of limits */
    uint32_t on_the_way;
    uint32_t cost; /* of each question: they are of one policy */
    unsigned tries;
    limit_t limits[L7S_STRICT_LIMITS];
} flight_t;

struct sync_strict {
    l7s_mailbox_t mailbox;
    size_t servers;
    l7s_pool_t *router; /* never connects */
    sync_link_t *links[L7S_SERVERS_MAX];
    pthread_t thread;
    bool running;
    _Atomic bool stop;
    pthread_mutex_t lock; /* protects the next two */
    l7s_hashkey_t offered_key;
    bool has_key;
    /* of the thread */
    l7s_hashkey_t name_key;
    bool named;
    uint64_t now_us, swept_us;
    member_t members[L7S_MAILBOX_CELLS];
    flight_t flights[FLIGHTS];
    /* of the tick */
    uint64_t missed;
    bool alone_said;
    sync_log_gate_t missed_gate;
};

static uint64_t mono_us(void)
{
    return sync_clock_now().mono_us;
}

/* ---- members ---- */

static void leave_flight(sync_strict_t *strict, uint16_t cell)
{
    member_t *member = &strict->members[cell];

    if (member->flight == NONE) {
        return;
    }
    for (uint16_t *at = &strict->flights[member->flight].first; *at != NONE;
         at = &strict->members[*at].next) {
        if (*at == cell) {
            *at = member->next;
            break;
        }
    }
    member->flight = NONE;
}

static void answer(sync_strict_t *strict, uint16_t cell, l7s_strict_verdict_t verdict,
                   uint64_t wall_us)
{
    member_t *member = &strict->members[cell];
    const flight_t *flight = &strict->flights[member->flight];

    for (uint32_t i = 0; i < flight->count; i++) {
        const limit_t *limit = &flight->limits[i];
        member->mail.question.limits[i].used =
            l7s_strict_used(&limit->rate, limit->state.tat, wall_us);
    }
    (void)l7s_mailbox_answer(&strict->mailbox, &member->mail, verdict);
    leave_flight(strict, cell);
}

/* Answers all members, or those whose tokens are being written. */
static void answer_all(sync_strict_t *strict, const flight_t *flight, bool charged_only,
                       l7s_strict_verdict_t verdict)
{
    uint64_t wall_us = sync_clock_wall_us();

    for (uint16_t cell = flight->first, next; cell != NONE; cell = next) {
        next = strict->members[cell].next;
        if (!charged_only || strict->members[cell].charged) {
            answer(strict, cell, verdict, wall_us);
        }
    }
}

static void join(sync_strict_t *strict, flight_t *flight, const l7s_mail_t *mail)
{
    member_t *member = &strict->members[mail->cell];
    uint16_t *at = &flight->first;

    while (*at != NONE) {
        at = &strict->members[*at].next;
    }
    *at = (uint16_t)mail->cell;
    *member = (member_t){.mail = *mail,
                         .deadline_us = mail->question.deadline_us - HEADSTART_US,
                         .flight = (uint16_t)(flight - strict->flights),
                         .next = NONE};
}

/* ---- flights ---- */

/* Nothing can be asked for these limits now. What is on the way must still come back. */
static void break_off(sync_strict_t *strict, flight_t *flight)
{
    answer_all(strict, flight, false, L7S_STRICT_MISSED);
    flight->stage = flight->on_the_way > 0 ? BROKEN : FREE;
}

static bool ask(sync_strict_t *strict, flight_t *flight, uint32_t index,
                const char *command, int size)
{
    limit_t *limit = &flight->limits[index];
    uint32_t tag = (uint32_t)(flight - strict->flights) * L7S_STRICT_LIMITS + index;

    if (size <= 0 || size >= COMMAND_MAX ||
        !sync_link_ask(strict->links[limit->server], tag, command, (size_t)size,
                       strict->now_us)) {
        return false;
    }
    limit->on_the_way = true;
    flight->on_the_way++;
    return true;
}

/* Reads the limits that are not written yet. */
static void read_all(sync_strict_t *strict, flight_t *flight)
{
    char command[COMMAND_MAX];

    flight->stage = READING;
    for (uint32_t i = 0; i < flight->count; i++) {
        const limit_t *limit = &flight->limits[i];
        if (!limit->written &&
            !ask(strict, flight, i, command,
                 snprintf(command, sizeof command, "mg %s c v\r\n", limit->name))) {
            break_off(strict, flight);
            return;
        }
    }
}

static int write_command(const limit_t *limit, uint64_t wall_us, char out[COMMAND_MAX])
{
    char mode[24] = "ME", value[24];
    unsigned long long ttl = l7s_strict_ttl(&limit->rate, limit->state.tat, wall_us);
    int size =
        snprintf(value, sizeof value, "%llu", (unsigned long long)limit->state.tat);

    if (!limit->absent) {
        (void)snprintf(mode, sizeof mode, "C%llu", (unsigned long long)limit->cas);
    }
    return snprintf(out, COMMAND_MAX, "ms %s %d %s T%llu\r\n%s\r\n", limit->name, size,
                    mode, ttl, value);
}

static void write_all(sync_strict_t *strict, flight_t *flight, uint64_t wall_us)
{
    char command[COMMAND_MAX];

    flight->stage = WRITING;
    for (uint32_t i = 0; i < flight->count; i++) {
        const limit_t *limit = &flight->limits[i];
        if (!limit->written &&
            !ask(strict, flight, i, command, write_command(limit, wall_us, command))) {
            break_off(strict, flight);
            return;
        }
    }
}

/* A damaged arrival time that nobody conforms to is mended, or it would stay. */
static void mend(sync_strict_t *strict, const flight_t *flight, uint64_t wall_us)
{
    char command[COMMAND_MAX];

    for (uint32_t i = 0; i < flight->count; i++) {
        const limit_t *limit = &flight->limits[i];
        if (limit->state.damaged) {
            int size = write_command(limit, wall_us, command);
            (void)sync_link_ask(strict->links[limit->server], SYNC_LINK_NOBODY, command,
                                (size_t)size, strict->now_us);
        }
    }
}

/* Takes the tokens of one question from every limit that is not written yet, or of none.
 */
static bool take(flight_t *flight, uint64_t wall_us)
{
    l7s_strict_tat_t states[L7S_STRICT_LIMITS];

    for (uint32_t i = 0; i < flight->count; i++) {
        limit_t *limit = &flight->limits[i];
        states[i] = limit->state;
        if (!limit->written &&
            !l7s_strict_take(&limit->rate, &states[i], wall_us, flight->cost)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < flight->count; i++) {
        flight->limits[i].state = states[i];
    }
    return true;
}

/* Everything that was asked for has been read. Limits that were written in an earlier
 * try hold the tokens of the charged members; newcomers wait for the next round then. */
static void judge(sync_strict_t *strict, flight_t *flight)
{
    uint64_t wall_us = sync_clock_wall_us();
    bool partly = false, any = false;

    for (uint32_t i = 0; i < flight->count; i++) {
        partly |= flight->limits[i].written;
    }
    for (uint16_t cell = flight->first, next; cell != NONE; cell = next) {
        member_t *member = &strict->members[cell];
        next = member->next;
        if (partly && !member->charged) {
            continue;
        }
        member->charged = take(flight, wall_us);
        any |= member->charged;
        if (!member->charged) {
            answer(strict, cell, L7S_STRICT_REFUSED, wall_us);
        }
    }
    if (any) {
        write_all(strict, flight, wall_us);
        return;
    }
    mend(strict, flight, wall_us);
    flight->stage = FREE;
}

static void begin_round(sync_strict_t *strict, flight_t *flight)
{
    flight->tries = 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        flight->limits[i].written = false;
    }
    if (flight->first == NONE) {
        flight->stage = FREE;
    } else {
        read_all(strict, flight);
    }
}

/* All writes have been answered. */
static void conclude(sync_strict_t *strict, flight_t *flight)
{
    bool all = true;

    for (uint32_t i = 0; i < flight->count; i++) {
        all = all && flight->limits[i].written;
    }
    if (!all && ++flight->tries < TRIES) {
        read_all(strict, flight);
        return;
    }
    answer_all(strict, flight, true, all ? L7S_STRICT_ADMITTED : L7S_STRICT_MISSED);
    begin_round(strict, flight);
}

/* `used`: what a node remembers, should the store have lost its data. */
static void note_read(limit_t *limit, uint64_t used, const sync_strict_reply_t *reply)
{
    uint64_t wall_us = sync_clock_wall_us();

    limit->absent = reply->kind == SYNC_STRICT_ABSENT;
    limit->cas = reply->cas;
    limit->state = limit->absent ? l7s_strict_absent(&limit->rate, used, wall_us)
                                 : l7s_strict_found(&limit->rate, reply->tat, wall_us);
}

/* May this be the answer to what the flight asked? */
static bool fits(const flight_t *flight, const sync_strict_reply_t *reply)
{
    if (reply == NULL) {
        return false;
    }
    return flight->stage == READING
               ? reply->kind == SYNC_STRICT_VALUE || reply->kind == SYNC_STRICT_ABSENT
               : reply->kind != SYNC_STRICT_VALUE;
}

/* A sync_link_answer_fn. */
static void heard(void *context, uint32_t tag, const sync_strict_reply_t *reply)
{
    sync_strict_t *strict = context;
    flight_t *flight = &strict->flights[tag / L7S_STRICT_LIMITS];
    uint32_t index = tag % L7S_STRICT_LIMITS;
    limit_t *limit = &flight->limits[index];

    limit->on_the_way = false;
    flight->on_the_way--;
    if (flight->stage == BROKEN) {
        flight->stage = flight->on_the_way > 0 ? BROKEN : FREE;
        return;
    }
    if (!fits(flight, reply)) {
        break_off(strict, flight);
        return;
    }
    if (flight->stage == READING) {
        uint16_t first = flight->first;
        note_read(limit,
                  first == NONE ? 0
                                : strict->members[first].mail.question.limits[index].used,
                  reply);
    } else {
        limit->written = reply->kind == SYNC_STRICT_DONE;
    }
    if (flight->on_the_way == 0 && flight->stage == READING) {
        judge(strict, flight);
    } else if (flight->on_the_way == 0) {
        conclude(strict, flight);
    }
}

/* ---- mail ---- */

static flight_t *find_flight(sync_strict_t *strict, const l7s_strict_question_t *question)
{
    for (unsigned i = 0; i < FLIGHTS; i++) {
        flight_t *flight = &strict->flights[i];
        if ((flight->stage == READING || flight->stage == WRITING) &&
            flight->key.lo == question->limits[0].key.lo &&
            flight->key.hi == question->limits[0].key.hi &&
            flight->count == question->count && flight->cost == question->cost) {
            return flight;
        }
    }
    return NULL;
}

static flight_t *new_flight(sync_strict_t *strict, const l7s_strict_question_t *question)
{
    flight_t *flight = strict->flights;

    while (flight < strict->flights + FLIGHTS && flight->stage != FREE) {
        flight++;
    }
    if (flight == strict->flights + FLIGHTS) {
        return NULL;
    }
    *flight = (flight_t){.stage = READING,
                         .key = question->limits[0].key,
                         .first = NONE,
                         .count = question->count,
                         .cost = question->cost};
    for (uint32_t i = 0; i < question->count; i++) {
        limit_t *limit = &flight->limits[i];
        limit->rate = question->limits[i].rate;
        l7s_strict_name(&strict->name_key, question->limits[i].key, limit->name);
        limit->server = (uint32_t)l7s_pool_route(strict->router, limit->name);
    }
    return flight;
}

/* An operator forgives this key: its arrival time is deleted. */
static void forget(sync_strict_t *strict, const l7s_mail_t *mail)
{
    char name[L7S_STRICT_NAME], command[COMMAND_MAX];

    l7s_mailbox_release(&strict->mailbox, mail);
    if (strict->named) {
        l7s_strict_name(&strict->name_key, mail->question.limits[0].key, name);
        int size = snprintf(command, sizeof command, "md %s\r\n", name);
        size_t server = l7s_pool_route(strict->router, name);
        (void)sync_link_ask(strict->links[server], SYNC_LINK_NOBODY, command,
                            (size_t)size, strict->now_us);
    }
}

static void accept_mail(sync_strict_t *strict, const l7s_mail_t *mail)
{
    const l7s_strict_question_t *question = &mail->question;
    flight_t *flight = NULL;

    leave_flight(strict, (uint16_t)mail->cell); /* its worker gave up */
    if (question->cost == 0) {
        forget(strict, mail);
        return;
    }
    if (strict->named && question->deadline_us > strict->now_us + HEADSTART_US) {
        flight = find_flight(strict, question);
        if (flight != NULL) {
            join(strict, flight, mail);
            return;
        }
        flight = new_flight(strict, question);
    }
    if (flight == NULL) {
        (void)l7s_mailbox_answer(&strict->mailbox, mail, L7S_STRICT_MISSED);
        return;
    }
    join(strict, flight, mail);
    read_all(strict, flight);
}

static void take_mail(sync_strict_t *strict)
{
    uint32_t cursor = 0;
    l7s_mail_t mail;

    while (l7s_mailbox_take(&strict->mailbox, &cursor, &mail)) {
        accept_mail(strict, &mail);
    }
}

/* Gives up the questions whose time has passed and tells the servers that were to blame.
 * Returns the next deadline, or UINT64_MAX. */
static uint64_t expire(sync_strict_t *strict)
{
    unsigned late[L7S_SERVERS_MAX] = {0};
    uint64_t next_us = UINT64_MAX;

    for (uint16_t cell = 0; cell < L7S_MAILBOX_CELLS; cell++) {
        const member_t *member = &strict->members[cell];
        if (member->flight == NONE) {
            continue;
        }
        if (member->deadline_us > strict->now_us) {
            next_us = member->deadline_us < next_us ? member->deadline_us : next_us;
            continue;
        }
        const flight_t *flight = &strict->flights[member->flight];
        for (uint32_t i = 0; i < flight->count; i++) {
            late[flight->limits[i].server] += flight->limits[i].on_the_way;
        }
        answer(strict, cell, L7S_STRICT_MISSED, 0);
    }
    for (size_t i = 0; i < strict->servers; i++) {
        for (; late[i] > 0; late[i]--) {
            sync_link_late(strict->links[i], strict->now_us);
        }
    }
    return next_us;
}

/* ---- the thread ---- */

static bool is_busy(const sync_strict_t *strict)
{
    bool busy = false;

    for (size_t i = 0; i < strict->servers; i++) {
        busy = busy || sync_link_busy(strict->links[i]);
    }
    return busy;
}

static void wait_for_network(sync_strict_t *strict, uint64_t next_us)
{
    struct pollfd fds[L7S_SERVERS_MAX];
    uint64_t left_us = next_us > strict->now_us ? next_us - strict->now_us : 0;
    const struct timespec most = {
        .tv_nsec = (long)(left_us < POLL_US ? left_us : POLL_US) * 1000};

    for (size_t i = 0; i < strict->servers; i++) {
        fds[i] = sync_link_pollfd(strict->links[i]);
    }
    if (ppoll(fds, strict->servers, &most, NULL) > 0) {
        strict->now_us = mono_us();
        for (size_t i = 0; i < strict->servers; i++) {
            sync_link_advance(strict->links[i], fds[i].revents, strict->now_us);
        }
    }
}

static void fetch_key(sync_strict_t *strict)
{
    (void)pthread_mutex_lock(&strict->lock);
    strict->name_key = strict->offered_key;
    strict->named = strict->has_key;
    (void)pthread_mutex_unlock(&strict->lock);
}

static void *serve(void *context)
{
    sync_strict_t *strict = context;

    while (!atomic_load(&strict->stop)) {
        uint32_t bell = l7s_mailbox_bell(&strict->mailbox);
        strict->now_us = mono_us();
        fetch_key(strict);
        take_mail(strict);
        uint64_t next_us = expire(strict);
        for (size_t i = 0; i < strict->servers; i++) {
            sync_link_tend(strict->links[i], strict->now_us);
        }
        if (strict->now_us - strict->swept_us > SWEEP_US) {
            strict->swept_us = strict->now_us;
            (void)l7s_mailbox_sweep(&strict->mailbox);
        }
        if (is_busy(strict)) {
            wait_for_network(strict, next_us);
        } else {
            l7s_mailbox_sleep(&strict->mailbox, bell, IDLE_US);
        }
    }
    return NULL;
}

/* ---- life ---- */

static l7s_status_t connect_all(sync_strict_t *strict, const sync_options_t *options)
{
    l7s_status_t status =
        l7s_pool_create(options->servers, options->server_count, 1, &strict->router);

    for (size_t i = 0; i < options->server_count && status == L7S_OK; i++) {
        status = sync_link_create(options->servers[i], heard, strict, &strict->links[i]);
        strict->servers += status == L7S_OK;
    }
    return status;
}

l7s_status_t sync_strict_create(const l7s_shared_t *shared, const sync_options_t *options,
                                sync_strict_t **out)
{
    sync_strict_t *strict = calloc(1, sizeof *strict);
    l7s_status_t status = L7S_OK;

    *out = NULL;
    if (strict == NULL) {
        return L7S_NO_MEMORY;
    }
    strict->mailbox = shared->mailbox;
    strict->missed = atomic_load(&shared->mailbox.head->missed);
    (void)pthread_mutex_init(&strict->lock, NULL);
    for (unsigned i = 0; i < L7S_MAILBOX_CELLS; i++) {
        strict->members[i].flight = NONE;
    }
    if (options->server_count > 0) {
        status = connect_all(strict, options);
        if (status == L7S_OK &&
            pthread_create(&strict->thread, NULL, serve, strict) != 0) {
            status = L7S_NO_MEMORY;
        }
        strict->running = status == L7S_OK;
    }
    if (status != L7S_OK) {
        sync_strict_free(strict);
        return status;
    }
    l7s_mailbox_set_role(&strict->mailbox,
                         strict->running ? L7S_MAILBOX_SERVING : L7S_MAILBOX_ALONE);
    *out = strict;
    return L7S_OK;
}

void sync_strict_free(sync_strict_t *strict)
{
    if (strict == NULL) {
        return;
    }
    if (strict->running) {
        l7s_mailbox_set_role(&strict->mailbox, L7S_MAILBOX_CLOSED);
        atomic_store(&strict->stop, true);
        l7s_mailbox_ring(&strict->mailbox);
        (void)pthread_join(strict->thread, NULL);
    }
    for (size_t i = 0; i < strict->servers; i++) {
        sync_link_free(strict->links[i]);
    }
    l7s_pool_free(strict->router);
    (void)pthread_mutex_destroy(&strict->lock);
    free(strict);
}

/* ---- the tick ---- */

static void say_alone(sync_strict_t *strict, const l7s_image_t *image)
{
    if (!strict->running && !strict->alone_said && image != NULL &&
        l7s_image_has_strict(image)) {
        strict->alone_said = true;
        sync_log(SYNC_INFO, "L7S2111",
                 "policies are strict and this node has no memcached: it counts them "
                 "exactly, for itself");
    }
}

void sync_strict_tick(sync_strict_t *strict, const l7s_hashkey_t *name_key,
                      const l7s_image_t *image, l7s_now_t now)
{
    uint64_t missed = atomic_load(&strict->mailbox.head->missed);

    (void)pthread_mutex_lock(&strict->lock);
    strict->has_key = name_key != NULL;
    if (name_key != NULL) {
        strict->offered_key = *name_key;
    }
    (void)pthread_mutex_unlock(&strict->lock);
    say_alone(strict, image);
    if (missed > strict->missed &&
        sync_log_gate(&strict->missed_gate, sync_mono_ms(now), LOG_INTERVAL_MS, NULL)) {
        sync_log(
            SYNC_WARN, "L7S2110",
            "%llu requests of strict policies got no verdict from memcached in time; "
            "when_store_down decided",
            (unsigned long long)(missed - strict->missed));
        strict->missed = missed;
    }
}
