/* SPDX-License-Identifier: Apache-2.0 */
#include "publisher.h"

l7s_status_t admin_publisher_start(admin_daemon_t *daemon, admin_publisher_t **out)
{
    (void)daemon;
    *out = NULL;
    return L7S_OK;
}

void admin_publisher_stop(admin_publisher_t *publisher)
{
    (void)publisher;
}

void admin_publisher_kick(admin_publisher_t *publisher)
{
    (void)publisher;
}

void admin_publisher_ban(admin_publisher_t *publisher, json_t *entry)
{
    (void)publisher;
    json_decref(entry);
}

bool admin_publisher_up(const admin_publisher_t *publisher)
{
    (void)publisher;
    return false;
}
