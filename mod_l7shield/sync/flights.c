/* SPDX-License-Identifier: Apache-2.0
 *
 * See flights.h.
 *
 *   flight   reading ──► nobody conforms ──► answer: refused
 *               ▲    └─► writing ──► all written ──► answer: admitted
 *               └──────── raced (at most three tries, then missed)
 */
#define _GNU_SOURCE /* ppoll */
#include "flights.h"
#include "../../core/bus/pool.h"
#include "clock.h"
#include "strict_limit.h"
#include "strict_link.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLIGHTS 512
#define TRIES 3
/* So much earlier than the worker gives up the thread does, and says so. */
#define HEADSTART_US 300
#define NONE UINT16_MAX

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
    sync_limit_t limits[L7S_STRICT_LIMITS];
} flight_t;

struct sync_flights {
    l7s_mailbox_t mailbox;
    size_t servers;
    l7s_pool_t *router; /* never connects */
    sync_link_t *links[L7S_SERVERS_MAX];
    l7s_hashkey_t name_key;
    bool named;
    uint64_t now_us;
    member_t members[L7S_MAILBOX_CELLS];
    flight_t list[FLIGHTS];
};

/* ---- members ---- */

static void leave_flight(sync_flights_t *flights, uint16_t cell)
{
    member_t *member = &flights->members[cell];

    if (member->flight == NONE) {
        return;
    }
    for (uint16_t *at = &flights->list[member->flight].first; *at != NONE;
         at = &flights->members[*at].next) {
        if (*at == cell) {
            *at = member->next;
            break;
        }
    }
    member->flight = NONE;
}

static void answer(sync_flights_t *flights, uint16_t cell, l7s_strict_verdict_t verdict,
                   uint64_t wall_us)
{
    member_t *member = &flights->members[cell];
    const flight_t *flight = &flights->list[member->flight];

    for (uint32_t i = 0; i < flight->count; i++) {
        const sync_limit_t *limit = &flight->limits[i];
        member->mail.question.limits[i].used =
            l7s_strict_used(&limit->rate, limit->state.tat, wall_us);
    }
    (void)l7s_mailbox_answer(&flights->mailbox, &member->mail, verdict);
    leave_flight(flights, cell);
}

/* Answers all members, or those whose tokens are being written. */
static void answer_all(sync_flights_t *flights, const flight_t *flight, bool charged_only,
                       l7s_strict_verdict_t verdict)
{
    uint64_t wall_us = sync_clock_wall_us();

    for (uint16_t cell = flight->first, next; cell != NONE; cell = next) {
        next = flights->members[cell].next;
        if (!charged_only || flights->members[cell].charged) {
            answer(flights, cell, verdict, wall_us);
        }
    }
}

static void join(sync_flights_t *flights, flight_t *flight, const l7s_mail_t *mail)
{
    member_t *member = &flights->members[mail->cell];
    uint16_t *at = &flight->first;

    while (*at != NONE) {
        at = &flights->members[*at].next;
    }
    *at = (uint16_t)mail->cell;
    *member = (member_t){.mail = *mail,
                         .deadline_us = mail->question.deadline_us - HEADSTART_US,
                         .flight = (uint16_t)(flight - flights->list),
                         .next = NONE};
}

/* ---- flights ---- */

/* Nothing can be asked for these limits now. What is on the way must still come back. */
static void break_off(sync_flights_t *flights, flight_t *flight)
{
    answer_all(flights, flight, false, L7S_STRICT_MISSED);
    flight->stage = flight->on_the_way > 0 ? BROKEN : FREE;
}

static bool ask(sync_flights_t *flights, flight_t *flight, uint32_t index,
                const char *command, int size)
{
    sync_limit_t *limit = &flight->limits[index];
    uint32_t tag = (uint32_t)(flight - flights->list) * L7S_STRICT_LIMITS + index;

    if (size <= 0 || size >= SYNC_COMMAND_MAX ||
        !sync_link_ask(flights->links[limit->server], tag, command, (size_t)size,
                       flights->now_us)) {
        return false;
    }
    limit->on_the_way = true;
    flight->on_the_way++;
    return true;
}

/* Reads the limits that are not written yet. */
static void read_all(sync_flights_t *flights, flight_t *flight)
{
    char command[SYNC_COMMAND_MAX];

    flight->stage = READING;
    for (uint32_t i = 0; i < flight->count; i++) {
        const sync_limit_t *limit = &flight->limits[i];
        if (!limit->written &&
            !ask(flights, flight, i, command, sync_limit_read(limit, command))) {
            break_off(flights, flight);
            return;
        }
    }
}

static void write_all(sync_flights_t *flights, flight_t *flight, uint64_t wall_us)
{
    char command[SYNC_COMMAND_MAX];

    flight->stage = WRITING;
    for (uint32_t i = 0; i < flight->count; i++) {
        const sync_limit_t *limit = &flight->limits[i];
        if (!limit->written && !ask(flights, flight, i, command,
                                    sync_limit_write(limit, wall_us, command))) {
            break_off(flights, flight);
            return;
        }
    }
}

