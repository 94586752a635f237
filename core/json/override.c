/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides (override.h): read, looked at by time, laid over a policy.
 */
#include "override.h"
#include "../clock.h"
#include "../schema/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static l7s_policy_t *find_policy(l7s_config_t *config, const char *name)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (strcmp(config->policies[i].name, name) == 0) {
            return &config->policies[i];
        }
    }
    return NULL;
}

/* Whom the guard demoted gets another chance: an operator has just spoken. */
static void mark(l7s_reader_t *reader, const json_t *json, l7s_policy_t *policy)
{
    static const l7s_hashkey_t key = {0, 0};
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT);

    reader->no_memory |= text == NULL;
    policy->fingerprint ^= text == NULL ? 0 : l7s_siphash64(&key, text, strlen(text));
    free(text);
}

static void read_one(l7s_reader_t *reader, const json_t *json, l7s_config_t *config)
{
    char name[L7S_POLICY_NAME_MAX];
    l7s_override_t override = {.has_mode = json_object_get(json, "mode") != NULL};

    l7s_reader_name(json, name);
    l7s_reader_mode(json, L7S_MODE_OBSERVE, &override.mode);
    override.limit_percent = (uint32_t)l7s_reader_integer(json, "limit_percent", 100);
    l7s_reader_time(reader, json, "starts_at", &override.starts_ms);
    l7s_reader_time(reader, json, "until", &override.until_ms);
    l7s_policy_t *policy = find_policy(config, name);
    if (policy != NULL) {
        policy->override = override;
        mark(reader, json, policy);
    }
}

void l7s_overrides_read(l7s_reader_t *reader, const json_t *document,
                        l7s_config_t *config)
{
    const json_t *overrides = json_object_get(document, "overrides");
    size_t mark = l7s_pointer_push(&reader->at, "overrides");

    for (size_t i = 0; i < json_array_size(overrides); i++) {
        size_t inner = l7s_pointer_push_index(&reader->at, i);

        read_one(reader, json_array_get(overrides, i), config);
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

l7s_override_state_t l7s_override_state(const l7s_override_t *override, uint64_t now_ms)
{
    if (override->until_ms == 0) {
        return L7S_OVERRIDE_NONE;
    }
    if (override->until_ms <= now_ms) {
        return L7S_OVERRIDE_ENDED;
    }
    return override->starts_ms > now_ms ? L7S_OVERRIDE_WAITS : L7S_OVERRIDE_RUNS;
}

void l7s_overrides_settle_modes(l7s_config_t *config, uint64_t now_ms)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        l7s_policy_t *policy = &config->policies[i];
        if (policy->override.has_mode &&
            l7s_override_state(&policy->override, now_ms) == L7S_OVERRIDE_RUNS) {
            policy->mode = policy->override.mode;
        }
    }
}

l7s_override_state_t l7s_override_document_state(const json_t *override, uint64_t now_ms)
{
    l7s_override_t times = {.until_ms = 0};
    const char *starts_at = json_string_value(json_object_get(override, "starts_at"));
    const char *until = json_string_value(json_object_get(override, "until"));

    if (until == NULL || !l7s_time_parse(until, &times.until_ms)) {
        return L7S_OVERRIDE_NONE;
    }
    if (starts_at != NULL) {
        (void)l7s_time_parse(starts_at, &times.starts_ms);
    }
    return l7s_override_state(&times, now_ms);
}

static uint32_t scale(uint32_t value, uint32_t percent)
{
    uint64_t scaled = (uint64_t)value * percent / 100;

    scaled = scaled < 1 ? 1 : scaled;
    return scaled > UINT32_MAX ? UINT32_MAX : (uint32_t)scaled;
}

/* What would be too large to count exactly is halved until it is not. */
static void scale_rates(l7s_rate_t *rates, size_t count, uint32_t percent)
{
    for (size_t i = 0; i < count; i++) {
        rates[i].requests = scale(rates[i].requests, percent);
        rates[i].burst = scale(rates[i].burst, percent);
        while (!l7s_rate_valid(&rates[i]) && rates[i].requests > 1) {
            rates[i].requests /= 2;
            rates[i].burst = rates[i].burst > 1 ? rates[i].burst / 2 : 1;
        }
    }
}

static l7s_status_t scale_limits(const l7s_policy_t *policy, l7s_policy_t *out)
{
    uint32_t percent = policy->override.limit_percent;
    const char *spec = policy->spec == NULL ? "" : policy->spec;
    size_t size = strlen(spec) + 32;

    out->spec = malloc(size);
    out->plans = calloc(policy->plan_count + 1, sizeof *out->plans);
    if (out->spec == NULL || out->plans == NULL) {
        return L7S_NO_MEMORY;
    }
    snprintf(out->spec, size, "%s limit %u%%", spec, percent);
    scale_rates(out->rates, out->rate_count, percent);
    for (size_t i = 0; i < policy->plan_count; i++) {
        out->plans[i] = policy->plans[i];
        scale_rates(out->plans[i].rates, out->plans[i].rate_count, percent);
    }
    out->concurrency = out->concurrency > 0 ? scale(out->concurrency, percent) : 0;
    return L7S_OK;
}

l7s_status_t l7s_override_apply(const l7s_policy_t *policy, l7s_policy_t *out)
{
    *out = *policy;
    if (policy->override.has_mode) {
        out->mode = policy->override.mode;
    }
    if (policy->override.limit_percent == 100) {
        out->override.scaled = false;
        return L7S_OK;
    }
    out->override.scaled = true;
    return scale_limits(policy, out);
}

void l7s_override_end(l7s_policy_t *copy)
{
    if (copy->override.scaled) {
        free(copy->spec);
        free(copy->plans);
    }
}

/* --- for people --- */

static void show_scaled(json_t *object, const char *key, uint32_t percent)
{
    int64_t value = l7s_json_integer_or(json_object_get(object, key), 0);

    if (value > 0) {
        uint32_t whole = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
        json_object_set_new(object, key, json_integer(scale(whole, percent)));
    }
}

static void show_rates(json_t *rates, uint32_t percent)
{
    json_t *rate = NULL;
    size_t index = 0;

    json_array_foreach(rates, index, rate)
    {
        show_scaled(rate, "requests", percent);
        show_scaled(rate, "burst", percent);
    }
}

void l7s_override_show(json_t *effective, const json_t *override)
{
    json_t *detect = json_object_get(effective, "detect");
    json_t *plans = json_object_get(detect, "plans"), *rates = NULL;
    json_t *mode = json_object_get(override, "mode");
    uint32_t percent = (uint32_t)l7s_reader_integer(override, "limit_percent", 100);
    const char *name = NULL;

    if (mode != NULL) {
        json_object_set(effective, "mode", mode);
    }
    show_rates(json_object_get(detect, "rate"), percent);
    json_object_foreach(json_object_get(plans, "rates"), name, rates)
    {
        show_rates(rates, percent);
    }
    show_rates(json_object_get(plans, "default"), percent);
    show_scaled(json_object_get(detect, "concurrency"), "max", percent);
}
