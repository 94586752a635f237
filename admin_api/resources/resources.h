/* SPDX-License-Identifier: Apache-2.0
 *
 * The handlers of all resources, one source file each, named in the route table (route.c)
 * and called by nobody else.
 */
#ifndef ADMIN_RESOURCES_H
#define ADMIN_RESOURCES_H

#include "../http/call.h"

/* root.c */
void admin_root_get(admin_call_t *call);
void admin_root_openapi(admin_call_t *call);
void admin_root_schema(admin_call_t *call);
/* policies.c */
void admin_policies_list(admin_call_t *call);
void admin_policies_get(admin_call_t *call);
void admin_policies_put(admin_call_t *call);
void admin_policies_patch(admin_call_t *call);
void admin_policies_delete(admin_call_t *call);
void admin_policies_validate(admin_call_t *call);
/* policies_backtest.c */
void admin_policies_backtest(admin_call_t *call);
/* policies_stats.c */
void admin_policies_stats(admin_call_t *call);
/* policies_test.c */
void admin_policies_test(admin_call_t *call);
/* overrides.c */
void admin_overrides_get(admin_call_t *call);
void admin_overrides_put(admin_call_t *call);
void admin_overrides_delete(admin_call_t *call);
/* lists.c */
void admin_lists_list(admin_call_t *call);
void admin_lists_get(admin_call_t *call);
void admin_lists_put(admin_call_t *call);
void admin_lists_patch(admin_call_t *call);
void admin_lists_delete(admin_call_t *call);
/* entries.c */
void admin_entries_list(admin_call_t *call);
void admin_entries_get(admin_call_t *call);
void admin_entries_put(admin_call_t *call);
void admin_entries_delete(admin_call_t *call);
void admin_entries_batch(admin_call_t *call);
/* apps.c */
void admin_apps_list(admin_call_t *call);
void admin_apps_get(admin_call_t *call);
void admin_apps_put(admin_call_t *call);
void admin_apps_patch(admin_call_t *call);
void admin_apps_delete(admin_call_t *call);
/* responses.c */
void admin_responses_list(admin_call_t *call);
void admin_responses_get(admin_call_t *call);
void admin_responses_put(admin_call_t *call);
void admin_responses_delete(admin_call_t *call);
/* settings.c */
void admin_settings_get(admin_call_t *call);
void admin_settings_patch(admin_call_t *call);
/* tokens.c */
void admin_tokens_list(admin_call_t *call);
void admin_tokens_get(admin_call_t *call);
void admin_tokens_put(admin_call_t *call);
void admin_tokens_delete(admin_call_t *call);
void admin_tokens_rotate(admin_call_t *call);
/* config.c */
void admin_config_get(admin_call_t *call);
void admin_config_put(admin_call_t *call);
/* packs.c */
void admin_packs_list(admin_call_t *call);
void admin_packs_get(admin_call_t *call);
/* sets.c, set_apply.c */
void admin_sets_list(admin_call_t *call);
void admin_sets_get(admin_call_t *call);
void admin_sets_put(admin_call_t *call);
void admin_sets_delete(admin_call_t *call);
/* revisions.c */
void admin_revisions_list(admin_call_t *call);
void admin_revisions_get(admin_call_t *call);
void admin_revisions_restore(admin_call_t *call);
void admin_revisions_rollout(admin_call_t *call);
/* session.c */
void admin_backup_get(admin_call_t *call);
void admin_backup_post(admin_call_t *call);
void admin_session_post(admin_call_t *call);
void admin_session_delete(admin_call_t *call);
/* audit.c */
void admin_audit_list(admin_call_t *call);
/* bans.c */
void admin_bans_list(admin_call_t *call);
void admin_bans_get(admin_call_t *call);
void admin_bans_put(admin_call_t *call);
void admin_bans_delete(admin_call_t *call);
void admin_bans_delete_many(admin_call_t *call);
void admin_bans_batch(admin_call_t *call);
/* check.c, check_release.c */
void admin_check(admin_call_t *call);
void admin_check_release(admin_call_t *call);
/* incidents.c */
void admin_incidents_list(admin_call_t *call);
void admin_incidents_summary(admin_call_t *call);
void admin_incidents_get(admin_call_t *call);
void admin_incidents_patch(admin_call_t *call);
/* events.c */
void admin_events_get(admin_call_t *call);
/* webhooks.c */
void admin_webhooks_list(admin_call_t *call);
void admin_webhooks_get(admin_call_t *call);
void admin_webhooks_put(admin_call_t *call);
void admin_webhooks_delete(admin_call_t *call);
void admin_webhooks_test(admin_call_t *call);
/* nodes.c */
void admin_nodes_list(admin_call_t *call);
void admin_nodes_get(admin_call_t *call);
void admin_nodes_delete(admin_call_t *call);
/* metrics.c */
void admin_metrics_get(admin_call_t *call);
/* health.c */
void admin_health_livez(admin_call_t *call);
void admin_health_readyz(admin_call_t *call);

#endif
