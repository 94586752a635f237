/* SPDX-License-Identifier: Apache-2.0
 *
 * See policy_fixture.h. Whatever fails here ends the test program: a fixture has no error
 * path of its own.
 */
#include "policy_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_CAPACITY ((size_t)16 << 20)
#define POLICIES_ROOM L7S_POLICIES_MAX
#define START_MS 1700000000000ULL

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "fixture: %s\n", what);
        abort();
    }
}

static void *memory(size_t size)
{
    void *block = aligned_alloc(64, (size + 63) / 64 * 64);

    must(block != NULL, "out of memory");
    memset(block, 0, (size + 63) / 64 * 64);
    return block;
}

/* --- the node --- */

void fixture_open(fixture_t *fixture, uint32_t buckets)
{
    l7s_segment_t *header = memory(sizeof *header);
    l7s_shared_t *shared = &fixture->shared;

    memset(fixture, 0, sizeof *fixture);
    shared->header = header;
    shared->stats.rows = memory(L7S_STATS_ROWS * sizeof *shared->stats.rows);
    shared->guard.head = memory(l7s_guard_memory());
    shared->guard.rows = (l7s_guard_row_t *)(void *)(shared->guard.head + 1);
    shared->bans.head = memory(l7s_bans_memory(FIXTURE_BANS));
    shared->bans.slots =
        (l7s_ban_slot_t *)((char *)shared->bans.head + l7s_bans_memory(0));
    shared->bans.capacity = FIXTURE_BANS;
    shared->episodes.entries = memory(L7S_EPISODES * sizeof *shared->episodes.entries);
    shared->episodes.running = memory(L7S_EPISODES * sizeof *shared->episodes.running);
    shared->episodes.dropped = &header->episodes_dropped;
    shared->episodes.tickets = &header->episode_tickets;
    shared->flights.chunks = memory(L7S_FLIGHTS * sizeof *shared->flights.chunks);
    shared->flights.tickets = &header->flight_tickets;
    shared->flights.overflowed = &header->flights_overflowed;
    shared->table.buckets = buckets;
    shared->table.slots = memory((size_t)buckets * L7S_BUCKET_SLOTS * sizeof(l7s_slot_t));
    shared->table.dirty = memory((size_t)buckets * L7S_BUCKET_SLOTS / 8);
    shared->table.stats = &header->table_stats;
    shared->table.place_key = (l7s_hashkey_t){0x1234567, 0x89abcdef};
    shared->episodes.mint_key = (l7s_hashkey_t){0xfeed, 0xbeef};
    fixture->count_key = (l7s_hashkey_t){1, 2};
    fixture->image_memory = memory(IMAGE_CAPACITY);
    fixture->scratch = l7s_scratch_create();
    must(fixture->scratch != NULL, "out of memory");
    fixture_reset(fixture);
}

l7s_geo_t *fixture_geo(const char *folder)
{
    l7s_geo_t *geo = l7s_geo_create();
    char path[512], why[160];

    must(geo != NULL, "out of memory");
    snprintf(path, sizeof path, "%s/countries.mmdb", folder);
    must(l7s_geo_add(geo, path, why, sizeof why) == L7S_OK, why);
    snprintf(path, sizeof path, "%s/asns.mmdb", folder);
    must(l7s_geo_add(geo, path, why, sizeof why) == L7S_OK, why);
    return geo;
}

static void free_blocks(fixture_t *fixture)
{
    while (fixture->blocks != NULL) {
        void *next = *(void **)fixture->blocks;
        free(fixture->blocks);
        fixture->blocks = next;
    }
}

void fixture_close(fixture_t *fixture)
{
    free_blocks(fixture);
    free(fixture->shared.header);
    free(fixture->shared.stats.rows);
    free(fixture->shared.guard.head);
    free(fixture->shared.bans.head);
    free(fixture->shared.episodes.entries);
    free(fixture->shared.episodes.running);
    free(fixture->shared.flights.chunks);
    free(fixture->shared.table.slots);
    free(fixture->shared.table.dirty);
    free(fixture->image_memory);
    l7s_scratch_free(fixture->scratch);
}

int fixture_set_up(void **state)
{
    static fixture_t fixture;

    fixture_open(&fixture, 256);
    *state = &fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    fixture_close(*state);
    return 0;
}

