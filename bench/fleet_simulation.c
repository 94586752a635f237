/* SPDX-License-Identifier: Apache-2.0
 *
 * How well a fleet of nodes keeps one limit, and at what price: tests/core/fleet_model.h,
 * which runs core's own rules, at 3 to 1,000 nodes. One JSON object per line: the
 * population under every rule, then single kinds of sources and other limits under the
 * product's. The bus seats 256 nodes; beyond that only the rule is simulated.
 */
#include "../tests/core/fleet_model.h"
#include <inttypes.h>
#include <stdio.h>

#define SEED 88172645463325252ULL
#define SOURCES 800 /* of a population, two simulated minutes each */
#define REPEATS 20

static const unsigned fleets[] = {3, 10, 30, 100, 1000};
#define FLEETS (sizeof fleets / sizeof fleets[0])

static const l7s_rate_t usual = {.requests = 100, .burst = 100, .period_us = 10000000};

typedef struct {
    const char *what, *rule;
    const l7s_rate_t *rate;
    unsigned nodes;
} title_t;

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

static void print(const title_t *title, const fleet_figures_t *figures)
{
    printf("{\"bench\":\"fleet\",\"sources\":\"%s\",\"rule\":\"%s\",\"nodes\":%u,"
           "\"limit\":\"%" PRIu32 " per %g s, burst %" PRIu32 "\",",
           title->what, title->rule, title->nodes, title->rate->requests,
           (double)title->rate->period_us / 1e6, title->rate->burst);
    printf("\"exact_admits_percent\":%.1f,\"over_percent\":%.2f,\"under_percent\":%.2f,"
           "\"error_percent\":%.2f,",
           100 * share(figures->exact, figures->requests),
           100 * share(figures->over, figures->exact),
           100 * share(figures->under, figures->exact),
           100 * share(figures->over + figures->under, figures->exact));
    printf("\"light_refused\":%" PRIu64 ",\"light_requests\":%" PRIu64
           ",\"operations_per_request\":%.3f,\"news_per_request\":%.3f,"
           "\"bytes_per_request\":%.0f}\n",
           figures->light_refused, figures->light,
           share(figures->operations, figures->requests),
           share(figures->news, figures->requests),
           share(figures->bytes, figures->requests));
    fflush(stdout);
}

/* The same sources for every rule, as far as chance is not the rule's own. */
static void population(const fleet_rule_t *rule, const l7s_rate_t *rate, unsigned nodes)
{
    fleet_figures_t figures = {0};
    fleet_model_t *model = fleet_model_create(SEED);
    if (!model) {
        return;
    }
    fleet_model_population(model, rule, rate, nodes, SOURCES, &figures);
    fleet_model_free(model);
    print(&(title_t){"population", rule->name, rate, nodes}, &figures);
}

static void compare_rules(void)
{
    for (size_t n = 0; n < FLEETS; n++) {
        for (size_t i = 0; i < fleet_rules_count; i++) {
            population(&fleet_rules[i], &usual, fleets[n]);
        }
    }
}

static void try_other_limits(void)
{
    static const l7s_rate_t rates[] = {
        {.requests = 10, .burst = 10, .period_us = 10000000},
        {.requests = 20, .burst = 20, .period_us = 1000000},
        {.requests = 100, .burst = 20, .period_us = 10000000},
        {.requests = 1000, .burst = 1000, .period_us = 60000000},
    };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        for (size_t n = 0; n < FLEETS; n++) {
            population(fleet_rule_product, &rates[i], fleets[n]);
        }
    }
}

static void try_kind(const char *what, double load, double on_s, unsigned nodes)
{
    fleet_figures_t figures = {0};
    fleet_model_t *model = fleet_model_create(SEED);
    if (!model) {
        return;
    }
    fleet_source_t source = {.rule = fleet_rule_product,
                             .rate = usual,
                             .nodes = nodes,
                             .load = load,
                             .on_s = on_s,
                             .seconds = 300};
    for (unsigned i = 0; i < REPEATS; i++) {
        fleet_model_run(model, &source, &figures);
    }
    fleet_model_free(model);
    print(&(title_t){what, fleet_rule_product->name, &usual, nodes}, &figures);
}

static void try_kinds(void)
{
    static const struct {
        const char *what;
        double load, on_s;
    } kinds[] = {
        {"light, 0.2 x", 0.2, 0},
        {"light, 0.45 x", 0.45, 0},
        {"light in bursts, 0.45 x", 0.45, 5},
        {"near, 0.9 x", 0.9, 0},
        {"near, 1.1 x", 1.1, 0},
        {"near in bursts, 4 x", 4, 5},
        {"flood, 3 x", 3, 0},
        {"flood, 10 x", 10, 0},
        {"flood, 50 x", 50, 0},
        {"flood in bursts, 40 x", 40, 5},
    };
    for (size_t n = 0; n < FLEETS; n++) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            try_kind(kinds[i].what, kinds[i].load, kinds[i].on_s, fleets[n]);
        }
    }
}

int main(void)
{
    compare_rules();
    try_kinds();
    try_other_limits();
    return 0;
}
