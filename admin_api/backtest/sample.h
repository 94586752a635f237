/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of each of many keys, in bounded memory: all of them while they fit, then
 * every second one, every fourth, … chosen by the key alone, so the sample is as good as
 * one drawn beforehand (Gibbons, "Distinct Sampling for Highly-Accurate Answers to
 * Distinct Values Queries and Event Reports", VLDB 2001). Keys are hashes that nobody
 * outside can choose.
 */
#ifndef ADMIN_SAMPLE_H
#define ADMIN_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/* What is kept of a key: whatever its owner wants, zero at first. */
typedef struct {
    uint64_t key; /* 0: free */
    union {
        struct {
            uint64_t touched;  /* by which policies, one bit each */
            uint32_t outcomes; /* what happened to it at all */
        } client;
        struct {
            uint64_t at_us;
            float used; /* tokens, at that time */
            uint32_t level;
        } demand;
    };
} admin_sampled_t;

typedef struct admin_sample admin_sample_t;

/* `max`: entries of 24 bytes, a power of two; at most three quarters are ever in use. It
 * grows up to there. NULL: no memory. */
admin_sample_t *admin_sample_create(uint32_t max);
void admin_sample_free(admin_sample_t *sample);

/* The entry of a key, made when it is new; valid until the next call. NULL: the key is
 * not in the sample. */
admin_sampled_t *admin_sample_at(admin_sample_t *sample, uint64_t key);

/* The key will be asked for soon. */
void admin_sample_prefetch(const admin_sample_t *sample, uint64_t key);

/* Each entry stands for so many keys; 1: there is an entry for every one of them. */
uint64_t admin_sample_weight(const admin_sample_t *sample);
/* Distinct keys: exact with a weight of 1, else with a standard error of about 1 /
 * sqrt(entries). */
uint64_t admin_sample_keys(const admin_sample_t *sample);
uint32_t admin_sample_entries(const admin_sample_t *sample);

typedef void (*admin_sampled_fn)(void *context, const admin_sampled_t *entry);
void admin_sample_each(const admin_sample_t *sample, admin_sampled_fn visit,
                       void *context);

#endif