int fixture_start(void **state)
{
    fixture_reset(*state);
    return 0;
}

static void close_episodes(l7s_episodes_t *episodes)
{
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        if (atomic_load(&episodes->entries[i].key_lo) != 0) {
            memset(&episodes->entries[i], 0, sizeof episodes->entries[i]);
        }
    }
    if (episodes->running != NULL) {
        memset(episodes->running, 0, L7S_EPISODES * sizeof *episodes->running);
    }
}

void fixture_reset(fixture_t *fixture)
{
    l7s_shared_t *shared = &fixture->shared;
    size_t slots = l7s_table_size(&shared->table);

    free_blocks(fixture);
    memset(shared->header, 0, sizeof *shared->header);
    atomic_store(&shared->header->mode, L7S_MODE_ENFORCE);
    memset(shared->stats.rows, 0, L7S_STATS_ROWS * sizeof *shared->stats.rows);
    atomic_store(&shared->guard.head->half, 0);
    memset(shared->bans.head, 0, l7s_bans_memory(FIXTURE_BANS));
    memset(shared->table.slots, 0, slots * sizeof *shared->table.slots);
    memset(shared->table.dirty, 0, slots / 8);
    memset(shared->flights.chunks, 0, L7S_FLIGHTS * sizeof *shared->flights.chunks);
    close_episodes(&shared->episodes);
    memset(&fixture->config, 0, sizeof fixture->config);
    fixture->config.policies =
        fixture_alloc(fixture, POLICIES_ROOM * sizeof *fixture->config.policies);
    fixture->config.lists = fixture_alloc(fixture, 64 * sizeof *fixture->config.lists);
    fixture->config.apps = fixture_alloc(fixture, 64 * sizeof *fixture->config.apps);
    fixture->config.mode = L7S_MODE_ENFORCE;
    fixture->now = (l7s_now_t){.mono_us = 1000000000, .wall_ms = START_MS};
    fixture->image = NULL;
}

void fixture_pass_ms(fixture_t *fixture, uint64_t ms)
{
    fixture->now.mono_us += ms * 1000;
    fixture->now.wall_ms += ms;
}

/* --- memory of the configuration --- */

void *fixture_alloc(fixture_t *fixture, size_t size)
{
    void **block = calloc(1, size + 16);

    must(block != NULL, "out of memory");
    *block = fixture->blocks;
    fixture->blocks = block;
    return (char *)block + 16;
}

char *fixture_text(fixture_t *fixture, const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(fixture_alloc(fixture, size), text, size);
}

