/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of bans as text.
 */
#ifndef ADMIN_BANS_TEXT_H
#define ADMIN_BANS_TEXT_H

#include "../store/store_events.h"

/* Does ?format= say so, or the Accept header? */
bool admin_bans_text_wanted(const admin_call_t *call);
/* Answers the call with the networks that `filter` selects: for nftables, or one a line.
 */
void admin_bans_text(admin_call_t *call, const admin_ban_filter_t *filter, bool nft);

#endif
