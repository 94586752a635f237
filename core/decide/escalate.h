/* SPDX-License-Identifier: Apache-2.0
 *
 * Stronger actions for whoever comes back (escalate.c), as the sync process sees them;
 * what a request does stands in evaluation.h.
 */
#ifndef L7S_ESCALATE_H
#define L7S_ESCALATE_H

#include "../image/image.h"
#include "../segment/segment.h"

/* Another node has made a ban that was not in force here: counts it. */
void l7s_escalate_learned(const l7s_shared_t *shared, const l7s_image_t *image,
                          const l7s_ban_t *ban, l7s_now_t now);

#endif