l7s_strings_t fixture_strings(fixture_t *fixture, const char *words)
{
    char *copy = fixture_text(fixture, words), *rest = NULL;
    l7s_strings_t strings = {0, fixture_alloc(fixture, 64 * sizeof *strings.items)};

    for (char *word = strtok_r(copy, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        must(strings.count < 64, "too many words");
        strings.items[strings.count++] = word;
    }
    return strings;
}

/* --- the configuration --- */

static l7s_cidr_t cidr(const char *text)
{
    l7s_cidr_t out;

    must(l7s_cidr_parse(text, &out) == L7S_OK, text);
    return out;
}

l7s_policy_t *fixture_policy(fixture_t *fixture, const char *name, l7s_action_t action,
                             uint32_t requests, uint32_t per_seconds)
{
    l7s_policy_t *policy = &fixture->config.policies[fixture->config.policy_count++];

    must(fixture->config.policy_count <= POLICIES_ROOM, "too many policies");
    snprintf(policy->name, sizeof policy->name, "%s", name);
    policy->mode = L7S_MODE_ENFORCE;
    policy->rollout_percent = 100;
    policy->priority = 100;
    policy->by_count = 1;
    policy->by[0].part = L7S_PART_CLIENT;
    policy->ipv4_prefix = 24;
    policy->ipv6_prefix = 48;
    policy->action = action;
    policy->status = action == L7S_ACTION_THROTTLE ? 429 : 403;
    policy->ban_seconds = action == L7S_ACTION_BAN ? 60 : 0;
    policy->fleet = true;
    policy->spec = fixture_text(fixture, name);
    if (requests > 0) {
        policy->rate_count = 1;
        policy->rates[0] = (l7s_rate_t){requests, requests, per_seconds * 1000000ULL};
    }
    return policy;
}

l7s_list_t *fixture_list(fixture_t *fixture, const char *name, l7s_effect_t effect,
                         const char *networks)
{
    l7s_list_t *list = &fixture->config.lists[fixture->config.list_count++];
    l7s_strings_t words = fixture_strings(fixture, networks);

    snprintf(list->name, sizeof list->name, "%s", name);
    list->effect = effect;
    list->entries = fixture_alloc(fixture, (words.count + 1) * sizeof *list->entries);
    list->entry_count = words.count;
    for (size_t i = 0; i < words.count; i++) {
        list->entries[i].network = cidr(words.items[i]);
    }
    return list;
}

l7s_list_t *fixture_strings_list(fixture_t *fixture, const char *name, const char *words)
{
    l7s_list_t *list = fixture_list(fixture, name, L7S_EFFECT_NONE, "");
    l7s_strings_t texts = fixture_strings(fixture, words);

    list->kind = L7S_LIST_STRINGS;
    list->entries = fixture_alloc(fixture, (texts.count + 1) * sizeof *list->entries);
    list->entry_count = texts.count;
    for (size_t i = 0; i < texts.count; i++) {
        list->entries[i].text = texts.items[i];
    }
    return list;
}

void fixture_attribute(fixture_t *fixture, l7s_list_t *list, size_t index,
                       const char *name, const char *value)
{
    l7s_list_entry_t *entry = &list->entries[index];

    if (entry->attributes == NULL) {
        entry->attributes = fixture_alloc(fixture, 16 * sizeof *entry->attributes);
    }
    entry->attributes[entry->attribute_count++] =
        (l7s_attribute_t){fixture_text(fixture, name), fixture_text(fixture, value)};
}

l7s_plan_t *fixture_plan(fixture_t *fixture, l7s_policy_t *policy, const char *list,
                         const char *attribute, const char *name, l7s_rate_t rate)
{
    l7s_plan_t *plan;

    if (policy->plans == NULL) {
        policy->plans = fixture_alloc(fixture, L7S_PLANS_MAX * sizeof *policy->plans);
        policy->plan_list = fixture_text(fixture, list);
        policy->plan_attribute = fixture_text(fixture, attribute);
    }
    must(policy->plan_count < L7S_PLANS_MAX, "too many plans");
    plan = &policy->plans[policy->plan_count++];
    plan->name = fixture_text(fixture, name);
    plan->rates[plan->rate_count++] = rate;
    return plan;
}

l7s_list_t *fixture_list_of(fixture_t *fixture, const char *name, l7s_list_kind_t kind,
                            l7s_effect_t effect, const char *codes)
{
    l7s_list_t *list = fixture_list(fixture, name, effect, "");
    l7s_strings_t words = fixture_strings(fixture, codes);

    list->kind = kind;
    list->entries = fixture_alloc(fixture, (words.count + 1) * sizeof *list->entries);
    list->entry_count = words.count;
    for (size_t i = 0; i < words.count; i++) {
        list->entries[i].code = kind == L7S_LIST_COUNTRIES
                                    ? l7s_country_code(words.items[i])
                                    : (uint32_t)strtoul(words.items[i], NULL, 10);
    }
    return list;
}

l7s_app_t *fixture_app(fixture_t *fixture, const char *name, const char *hosts,
                       const char *paths)
{
    l7s_app_t *app = &fixture->config.apps[fixture->config.app_count++];

    snprintf(app->name, sizeof app->name, "%s", name);
    app->hosts = fixture_strings(fixture, hosts);
    app->paths = fixture_strings(fixture, paths);
    app->tier = 3;
    app->mode = L7S_MODE_ENFORCE;
    return app;
}

static l7s_part_t part_of(const char *name)
{
    for (l7s_part_t part = L7S_PART_CLIENT; part < L7S_PART_MAX; part++) {
        if (strcmp(l7s_part_name(part), name) == 0) {
            return part;
        }
    }
    must(false, name);
    return L7S_PART_MAX;
}

void fixture_by(fixture_t *fixture, l7s_policy_t *policy, const char *parts)
{
    l7s_strings_t words = fixture_strings(fixture, parts);

    policy->by_count = words.count;
    for (size_t i = 0; i < words.count; i++) {
        bool header = strncmp(words.items[i], "header:", 7) == 0;
        bool cookie = strncmp(words.items[i], "cookie:", 7) == 0;
        policy->by[i].part = header   ? L7S_PART_HEADER
                             : cookie ? L7S_PART_COOKIE
                                      : part_of(words.items[i]);
        policy->by[i].name = header || cookie ? words.items[i] + 7 : NULL;
    }
}

void fixture_match_header(fixture_t *fixture, l7s_match_t *match, const char *name,
                          l7s_is_t is, const char *values)
{
    l7s_header_match_t *header;

    if (match->headers == NULL) {
        match->headers = fixture_alloc(fixture, 8 * sizeof *match->headers);
    }
    header = &match->headers[match->header_count++];
    header->name = fixture_text(fixture, name);
    header->is = is;
    header->values = fixture_strings(fixture, values);
}

void fixture_match_header_list(fixture_t *fixture, l7s_match_t *match, const char *name,
                               const char *list)
{
    fixture_match_header(fixture, match, name, L7S_IS_EQUALS, "");
    match->headers[match->header_count - 1].list = fixture_text(fixture, list);
}

void fixture_match_pair(fixture_t *fixture, l7s_match_t *match, l7s_field_t field,
                        const char *name, l7s_is_t is, const char *values)
{
    l7s_header_match_t *pair;

    if (match->pairs == NULL) {
        match->pairs = fixture_alloc(fixture, 8 * sizeof *match->pairs);
    }
    pair = &match->pairs[match->pair_count++];
    pair->field = field;
    pair->name = fixture_text(fixture, name);
    pair->is = is;
    pair->values = fixture_strings(fixture, values);
}

void fixture_match_client(fixture_t *fixture, l7s_match_t *match, const char *in)
{
    l7s_strings_t words = fixture_strings(fixture, in);

    match->has_client = true;
    match->networks = fixture_alloc(fixture, (words.count + 1) * sizeof *match->networks);
    match->countries = fixture_alloc(fixture, (words.count + 1) * sizeof(uint32_t));
    match->asns = fixture_alloc(fixture, (words.count + 1) * sizeof(uint32_t));
    match->client_lists.items =
        fixture_alloc(fixture, (words.count + 1) * sizeof(char *));
    for (size_t i = 0; i < words.count; i++) {
        const char *word = words.items[i];
        if (strncmp(word, "country:", 8) == 0) {
            match->countries[match->country_count++] = l7s_country_code(word + 8);
        } else if (strncmp(word, "asn:", 4) == 0) {
            match->asns[match->asn_count++] = (uint32_t)strtoul(word + 4, NULL, 10);
        } else if (word[0] == '@') {
            match->client_lists.items[match->client_lists.count++] = words.items[i] + 1;
        } else {
            match->networks[match->network_count++] = cidr(words.items[i]);
        }
    }
}

void fixture_count_status(l7s_policy_t *policy, uint16_t lowest, uint16_t highest)
{
    must(policy->status_count < L7S_STATUSES_MAX, "too many statuses");
    policy->statuses[policy->status_count].lowest = lowest;
    policy->statuses[policy->status_count++].highest = highest;
}

l7s_match_t *fixture_except(fixture_t *fixture, l7s_policy_t *policy)
{
    if (policy->except == NULL) {
        policy->except = fixture_alloc(fixture, 8 * sizeof *policy->except);
    }
    return &policy->except[policy->except_count++];
}

l7s_match_t *fixture_any(fixture_t *fixture, l7s_policy_t *policy)
{
    if (policy->any == NULL) {
        policy->any = fixture_alloc(fixture, 8 * sizeof *policy->any);
    }
    return &policy->any[policy->any_count++];
}

void fixture_compile(fixture_t *fixture)
{
    size_t size = 0;

    must(l7s_image_compile(&fixture->config, &fixture->count_key, 7, fixture->now.wall_ms,
                           &fixture->shared.stats, fixture->image_memory, IMAGE_CAPACITY,
                           &size, &fixture->next_expiry_ms) == L7S_OK,
         "does not compile");
    fixture->image = l7s_image_check(fixture->image_memory, size);
    must(fixture->image != NULL, "the image fails its check");
}

/* --- requests --- */

l7s_addr_t fixture_addr(const char *text)
{
    l7s_addr_t addr;

    must(l7s_addr_parse(text, &addr), text);
    return addr;
}

static const char *find_header(void *context, const char *name)
{
    const fixture_request_t *request = context;
    size_t length = strlen(name);

    for (unsigned i = 0; i < FIXTURE_HEADERS && request->headers[i] != NULL; i++) {
        if (strncmp(request->headers[i], name, length) == 0 &&
            strncmp(request->headers[i] + length, ": ", 2) == 0) {
            return request->headers[i] + length + 2;
        }
    }
    return NULL;
}

static l7s_scratch_t *lend_scratch(void *context)
{
    return ((const fixture_request_t *)context)->scratch;
}

fixture_request_t fixture_request(const char *client, const char *method,
                                  const char *host, const char *path)
{
    fixture_request_t request = {.facts = {.client = fixture_addr(client),
                                           .method = method,
                                           .host = host,
                                           .path = path,
                                           .mode = L7S_MODE_ENFORCE,
                                           .header = find_header,
                                           .scratch = lend_scratch}};
    return request;
}

/* Tests copy requests: what points into one is set before each use. */
void fixture_lend(const fixture_t *fixture, fixture_request_t *request)
{
    request->facts.context = request;
    request->facts.tokens = request->tokens;
    request->facts.awaiting = request->awaiting;
    request->scratch = fixture->scratch;
}

l7s_verdict_t fixture_decide(fixture_t *fixture, fixture_request_t *request)
{
    l7s_verdict_t verdict;

    fixture_lend(fixture, request);
    l7s_decide(&fixture->shared, fixture->image, &request->facts, fixture->now, &verdict);
    return verdict;
}

l7s_verdict_t fixture_get(fixture_t *fixture, const char *client, const char *path)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", path);

    return fixture_decide(fixture, &request);
}

