/* SPDX-License-Identifier: Apache-2.0
 *
 * See backtest_text.h. What clients wrote is printed without control characters, or a log
 * could write to a terminal what it liked.
 */
#include "backtest_text.h"

#include <stdbool.h>
#include <string.h>

#define TOP 5
#define COLUMNS 60

static long long number(const json_t *object, const char *member)
{
    return (long long)json_integer_value(json_object_get(object, member));
}

static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value != NULL ? value : "-";
}

static void put_safely(const char *value, size_t most, FILE *out)
{
    for (size_t i = 0; value[i] != '\0' && i < most; i++) {
        unsigned char c = (unsigned char)value[i];
        fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
    }
    fputc('\n', out);
}

static void print_log(const json_t *log, FILE *out)
{
    const json_t *skipped = json_object_get(log, "skipped"), *count;
    const char *why;

    fprintf(out, "%lld lines, from %s to %s\n", number(log, "lines"),
            text(log, "first_at"), text(log, "last_at"));
    json_object_foreach((json_t *)skipped, why, count)
    {
        if (json_integer_value(count) > 0) {
            fprintf(out, "  passed over: %lld (%s)\n",
                    (long long)json_integer_value(count), why);
        }
    }
}

static void print_share(const char *what, const json_t *share, FILE *out)
{
    fprintf(out, "%-9s %12lld %12lld %8.3f %% %12lld %8.3f %%\n", what,
            number(share, "total"), number(share, "acted"),
            (double)number(share, "acted_ppm") / 10000, number(share, "would_act"),
            (double)number(share, "would_act_ppm") / 10000);
}

static void print_policies(const json_t *policies, FILE *out)
{
    size_t index;
    json_t *policy;

    fprintf(out, "\n%-24s %-8s %10s %10s %10s %10s\n", "policy", "mode", "matched",
            "stopped", "would stop", "clients");
    json_array_foreach((json_t *)policies, index, policy)
    {
        fprintf(out, "%-24s %-8s %10lld %10lld %10lld %10lld\n", text(policy, "name"),
                text(policy, "mode"), number(policy, "matched"), number(policy, "acted"),
                number(policy, "would_act"), number(policy, "clients"));
    }
}

/* `any`: has one been printed before? */
static void print_suggestions(const json_t *policy, bool *any, FILE *out)
{
    const json_t *limits = json_object_get(policy, "thresholds"), *limit, *suggested;
    size_t index, at;

    json_array_foreach((json_t *)limits, index, limit)
    {
        json_array_foreach(json_object_get(limit, "suggested"), at, suggested)
        {
            fputs(*any ? "" : "\nLimits that would have touched at most\n", out);
            *any = true;
            fprintf(out, "  %-24s %8lld %s per %lld s touch %g %% of %s (%lld)\n",
                    text(policy, "name"), number(suggested, "requests"),
                    text(limit, "unit"), number(limit, "per_seconds"),
                    (double)number(suggested, "share_ppm") / 10000, text(limit, "of"),
                    number(suggested, "touched"));
        }
    }
}

static void print_top(const char *what, const json_t *items, FILE *out)
{
    size_t index;
    json_t *item;

    if (json_array_size(items) > 0) {
        fprintf(out, "\n%s that are stopped most\n", what);
    }
    json_array_foreach((json_t *)items, index, item)
    {
        if (index < TOP) {
            fprintf(out, "  %10lld  ", number(item, "count"));
            put_safely(text(item, "value"), COLUMNS, out);
        }
    }
}

static void print_not_told(const json_t *items, FILE *out)
{
    size_t index;
    json_t *item;

    json_array_foreach((json_t *)items, index, item)
    {
        fprintf(out, "%s%s %s: %s\n", index == 0 ? "\nNot told by this log:\n  " : "  ",
                text(item, "policy"), text(item, "pointer"), text(item, "message"));
    }
}

void admin_backtest_print(const json_t *result, FILE *out)
{
    const json_t *policies = json_object_get(result, "policies"), *policy,
                 *top = json_object_get(result, "top");
    size_t index;
    bool any = false;

    print_log(json_object_get(result, "log"), out);
    fprintf(out, "\n%-9s %12s %12s %10s %12s %10s\n", "", "total", "stopped", "",
            "would stop", "");
    print_share("requests", json_object_get(result, "requests"), out);
    print_share("clients", json_object_get(result, "clients"), out);
    print_policies(policies, out);
    json_array_foreach((json_t *)policies, index, policy)
    {
        print_suggestions(policy, &any, out);
    }
    print_top("Clients", json_object_get(top, "clients"), out);
    print_top("Paths", json_object_get(top, "paths"), out);
    print_not_told(json_object_get(result, "not_told"), out);
}