/* A damaged arrival time that nobody conforms to is mended, or it would stay. */
static void mend(sync_flights_t *flights, const flight_t *flight, uint64_t wall_us)
{
    char command[SYNC_COMMAND_MAX];

    for (uint32_t i = 0; i < flight->count; i++) {
        const sync_limit_t *limit = &flight->limits[i];
        if (limit->state.damaged) {
            int size = sync_limit_write(limit, wall_us, command);
            (void)sync_link_ask(flights->links[limit->server], SYNC_LINK_NOBODY, command,
                                (size_t)size, flights->now_us);
        }
    }
}

/* Everything that was asked for has been read. Limits that were written in an earlier
 * try hold the tokens of the charged members; newcomers wait for the next round then. */
static void judge(sync_flights_t *flights, flight_t *flight)
{
    uint64_t wall_us = sync_clock_wall_us();
    bool partly = false, any = false;

    for (uint32_t i = 0; i < flight->count; i++) {
        partly |= flight->limits[i].written;
    }
    for (uint16_t cell = flight->first, next; cell != NONE; cell = next) {
        member_t *member = &flights->members[cell];
        next = member->next;
        if (partly && !member->charged) {
            continue;
        }
        member->charged =
            sync_limits_take(flight->limits, flight->count, flight->cost, wall_us);
        any |= member->charged;
        if (!member->charged) {
            answer(flights, cell, L7S_STRICT_REFUSED, wall_us);
        }
    }
    if (any) {
        write_all(flights, flight, wall_us);
        return;
    }
    mend(flights, flight, wall_us);
    flight->stage = FREE;
}

static void begin_round(sync_flights_t *flights, flight_t *flight)
{
    flight->tries = 0;
    for (uint32_t i = 0; i < flight->count; i++) {
        flight->limits[i].written = false;
    }
    if (flight->first == NONE) {
        flight->stage = FREE;
    } else {
        read_all(flights, flight);
    }
}

/* All writes have been answered. */
static void conclude(sync_flights_t *flights, flight_t *flight)
{
    bool all = true;

    for (uint32_t i = 0; i < flight->count; i++) {
        all = all && flight->limits[i].written;
    }
    if (!all && ++flight->tries < TRIES) {
        read_all(flights, flight);
        return;
    }
    answer_all(flights, flight, true, all ? L7S_STRICT_ADMITTED : L7S_STRICT_MISSED);
    begin_round(flights, flight);
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
    sync_flights_t *flights = context;
    flight_t *flight = &flights->list[tag / L7S_STRICT_LIMITS];
    uint32_t index = tag % L7S_STRICT_LIMITS;
    sync_limit_t *limit = &flight->limits[index];

    limit->on_the_way = false;
    flight->on_the_way--;
    if (flight->stage == BROKEN) {
        flight->stage = flight->on_the_way > 0 ? BROKEN : FREE;
        return;
    }
    if (!fits(flight, reply)) {
        break_off(flights, flight);
        return;
    }
    if (flight->stage == READING) {
        uint16_t first = flight->first;
        uint64_t used =
            first == NONE ? 0 : flights->members[first].mail.question.limits[index].used;
        sync_limit_note(limit, used, reply, sync_clock_wall_us());
    } else {
        limit->written = reply->kind == SYNC_STRICT_DONE;
    }
    if (flight->on_the_way == 0 && flight->stage == READING) {
        judge(flights, flight);
    } else if (flight->on_the_way == 0) {
        conclude(flights, flight);
    }
}

/* ---- mail ---- */

static flight_t *find_flight(sync_flights_t *flights,
                             const l7s_strict_question_t *question)
{
    for (unsigned i = 0; i < FLIGHTS; i++) {
        flight_t *flight = &flights->list[i];
        if ((flight->stage == READING || flight->stage == WRITING) &&
            flight->key.lo == question->limits[0].key.lo &&
            flight->key.hi == question->limits[0].key.hi &&
            flight->count == question->count && flight->cost == question->cost) {
            return flight;
        }
    }
    return NULL;
}

static flight_t *new_flight(sync_flights_t *flights,
                            const l7s_strict_question_t *question)
{
    flight_t *flight = flights->list;

    while (flight < flights->list + FLIGHTS && flight->stage != FREE) {
        flight++;
    }
    if (flight == flights->list + FLIGHTS) {
        return NULL;
    }
    *flight = (flight_t){.stage = READING,
                         .key = question->limits[0].key,
                         .first = NONE,
                         .count = question->count,
                         .cost = question->cost};
    for (uint32_t i = 0; i < question->count; i++) {
        sync_limit_t *limit = &flight->limits[i];
        limit->rate = question->limits[i].rate;
        l7s_strict_name(&flights->name_key, question->limits[i].key, limit->name);
        limit->server = (uint32_t)l7s_pool_route(flights->router, limit->name);
    }
    return flight;
}

