/* SPDX-License-Identifier: Apache-2.0
 *
 * See fleet_model.h. Time jumps from arrival to arrival; in between, a heap hands out the
 * ticks of those nodes that have something to do. News are heard when a node is next
 * looked at, which gives the same as hearing them at each tick, since nothing else reads
 * its bucket in between.
 */
#include "fleet_model.h"
#include <math.h>
#include <stdlib.h>

#define TICK_US 100000
#define SLOT_US 100000 /* news of one slot are read when it has ended */
#define START_US 1000000000ULL
#define WALL_MS 1700000000000ULL
#define NUMBERS 8
#define NEWS_MAX 100000
#define SECOND_US 1000000ULL

/* Bytes of one exchange on the wire ("ma" or "mg" with its answer, 23-byte names), and of
 * a piece of news in an envelope of its own, which every other node reads twice. */
#define EXCHANGE_BYTES 60
#define NEWS_BYTES (40 + 148)

const fleet_rule_t fleet_rules[] = {
    {.name = "news and parcels", .lean = true, .news = true, .parcels = true},
    {.name = "news", .lean = true, .news = true},
    {.name = "parcels", .lean = true, .parcels = true},
    {.name = "look each second"},
    {.name = "look each tick near the limit", .poll = true},
    {.name = "wait for the verdict", .verdict = true},
    {.name = "drop by demand", .proportional = true},
    {.name = "alone", .alone = true},
};
const size_t fleet_rules_count = sizeof fleet_rules / sizeof fleet_rules[0];
const fleet_rule_t *const fleet_rule_product = &fleet_rules[0];

typedef struct {
    _Atomic uint64_t tat;
    uint32_t pending;
    bool hot;
    uint64_t since_ms, look_at_ms;
    uint64_t phase_us, due_us; /* its ticks; the next one that matters */
    l7s_fleet_view_t view, told;
    uint64_t told_ms, seen_us;     /* told or heard of; its number seen */
    size_t heard;                  /* news taken in */
    uint64_t demand_second, asked; /* of "drop by demand": arrivals of that second */
    double demand;                 /* the fleet's, per second, smoothed */
    unsigned place;                /* in the heap plus one; 0 = not in it */
} node_t;

typedef struct {
    l7s_fleet_news_t what;
    uint64_t told_us, heard_from_us;
} message_t;

typedef struct {
    uint64_t total, born_ms;
    uint32_t period;
} number_t;

struct fleet_model {
    uint64_t seed;      /* of the sources: the same for every rule */
    uint64_t rule_seed; /* of what the rule leaves to chance */
    const fleet_source_t *source;
    fleet_figures_t *figures;
    l7s_hash128_t key;
    number_t numbers[NUMBERS];
    _Atomic uint64_t store_tat; /* of "wait for the verdict" */
    uint64_t demand[4];         /* of "drop by demand": per second, fleet-wide */
    uint64_t demand_second[4];
    size_t news_count, heap_count;
    unsigned heap[FLEET_NODES_MAX];
    node_t node[FLEET_NODES_MAX];
    message_t news[NEWS_MAX];
};

/* ---- chance ---- */

