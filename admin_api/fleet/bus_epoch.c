/* SPDX-License-Identifier: Apache-2.0
 *
 * The bus epoch's place in the store (bus_epoch.h).
 */
#include "bus_epoch.h"

#include "../../core/bus/trust.h"
#include "ban_record.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void key_of(const admin_store_t *store, char out[48])
{
    snprintf(out, 48, "bus_epoch_%" PRIu64, admin_store_config_epoch(store));
}

void admin_bus_epoch_read(admin_store_t *store, char out[ADMIN_BUS_EPOCH_TEXT])
{
    char key[48];
    key_of(store, key);
    char *drawn = admin_text_get(store, key);
    snprintf(out, ADMIN_BUS_EPOCH_TEXT, "%s",
             drawn == NULL ? admin_store_bus_epoch(store) : drawn);
    free(drawn);
}

l7s_status_t admin_bus_epoch_renew(admin_store_t *store, char out[ADMIN_BUS_EPOCH_TEXT])
{
    char key[48];
    uint64_t number;
    l7s_status_t status = l7s_random(&number, sizeof(number));
    if (status == L7S_OK) {
        status = admin_store_begin(store, ADMIN_EVENTS_DB);
    }
    if (status != L7S_OK) {
        return status;
    }
    key_of(store, key);
    snprintf(out, ADMIN_BUS_EPOCH_TEXT, "%016" PRIx64, number);
    status = admin_text_set(store, key, out);
    if (status == L7S_OK) {
        status = admin_number_set(store, ADMIN_BAN_LOG_POSITION, 1);
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, status);
}
