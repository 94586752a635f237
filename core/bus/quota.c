/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets by sender (quota.h), counted in thousandths of a token, so that
 * milliseconds need no fractions.
 */
#include "quota.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENDER_MAX 64
#define TOKEN 1000
/* Readers see a writer's bans closer together than they were written. */
#define READER_PERCENT 112
/* All senders together; more than any table of bans could hold. */
#define EVERYBODY_BURST 16384
#define EVERYBODY_PER_SECOND 512

typedef struct {
    char sender[SENDER_MAX];
    uint64_t tokens, seen_ms;
} bucket_t;

struct l7s_quota {
    uint64_t percent;
    size_t count;
    bucket_t senders[L7S_QUOTA_SENDERS];
    bucket_t others, everybody;
};

static uint64_t burst_of(const l7s_quota_t *quota)
{
    return (uint64_t)L7S_QUOTA_BURST * TOKEN * quota->percent / 100;
}

l7s_quota_t *l7s_quota_create(l7s_quota_side_t side)
{
    l7s_quota_t *quota = calloc(1, sizeof *quota);
    if (quota) {
        quota->percent = side == L7S_QUOTA_READER ? READER_PERCENT : 100;
        quota->others.tokens = burst_of(quota);
        quota->everybody.tokens = (uint64_t)EVERYBODY_BURST * TOKEN;
    }
    return quota;
}

void l7s_quota_free(l7s_quota_t *quota)
{
    free(quota);
}

static bucket_t *find(l7s_quota_t *quota, const char *sender, uint64_t now_ms)
{
    for (size_t i = 0; i < quota->count; i++) {
        if (strcmp(quota->senders[i].sender, sender) == 0) {
            return &quota->senders[i];
        }
    }
    if (quota->count == L7S_QUOTA_SENDERS) {
        return &quota->others;
    }
    bucket_t *bucket = &quota->senders[quota->count++];
    *bucket = (bucket_t){.tokens = burst_of(quota), .seen_ms = now_ms};
    snprintf(bucket->sender, sizeof bucket->sender, "%s", sender);
    return bucket;
}

static void refill(bucket_t *bucket, uint64_t per_second, uint64_t burst, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > bucket->seen_ms ? now_ms - bucket->seen_ms : 0;
    uint64_t most_ms = burst / per_second + 1; /* after it the bucket is full anyway */
    passed_ms = passed_ms < most_ms ? passed_ms : most_ms;
    uint64_t tokens =
        bucket->tokens + passed_ms * per_second; /* per ms: / 1000 * TOKEN */
    bucket->tokens = tokens < burst ? tokens : burst;
    bucket->seen_ms = now_ms;
}

bool l7s_quota_take(l7s_quota_t *quota, const char *sender, uint64_t now_ms)
{
    bucket_t *own = find(quota, sender, now_ms), *all = &quota->everybody;
    refill(own, L7S_QUOTA_PER_SECOND * quota->percent / 100, burst_of(quota), now_ms);
    refill(all, EVERYBODY_PER_SECOND, (uint64_t)EVERYBODY_BURST * TOKEN, now_ms);
    if (own->tokens < TOKEN || all->tokens < TOKEN) {
        return false;
    }
    own->tokens -= TOKEN;
    all->tokens -= TOKEN;
    return true;
}
