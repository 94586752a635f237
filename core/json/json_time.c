/* SPDX-License-Identifier: Apache-2.0
 *
 * Times as JSON (json_time.h).
 */
#include "json_time.h"
#include "../clock.h"

json_t *l7s_json_time(uint64_t wall_ms)
{
    char text[L7S_TIME_TEXT];
    if (wall_ms == 0 || wall_ms > L7S_TIME_LAST_MS) {
        return json_null();
    }
    l7s_time_text(wall_ms, text);
    return json_string(text);
}
