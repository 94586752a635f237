/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers for property tests (splitmix64): the same in every run, so that what
 * fails fails again.
 */
#ifndef SEEDED_H
#define SEEDED_H

#include <stdint.h>

static inline uint64_t seeded_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* 0…limit - 1 */
static inline uint64_t seeded_below(uint64_t *state, uint64_t limit)
{
    return seeded_next(state) % limit;
}

/* A number of any magnitude up to `bits` bits: small ones are as likely as large ones. */
static inline uint64_t seeded_magnitude(uint64_t *state, unsigned bits)
{
    unsigned wanted = (unsigned)seeded_below(state, bits + 1);
    return wanted == 0 ? 0 : seeded_next(state) >> (64 - wanted);
}

#endif
