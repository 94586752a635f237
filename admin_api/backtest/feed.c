/* SPDX-License-Identifier: Apache-2.0
 *
 * See feed.h. What lies behind the last line of a batch begins the next one, so each
 * batch's block holds whole lines, in which its accesses borrow their texts.
 */
#include "feed.h"

#include "../worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCHES 3
/* A line that is too long is noticed while it fits. */
#define BLOCK (4 * L7S_ACCESS_LINE_MAX)
/* What is read at once: of it the next batch gets what this one has no room for. */
#define PIECE ((size_t)64 << 10)

typedef struct {
    admin_batch_t batch;
    bool last;
    int error; /* that ended the log, or 0 */
    char *at, *end;
    char block[BLOCK + 1];
} block_t;

struct admin_feed {
    int fd;
    l7s_access_format_t format;
    admin_worker_t worker;
    /* Under worker.lock: batches made and given out, since the beginning. */
    uint64_t made, taken;
    bool holds; /* the last one taken is still in use */
    /* The thread's own. */
    l7s_access_memo_t memo;
    uint64_t bytes, lines, skipped[L7S_LINE_RESULTS];
    bool ended;
    bool skipping; /* within a line that is too long */
    block_t blocks[BATCHES];
};

/* --- the thread --- */

static void take_line(admin_feed_t *feed, block_t *block, char *end)
{
    size_t size = (size_t)(end - block->at);
    l7s_access_t *access = &block->batch.accesses[block->batch.count];
    l7s_line_result_t result = L7S_LINE_LONG;

    *end = '\0';
    if (size > 0 && end[-1] == '\r') {
        end[-1] = '\0';
        size--;
    }
    if (!feed->skipping && size <= L7S_ACCESS_LINE_MAX) {
        result = l7s_access_read(feed->format, block->at, size, &feed->memo, access);
    }
    feed->skipping = false;
    feed->lines++;
    feed->skipped[result]++;
    block->batch.count += result == L7S_LINE_GOOD;
}

/* False: nothing more comes, or there is no more room. */
static bool read_more(admin_feed_t *feed, block_t *block)
{
    size_t room = (size_t)(block->block + BLOCK - block->end);
    ssize_t size;

    if (room == 0) {
        return false;
    }
    room = room < PIECE ? room : PIECE;
    do {
        size = read(feed->fd, block->end, room);
    } while (size < 0 && errno == EINTR);
    if (size <= 0) {
        block->error = size < 0 ? errno : 0;
        feed->ended = true;
        return false;
    }
    block->end += size;
    feed->bytes += (uint64_t)size;
    return true;
}

/* The beginning of a line that is too long: the rest of it is passed over, too. */
static void drop_long(admin_feed_t *feed, block_t *block)
{
    if (block->end - block->at > (ptrdiff_t)L7S_ACCESS_LINE_MAX + 1) {
        feed->skipping = true;
        block->at = block->end;
    }
    if (feed->skipping && block->batch.count == 0) {
        block->at = block->end = block->block; /* nobody borrows from it yet */
    }
}

static void fill(admin_feed_t *feed, block_t *block)
{
    while (block->batch.count < ADMIN_BATCH) {
        char *end = memchr(block->at, '\n', (size_t)(block->end - block->at));
        if (end != NULL) {
            take_line(feed, block, end);
            block->at = end + 1;
            continue;
        }
        drop_long(feed, block);
        if (!read_more(feed, block)) {
            break;
        }
    }
    block->last =
        feed->ended && memchr(block->at, '\n', (size_t)(block->end - block->at)) == NULL;
    if (block->last && (block->at < block->end || feed->skipping) &&
        block->batch.count < ADMIN_BATCH) {
        take_line(feed, block, block->end); /* it lacks its end */
    }
}

static void make_batch(admin_feed_t *feed, block_t *block, const block_t *before)
{
    size_t left = before == NULL ? 0 : (size_t)(before->end - before->at);

    if (left > 0) {
        memcpy(block->block, before->at, left);
    }
    block->at = block->block;
    block->end = block->block + left;
    block->batch.count = 0;
    block->error = 0;
    fill(feed, block);
    block->batch.bytes = feed->bytes;
    block->batch.lines = feed->lines;
    memcpy(block->batch.skipped, feed->skipped, sizeof feed->skipped);
}

static void *run(void *context)
{
    admin_feed_t *feed = context;
    admin_worker_t *worker = &feed->worker;
    block_t *before = NULL;

    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping && (before == NULL || !before->last)) {
        if (feed->made - feed->taken + feed->holds >= BATCHES) {
            pthread_cond_wait(&worker->wake, &worker->lock);
            continue;
        }
        block_t *block = &feed->blocks[feed->made % BATCHES];
        pthread_mutex_unlock(&worker->lock);
        make_batch(feed, block, before);
        before = block;
        pthread_mutex_lock(&worker->lock);
        feed->made++;
        pthread_cond_broadcast(&worker->wake);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* --- whoever replays --- */

l7s_status_t admin_feed_start(int fd, l7s_access_format_t format, admin_feed_t **out)
{
    admin_feed_t *feed = malloc(sizeof *feed);

    if (feed == NULL) {
        return L7S_NO_MEMORY;
    }
    memset(feed, 0, offsetof(admin_feed_t, blocks));
    feed->fd = fd;
    feed->format = format;
    if (admin_worker_start(&feed->worker, run, feed) != L7S_OK) {
        free(feed);
        return L7S_NO_MEMORY;
    }
    *out = feed;
    return L7S_OK;
}

void admin_feed_stop(admin_feed_t *feed)
{
    if (feed != NULL) {
        admin_worker_stop(&feed->worker);
        free(feed);
    }
}

l7s_status_t admin_feed_next(admin_feed_t *feed, const admin_batch_t **out)
{
    const block_t *before =
        feed->taken > 0 ? &feed->blocks[(feed->taken - 1) % BATCHES] : NULL;

    *out = NULL;
    if (before != NULL && before->last) {
        errno = before->error;
        return before->error != 0 ? L7S_IO : L7S_OK;
    }
    pthread_mutex_lock(&feed->worker.lock);
    feed->holds = false;
    pthread_cond_broadcast(&feed->worker.wake);
    while (feed->made == feed->taken) {
        pthread_cond_wait(&feed->worker.wake, &feed->worker.lock);
    }
    *out = &feed->blocks[feed->taken++ % BATCHES].batch;
    feed->holds = true;
    pthread_mutex_unlock(&feed->worker.lock);
    return L7S_OK;
}
