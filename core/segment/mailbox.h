/* SPDX-License-Identifier: Apache-2.0
 *
 * Where workers wait for the store: a fixed array of cells in the shared memory, one per
 * waiting worker. A worker claims a cell, writes its question, posts it and sleeps on the
 * cell's futex until it is answered or the absolute deadline has come; the sync process'
 * strict thread takes what is posted and answers. The only place of core that makes
 * system calls while a request waits, and only strict policies come here.
 *
 *   state word   generation << 3 | IDLE, POSTED, TAKEN or a verdict
 *
 *   worker       IDLE -> POSTED … reads the verdict -> IDLE
 *   server       POSTED -> TAKEN -> verdict
 *   worker, late POSTED or TAKEN -> IDLE: whatever the server then says is not heard
 *
 * Each claim has a generation of its own, so an answer that comes too late fails its
 * compare-and-swap. A cell belongs to the process in `owner`; when that died the server
 * frees it. There is one server at a time (it holds the sync lease); one that died leaves
 * nothing to repair: its questions run into their deadlines.
 *
 * At most a quarter of the workers may wait: the cells in use are that many. A breaker
 * opens when three workers in a row waited for nothing (100 ms, doubling to 2 s, then one
 * probe): it guards against a server that is gone, while the server itself knows which
 * store it can ask and says so at once.
 */
#ifndef L7S_MAILBOX_H
#define L7S_MAILBOX_H

#include "../count/strict.h"

#define L7S_MAILBOX_CELLS 256
#define L7S_MAILBOX_WORDS 5 /* per limit: key, key, period, requests and burst, used */
#define L7S_WAIT_BUCKETS 9  /* the last one: longer than all bounds */

typedef struct {
    _Alignas(64) _Atomic uint32_t state; /* the futex */
    _Atomic int32_t owner;               /* pid, 0 = free */
    _Atomic uint64_t deadline_us;
    _Atomic uint64_t head; /* limits, cost << 32 */
    _Atomic uint64_t words[L7S_STRICT_LIMITS][L7S_MAILBOX_WORDS];
    _Atomic uint64_t used[L7S_STRICT_LIMITS]; /* the answer's, written by the server */
} l7s_mailbox_cell_t;

_Static_assert(sizeof(l7s_mailbox_cell_t) == 256, "a cell is four cache lines");

typedef enum {
    L7S_MAILBOX_CLOSED = 0, /* nobody serves: every question is a miss at once */
    L7S_MAILBOX_ALONE,      /* there is no store: nobody need ask */
    L7S_MAILBOX_SERVING
} l7s_mailbox_role_t;

/* Part of the segment's header. */
typedef struct {
    _Alignas(64) _Atomic uint32_t role; /* l7s_mailbox_role_t */
    _Atomic uint32_t bell;              /* the server's futex: grows with each post */
    _Atomic uint32_t sleeping;          /* the server waits for the bell */
    _Atomic uint32_t tickets;           /* spreads the claims over the cells */
    _Alignas(64) _Atomic uint64_t open_until_us; /* breaker, monotonic */
    _Atomic uint32_t late;                       /* waits in a row without an answer */
    _Atomic uint32_t pause_ms;
    /* statistics */
    _Alignas(64) _Atomic uint64_t admitted;
    _Atomic uint64_t refused;
    _Atomic uint64_t missed;
    _Atomic uint64_t crowded; /* of these: no cell was free */
    _Atomic uint64_t waited_us;
    _Atomic uint64_t waits[L7S_WAIT_BUCKETS];
} l7s_mailbox_head_t;

/* One process' view. */
typedef struct {
    l7s_mailbox_head_t *head;
    l7s_mailbox_cell_t *cells;
} l7s_mailbox_t;

/* --- worker --- */

/* Asks and waits until question->deadline_us at the latest. With a verdict each limit's
 * `used` is the fleet's. `workers`: of the whole server; `pid`: the caller's. */
l7s_strict_verdict_t l7s_mailbox_ask(const l7s_mailbox_t *mailbox,
                                     l7s_strict_question_t *question, int32_t pid,
                                     uint32_t workers, uint64_t now_us);

/* Tells the server to forget what the store has for this key, and waits for nothing.
 * False: no cell was free, or nobody serves. */
bool l7s_mailbox_forget(const l7s_mailbox_t *mailbox, l7s_hash128_t key, int32_t pid);

/* Notes how long a worker waited. */
void l7s_mailbox_waited(l7s_mailbox_head_t *head, uint64_t wait_us);
/* Upper bounds of the histogram's buckets but the last, in microseconds. */
extern const uint32_t l7s_wait_bounds_us[L7S_WAIT_BUCKETS - 1];

/* --- server --- */

/* A question that was taken. Cost 0: forget the key of its only limit. */
typedef struct {
    uint32_t cell, state;
    l7s_strict_question_t question;
} l7s_mail_t;

void l7s_mailbox_set_role(const l7s_mailbox_t *mailbox, l7s_mailbox_role_t role);

/* Takes the next posted question from cell *cursor on and moves the cursor behind it.
 * False: none up to the last cell; the cursor is back at 0. */
bool l7s_mailbox_take(const l7s_mailbox_t *mailbox, uint32_t *cursor, l7s_mail_t *out);

/* False: the worker has not waited for it. */
bool l7s_mailbox_answer(const l7s_mailbox_t *mailbox, const l7s_mail_t *mail,
                        l7s_strict_verdict_t verdict);

/* Frees the cell of a question that nobody waits with. */
void l7s_mailbox_release(const l7s_mailbox_t *mailbox, const l7s_mail_t *mail);

/* The bell's count, to be read before looking for mail. */
uint32_t l7s_mailbox_bell(const l7s_mailbox_t *mailbox);
/* Sleeps until the bell has moved on from `seen`, at most `most_us`. */
void l7s_mailbox_sleep(const l7s_mailbox_t *mailbox, uint32_t seen, uint64_t most_us);
/* Wakes the server without a question. */
void l7s_mailbox_ring(const l7s_mailbox_t *mailbox);

/* Frees the cells of processes that died; returns how many. */
uint32_t l7s_mailbox_sweep(const l7s_mailbox_t *mailbox);

#endif