static uint64_t dice(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

static double uniform(uint64_t *seed)
{
    return (double)dice(seed) / 9007199254740992.0;
}

static double exponential(fleet_model_t *model, double mean)
{
    return -log(1 - uniform(&model->seed)) * mean;
}

/* Box and Muller: a logarithm of the load that is normally distributed. */
static double log_normal(fleet_model_t *model, double median, double sigma)
{
    double radius = sqrt(-2 * log(1 - uniform(&model->seed)));
    return median * exp(sigma * radius * cos(2 * M_PI * uniform(&model->seed)));
}

/* ---- which node ticks next ---- */

static void put(fleet_model_t *model, size_t at, unsigned index)
{
    model->heap[at] = index;
    model->node[index].place = (unsigned)at + 1;
}

static uint64_t due(const fleet_model_t *model, size_t at)
{
    return model->node[model->heap[at]].due_us;
}

static void sift_up(fleet_model_t *model, size_t at)
{
    unsigned index = model->heap[at];
    while (at > 0 && due(model, (at - 1) / 2) > model->node[index].due_us) {
        put(model, at, model->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(model, at, index);
}

static void sift_down(fleet_model_t *model, size_t at)
{
    unsigned index = model->heap[at];
    for (size_t child = 2 * at + 1; child < model->heap_count; child = 2 * at + 1) {
        if (child + 1 < model->heap_count && due(model, child + 1) < due(model, child)) {
            child++;
        }
        if (due(model, child) >= model->node[index].due_us) {
            break;
        }
        put(model, at, model->heap[child]);
        at = child;
    }
    put(model, at, index);
}

/* The first tick of the node at or after `us`. */
static uint64_t tick_from(const node_t *node, uint64_t us)
{
    return us <= node->phase_us
               ? node->phase_us
               : node->phase_us + (us - node->phase_us + TICK_US - 1) / TICK_US * TICK_US;
}

static void wake(fleet_model_t *model, node_t *node, uint64_t us)
{
    uint64_t tick = tick_from(node, us);
    if (node->place == 0) {
        node->due_us = tick;
        put(model, model->heap_count++, (unsigned)(node - model->node));
        sift_up(model, model->heap_count - 1);
    } else if (tick < node->due_us) {
        node->due_us = tick;
        sift_up(model, node->place - 1);
    }
}

static node_t *next_node(fleet_model_t *model)
{
    node_t *node = &model->node[model->heap[0]];
    node->place = 0;
    unsigned last = model->heap[--model->heap_count];
    if (model->heap_count > 0) {
        put(model, 0, last);
        sift_down(model, 0);
    }
    return node;
}

/* ---- the store ---- */

static number_t *number_of(fleet_model_t *model, uint32_t period, uint64_t now_us)
{
    number_t *number = &model->numbers[period % NUMBERS];
    if (number->period != period) {
        *number = (number_t){.period = period, .born_ms = now_us / 1000};
    }
    return number;
}

/* As memcached tells it: in whole seconds of its own clock. */
static uint64_t left_of(const l7s_rate_t *rate, const number_t *number, uint64_t now_us)
{
    uint64_t age_s = now_us / SECOND_US - number->born_ms / 1000;
    uint64_t ttl_s = l7s_fleet_ttl_seconds(rate);
    return age_s < ttl_s ? ttl_s - age_s : 0;
}

/* Debits what others used since the number was last seen. */
static void charge(const fleet_model_t *model, node_t *node, bool same, uint64_t others,
                   uint64_t now_us)
{
    const fleet_source_t *source = model->source;
    if (same && source->rule->lean) {
        uint64_t idle_ms = l7s_bucket_idle_ms(&source->rate, node->tat, now_us);
        uint64_t since_ms = (now_us - node->seen_us) / 1000;
        others = l7s_fleet_undrained(&source->rate, others,
                                     idle_ms < since_ms ? idle_ms : since_ms);
    }
    node->seen_us = now_us;
    l7s_bucket_debit(&source->rate, &node->tat, now_us, others);
}

static void count_operation(fleet_model_t *model)
{
    model->figures->operations++;
    model->figures->bytes += EXCHANGE_BYTES;
}

/* One exchange with the store: add, read, learn. */
static void exchange(fleet_model_t *model, node_t *node, uint32_t period, uint32_t delta,
                     uint64_t elapsed_ms, uint64_t now_us)
{
    const l7s_rate_t *rate = &model->source->rate;
    number_t *number = number_of(model, period, now_us);
    number->total += delta;
    count_operation(model);
    elapsed_ms = l7s_fleet_elapsed_ms(rate, elapsed_ms, left_of(rate, number, now_us));
    bool same = node->view.period == period;
    uint64_t others =
        l7s_fleet_learn(rate, &node->view, period, number->total, delta, elapsed_ms);
    charge(model, node, same, others, now_us);
}

static uint32_t headroom_of(const fleet_model_t *model, node_t *node, uint64_t now_us)
{
    return l7s_bucket_headroom(&model->source->rate, node->tat, now_us);
}

static uint32_t period_at(const fleet_model_t *model, uint64_t now_us, uint64_t *since_ms)
{
    uint64_t wall_ms = WALL_MS + now_us / 1000, began_ms;
    uint32_t period =
        l7s_fleet_period(&model->source->rate, model->key, wall_ms, &began_ms);
    *since_ms = wall_ms - began_ms;
    return period;
}

/* Both numbers are looked at when a period has just begun. */
static void look(fleet_model_t *model, node_t *node, uint32_t delta, uint64_t now_us)
{
    uint64_t since_ms;
    uint32_t period = period_at(model, now_us, &since_ms);
    bool both = !model->source->rule->lean ||
                l7s_fleet_is_near(&model->source->rate, headroom_of(model, node, now_us));
    if (both && node->view.period != 0 && node->view.period + 1 == period) {
        exchange(model, node, node->view.period, 0, 0, now_us);
    }
    exchange(model, node, period, delta, since_ms, now_us);
}

/* ---- news ---- */

static void tell(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    const l7s_rate_t *rate = &model->source->rate;
    uint64_t moved = node->told.period != node->view.period ? rate->burst
                     : node->view.total <= node->told.total
                         ? 0
                         : node->view.total - node->told.total;
    if (!l7s_fleet_must_tell(rate, headroom_of(model, node, now_us), moved,
                             now_us / 1000 - node->told_ms) ||
        model->news_count == NEWS_MAX) {
        return;
    }
    node->told = node->view;
    node->told_ms = now_us / 1000;
    model->news[model->news_count++] =
        (message_t){.what = {.total = node->view.total,
                             .used = l7s_bucket_used(rate, node->tat, now_us),
                             .period = node->view.period},
                    .told_us = now_us,
                    .heard_from_us = (now_us / SLOT_US + 1) * SLOT_US};
    model->figures->news++;
    model->figures->bytes += NEWS_BYTES * (2ULL * model->source->nodes - 1);
}

static void take_in(fleet_model_t *model, node_t *node, const message_t *message,
                    uint64_t now_us)
{
    const l7s_rate_t *rate = &model->source->rate;
    l7s_fleet_news_t news = message->what;
    news.age_ms = (now_us - message->told_us) / 1000;
    bool same = node->view.period == news.period;
    if (!same || news.total > node->view.total) {
        uint64_t others = l7s_fleet_hear(rate, &node->view, &news, node->pending,
                                         l7s_bucket_used(rate, node->tat, now_us));
        charge(model, node, same, others, now_us);
    }
    if (news.period != node->told.period || news.total > node->told.total) {
        node->told = (l7s_fleet_view_t){.total = news.total, .period = news.period};
        node->told_ms = now_us / 1000;
    }
}

/* Takes in what the node's ticks up to now have read. */
static void hear(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    for (; node->heard < model->news_count; node->heard++) {
        const message_t *message = &model->news[node->heard];
        uint64_t at_us = tick_from(node, message->heard_from_us);
        if (at_us > now_us) {
            return;
        }
        take_in(model, node, message, at_us);
    }
}

/* ---- a node's tick ---- */

/* As it was before there were news: one age for all. */
static bool must_push_before(const l7s_rate_t *rate, const node_t *node, uint64_t age_ms,
                             uint32_t headroom, unsigned nodes)
{
    return 2ULL * nodes * node->pending > headroom ||
           age_ms >= rate->period_us / 1000 / 8;
}

static bool must_push(const fleet_model_t *model, const node_t *node, uint64_t age_ms,
                      uint32_t headroom)
{
    const fleet_source_t *source = model->source;
    return source->rule->lean
               ? l7s_fleet_must_push(&source->rate, node->pending, age_ms, headroom,
                                     source->nodes)
               : must_push_before(&source->rate, node, age_ms, headroom, source->nodes);
}

static uint64_t look_interval_ms(const fleet_model_t *model, uint32_t headroom)
{
    const fleet_source_t *source = model->source;
    if (source->rule->poll && headroom < source->rate.burst / 4) {
        return TICK_US / 1000;
    }
    return source->rule->lean ? l7s_fleet_look_interval_ms(source->nodes) : 1000;
}

static void heat(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    uint64_t interval = look_interval_ms(model, headroom_of(model, node, now_us));
    if (!node->hot) {
        node->hot = true;
        node->look_at_ms = now_us / 1000 + (model->source->rule->lean
                                                ? 1 + dice(&model->rule_seed) % interval
                                                : interval);
    } else if (node->look_at_ms > now_us / 1000 + interval) {
        node->look_at_ms = now_us / 1000 + interval;
    }
}

static void push(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    const fleet_source_t *source = model->source;
    uint32_t headroom = headroom_of(model, node, now_us);
    uint64_t age_ms = now_us / 1000 - node->since_ms;
    if (!must_push(model, node, age_ms, headroom)) {
        return;
    }
    uint32_t delta = node->pending;
    bool by_age = !must_push(model, node, 0, headroom);
    if (by_age && l7s_bucket_drained(&source->rate, node->tat, now_us) &&
        l7s_fleet_is_light(&source->rate, delta, age_ms, source->nodes)) {
        delta = 0;
    } else if (source->rule->parcels) {
        delta = l7s_fleet_parcel(&source->rate, delta, headroom, source->nodes,
                                 dice(&model->rule_seed));
    }
    node->pending = 0;
    if (delta == 0) {
        return;
    }
    look(model, node, delta, now_us);
    l7s_bucket_debit(&source->rate, &model->store_tat, now_us, delta);
    if (source->rule->news) {
        tell(model, node, now_us);
    }
    heat(model, node, now_us);
}

static void look_again(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    if (!node->hot || now_us / 1000 < node->look_at_ms) {
        return;
    }
    node->hot = !l7s_bucket_drained(&model->source->rate, node->tat, now_us);
    if (node->hot) {
        look(model, node, 0, now_us);
        node->look_at_ms =
            now_us / 1000 + look_interval_ms(model, headroom_of(model, node, now_us));
    }
}

/* "Drop by demand": the arrivals of each second are added up in the store. */
static void share_demand(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    uint64_t second = now_us / SECOND_US, last = second - 1;
    if (second == node->demand_second) {
        return;
    }
    unsigned at = node->demand_second % 4;
    if (model->demand_second[at] != node->demand_second) {
        model->demand_second[at] = node->demand_second;
        model->demand[at] = 0;
    }
    model->demand[at] += node->asked;
    bool known = model->demand_second[last % 4] == last;
    node->demand = (node->demand + (known ? (double)model->demand[last % 4] : 0)) / 2;
    node->demand_second = second;
    node->asked = 0;
    count_operation(model);
    count_operation(model);
}

static void tick(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    if (model->source->rule->alone) {
        node->pending = 0;
        return;
    }
    if (model->source->rule->proportional) {
        node->pending = 0;
        share_demand(model, node, now_us);
        return;
    }
    hear(model, node, now_us);
    if (node->pending > 0) {
        push(model, node, now_us);
    }
    look_again(model, node, now_us);
    if (node->pending > 0) {
        wake(model, node, now_us + 1);
    } else if (node->hot) {
        wake(model, node, node->look_at_ms * 1000);
    }
}

static void run_ticks(fleet_model_t *model, uint64_t until_us)
{
    while (model->heap_count > 0 && due(model, 0) <= until_us) {
        node_t *node = next_node(model);
        tick(model, node, node->due_us);
    }
}

/* ---- requests ---- */

/* The store decides, and its state replaces the node's. */
static bool ask_for_verdict(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    count_operation(model);
    bool admitted = l7s_bucket_take(&model->source->rate, &model->store_tat, now_us, 1);
    node->tat = model->store_tat;
    return admitted;
}

static bool drop_by_demand(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    const l7s_rate_t *rate = &model->source->rate;
    double limit = (double)rate->requests * 1e6 / (double)rate->period_us;
    node->asked++;
    wake(model, node, (now_us / SECOND_US + 1) * SECOND_US);
    return node->demand <= limit || uniform(&model->rule_seed) < limit / node->demand;
}

static bool admit(fleet_model_t *model, node_t *node, uint64_t now_us)
{
    const fleet_source_t *source = model->source;
    if (source->rule->proportional) {
        return drop_by_demand(model, node, now_us);
    }
    hear(model, node, now_us);
    if (source->rule->verdict &&
        2ULL * source->nodes > headroom_of(model, node, now_us)) {
        return ask_for_verdict(model, node, now_us);
    }
    if (!l7s_bucket_take(&source->rate, &node->tat, now_us, 1)) {
        return false;
    }
    if (node->pending++ == 0) {
        node->since_ms = now_us / 1000;
    }
    wake(model, node, now_us + 1);
    return true;
}

static void begin(fleet_model_t *model)
{
    const fleet_source_t *source = model->source;
    model->key = (l7s_hash128_t){dice(&model->seed), dice(&model->seed)};
    model->news_count = model->heap_count = 0;
    model->store_tat = l7s_bucket_fresh(&source->rate, START_US);
    for (unsigned i = 0; i < NUMBERS; i++) {
        model->numbers[i] = (number_t){0};
    }
    for (unsigned i = 0; i < 4; i++) {
        model->demand_second[i] = 0;
    }
    for (unsigned i = 0; i < source->nodes; i++) {
        model->node[i] = (node_t){.tat = l7s_bucket_fresh(&source->rate, START_US),
                                  .phase_us = START_US + dice(&model->seed) % TICK_US,
                                  .demand_second = START_US / SECOND_US};
    }
}

static void add_up(const fleet_source_t *source, uint64_t requests, uint64_t exact,
                   uint64_t fleet, fleet_figures_t *figures)
{
    figures->requests += requests;
    figures->exact += exact;
    figures->fleet += fleet;
    figures->over += fleet > exact ? fleet - exact : 0;
    figures->under += exact > fleet ? exact - fleet : 0;
    if (source->load < 0.5) {
        figures->light += requests;
        figures->light_refused += requests - fleet;
    }
}

void fleet_model_run(fleet_model_t *model, const fleet_source_t *source,
                     fleet_figures_t *figures)
{
    const l7s_rate_t *rate = &source->rate;
    _Atomic uint64_t exact_tat = l7s_bucket_fresh(rate, START_US);
    double gap_us = (double)rate->period_us / rate->requests / source->load;
    double on_us = source->on_s * 1e6, at = START_US, end = at + source->seconds * 1e6;
    uint64_t requests = 0, exact = 0, fleet = 0;
    model->source = source;
    model->figures = figures;
    begin(model);
    double on_end = on_us > 0 ? at + exponential(model, on_us) : end;
    for (;;) {
        at += exponential(model, gap_us);
        if (on_us > 0 && at > on_end) {
            at = on_end + exponential(model, 3 * on_us);
            on_end = at + exponential(model, on_us);
        }
        if (at >= end) {
            break;
        }
        uint64_t now_us = (uint64_t)at;
        run_ticks(model, now_us);
        requests++;
        exact += l7s_bucket_take(rate, &exact_tat, now_us, 1);
        fleet += admit(model, &model->node[dice(&model->seed) % source->nodes], now_us);
    }
    add_up(source, requests, exact, fleet, figures);
}

void fleet_model_population(fleet_model_t *model, const fleet_rule_t *rule,
                            const l7s_rate_t *rate, unsigned nodes, unsigned sources,
                            fleet_figures_t *figures)
{
    for (unsigned i = 0; i < sources; i++) {
        double load = log_normal(model, 0.2, 1.0);
        bool bursty = i % 2 == 1;
        fleet_source_t source = {.rule = rule,
                                 .rate = *rate,
                                 .nodes = nodes,
                                 .load = bursty ? 4 * load : load,
                                 .on_s = bursty ? 5 : 0,
                                 .seconds = 120};
        fleet_model_run(model, &source, figures);
    }
}

fleet_model_t *fleet_model_create(uint64_t seed)
{
    fleet_model_t *model = calloc(1, sizeof *model);
    if (model) {
        model->seed = seed;
        model->rule_seed = ~seed;
    }
    return model;
}

void fleet_model_free(fleet_model_t *model)
{
    free(model);
}
