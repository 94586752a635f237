/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4) of short messages: what a browser computes again and again to pay
 * for its way in, and a worker once to see that it did. One block and no state, so that
 * workers need no library for it; nothing secret is hashed here.
 */
#ifndef L7S_SHA256_H
#define L7S_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define L7S_SHA256_SHORT 55 /* bytes that fit into one block with their padding */

/* `size`: at most L7S_SHA256_SHORT. The digest as eight numbers, the first bits first. */
void l7s_sha256_short(const void *data, size_t size, uint32_t out[8]);

#endif
