/* SPDX-License-Identifier: Apache-2.0
 *
 * What lifting a ban promises: the counters that led to it forget. Touches the table and
 * the mailbox only; what the store holds of eventual counters is history that no bucket
 * is charged for again.
 */
#ifndef SYNC_FORGIVE_H
#define SYNC_FORGIVE_H

#include "../../core/image/image.h"
#include "../../core/segment/segment.h"

/* Makes every limit of `image` that counts by client or by network forget this address or
 * network. Networks wider than a limit's own are left out, since they hold many counters.
 * Returns how many counters were reset. */
unsigned sync_forgive_network(const l7s_shared_t *shared, const l7s_image_t *image,
                              const l7s_cidr_t *network, l7s_now_t now);

#endif