/* An operator forgives this key: its arrival time is deleted. */
static void forget(sync_flights_t *flights, const l7s_mail_t *mail)
{
    char name[L7S_STRICT_NAME], command[SYNC_COMMAND_MAX];

    l7s_mailbox_release(&flights->mailbox, mail);
    if (flights->named) {
        l7s_strict_name(&flights->name_key, mail->question.limits[0].key, name);
        int size = sync_limit_delete(name, command);
        size_t server = l7s_pool_route(flights->router, name);
        (void)sync_link_ask(flights->links[server], SYNC_LINK_NOBODY, command,
                            (size_t)size, flights->now_us);
    }
}

void sync_flights_take(sync_flights_t *flights, const l7s_mail_t *mail)
{
    const l7s_strict_question_t *question = &mail->question;
    flight_t *flight = NULL;

    leave_flight(flights, (uint16_t)mail->cell); /* its worker gave up */
    if (question->cost == 0) {
        forget(flights, mail);
        return;
    }
    if (flights->named && question->deadline_us > flights->now_us + HEADSTART_US) {
        flight = find_flight(flights, question);
        if (flight != NULL) {
            join(flights, flight, mail);
            return;
        }
        flight = new_flight(flights, question);
    }
    if (flight == NULL) {
        (void)l7s_mailbox_answer(&flights->mailbox, mail, L7S_STRICT_MISSED);
        return;
    }
    join(flights, flight, mail);
    read_all(flights, flight);
}

/* The servers that were to blame are told. */
uint64_t sync_flights_expire(sync_flights_t *flights)
{
    unsigned late[L7S_SERVERS_MAX] = {0};
    uint64_t next_us = UINT64_MAX;

    for (uint16_t cell = 0; cell < L7S_MAILBOX_CELLS; cell++) {
        const member_t *member = &flights->members[cell];
        if (member->flight == NONE) {
            continue;
        }
        if (member->deadline_us > flights->now_us) {
            next_us = member->deadline_us < next_us ? member->deadline_us : next_us;
            continue;
        }
        const flight_t *flight = &flights->list[member->flight];
        for (uint32_t i = 0; i < flight->count; i++) {
            late[flight->limits[i].server] += flight->limits[i].on_the_way;
        }
        answer(flights, cell, L7S_STRICT_MISSED, 0);
    }
    for (size_t i = 0; i < flights->servers; i++) {
        for (; late[i] > 0; late[i]--) {
            sync_link_late(flights->links[i], flights->now_us);
        }
    }
    return next_us;
}

/* ---- the network ---- */

void sync_flights_begin(sync_flights_t *flights, const l7s_hashkey_t *name_key,
                        uint64_t now_us)
{
    flights->now_us = now_us;
    flights->named = name_key != NULL;
    if (name_key != NULL) {
        flights->name_key = *name_key;
    }
}

void sync_flights_tend(sync_flights_t *flights)
{
    for (size_t i = 0; i < flights->servers; i++) {
        sync_link_tend(flights->links[i], flights->now_us);
    }
}

bool sync_flights_busy(const sync_flights_t *flights)
{
    bool busy = false;

    for (size_t i = 0; i < flights->servers; i++) {
        busy = busy || sync_link_busy(flights->links[i]);
    }
    return busy;
}

void sync_flights_wait(sync_flights_t *flights, uint64_t most_us)
{
    struct pollfd fds[L7S_SERVERS_MAX];
    const struct timespec most = {.tv_nsec = (long)most_us * 1000};

    for (size_t i = 0; i < flights->servers; i++) {
        fds[i] = sync_link_pollfd(flights->links[i]);
    }
    if (ppoll(fds, flights->servers, &most, NULL) > 0) {
        flights->now_us = sync_clock_now().mono_us;
        for (size_t i = 0; i < flights->servers; i++) {
            sync_link_advance(flights->links[i], fds[i].revents, flights->now_us);
        }
    }
}

/* ---- life ---- */

static l7s_status_t connect_all(sync_flights_t *flights, const sync_options_t *options)
{
    l7s_status_t status =
        l7s_pool_create(options->servers, options->server_count, 1, &flights->router);

    for (size_t i = 0; i < options->server_count && status == L7S_OK; i++) {
        status =
            sync_link_create(options->servers[i], heard, flights, &flights->links[i]);
        flights->servers += status == L7S_OK;
    }
    return status;
}

l7s_status_t sync_flights_create(const l7s_mailbox_t *mailbox,
                                 const sync_options_t *options, sync_flights_t **out)
{
    sync_flights_t *flights = calloc(1, sizeof *flights);

    *out = NULL;
    if (flights == NULL) {
        return L7S_NO_MEMORY;
    }
    flights->mailbox = *mailbox;
    for (unsigned i = 0; i < L7S_MAILBOX_CELLS; i++) {
        flights->members[i].flight = NONE;
    }
    l7s_status_t status = connect_all(flights, options);
    if (status != L7S_OK) {
        sync_flights_free(flights);
        return status;
    }
    *out = flights;
    return L7S_OK;
}

void sync_flights_free(sync_flights_t *flights)
{
    if (flights == NULL) {
        return;
    }
    for (size_t i = 0; i < flights->servers; i++) {
        sync_link_free(flights->links[i]);
    }
    l7s_pool_free(flights->router);
    free(flights);
}