l7s_outcome_t fixture_outcome(fixture_t *fixture, const char *client)
{
    return fixture_get(fixture, client, "/").outcome;
}

void fixture_decide_user(fixture_t *fixture, fixture_request_t *request,
                         l7s_verdict_t *verdict)
{
    if ((verdict->awaits & L7S_AWAITS_USER) != 0) {
        fixture_lend(fixture, request);
        l7s_decide_user(&fixture->shared, fixture->image, &request->facts, false,
                        fixture->now, verdict);
    }
}

void fixture_answer(fixture_t *fixture, fixture_request_t *request, l7s_answer_t answer,
                    l7s_verdict_t *verdict)
{
    fixture_lend(fixture, request);
    l7s_decide_answer(&fixture->shared, fixture->image, &request->facts, &answer,
                      fixture->now, verdict);
}

/* --- what came of it --- */

l7s_stats_row_t *fixture_stats(fixture_t *fixture, const char *policy)
{
    return &fixture->shared.stats.rows[l7s_stats_row(&fixture->shared.stats, policy)];
}

uint32_t fixture_used_tokens(const fixture_t *fixture, const char *policy)
{
    l7s_hash128_t identity = l7s_limit_identity(&fixture->count_key, policy, policy, 0);
    uint32_t id = (uint32_t)identity.lo;
    const l7s_image_limit_t *limit = l7s_image_limit(fixture->image, id);

    must(limit != NULL, policy);
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        l7s_slot_t *slot = &fixture->shared.table.slots[i];
        if (atomic_load(&slot->key_lo) != 0 && atomic_load(&slot->limit) == id) {
            return limit->rate.burst - l7s_bucket_headroom(&limit->rate,
                                                           atomic_load(&slot->tat),
                                                           fixture->now.mono_us);
        }
    }
    return 0;
}

l7s_episode_t *fixture_episode(fixture_t *fixture, const char *policy)
{
    l7s_episode_t *found = NULL;

    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        l7s_episode_t *episode = &fixture->shared.episodes.entries[i];
        if (atomic_load(&episode->key_lo) != 0 &&
            strcmp(episode->facts.policy, policy) == 0) {
            must(found == NULL, "more than one episode");
            found = episode;
        }
    }
    return found;
}
