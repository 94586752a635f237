/* SPDX-License-Identifier: Apache-2.0
 *
 * Times as documents have them.
 */
#ifndef L7S_JSON_TIME_H
#define L7S_JSON_TIME_H

#include <jansson.h>
#include <stdint.h>

/* RFC 3339; null for 0 (none, not yet) and behind L7S_TIME_LAST_MS (without an end). New
 * reference. */
json_t *l7s_json_time(uint64_t wall_ms);

#endif
