/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this memory an image? The check is deep and costs a pass over the whole image, so it
 * is made once per image; whoever reads it then trusts offsets, indexes and enumerations
 * without looking again. It promises memory safety, not sense: sets may hold bits that
 * stand for nothing, and readers bound those.
 */
#include "../count/tally.h"
#include "../segment/flight.h"
#include "../segment/stats.h"
#include "image_layout.h"

#include <string.h>

const uint16_t l7s_section_width[L7S_SECTIONS] = {
    [L7S_SECTION_POLICIES] = sizeof(l7s_image_policy_t),
    [L7S_SECTION_LIMITS] = sizeof(l7s_image_limit_t),
    [L7S_SECTION_LIMIT_IDS] = sizeof(uint32_t),
    [L7S_SECTION_SPECS] = sizeof(l7s_spec_t),
    [L7S_SECTION_MATCHES] = sizeof(l7s_image_match_t),
    [L7S_SECTION_CONDITIONS] = sizeof(l7s_condition_t),
    [L7S_SECTION_TESTS] = sizeof(l7s_test_t),
    [L7S_SECTION_REFS] = sizeof(uint32_t),
    [L7S_SECTION_SETS] = sizeof(uint64_t),
    [L7S_SECTION_RANGES4] = sizeof(l7s_range4_t),
    [L7S_SECTION_RANGES6] = sizeof(l7s_addr_range_t),
    [L7S_SECTION_INTERVALS4] = sizeof(l7s_interval4_t),
    [L7S_SECTION_INTERVALS6] = sizeof(l7s_interval6_t),
    [L7S_SECTION_LISTS] = sizeof(l7s_image_list_t),
    [L7S_SECTION_STRINGS] = sizeof(l7s_image_string_t),
    [L7S_SECTION_PLANS] = sizeof(l7s_image_plan_t),
    [L7S_SECTION_APPS] = sizeof(l7s_image_app_t),
    [L7S_SECTION_HEADERS] = sizeof(uint32_t),
    [L7S_SECTION_QUERIES] = sizeof(uint32_t),
    [L7S_SECTION_COOKIES] = sizeof(uint32_t),
    [L7S_SECTION_RESPONSES] = sizeof(l7s_image_response_t),
    [L7S_SECTION_ENTRIES] = sizeof(l7s_entry_t),
    [L7S_SECTION_SUBJECTS] = sizeof(l7s_subject_t),
    [L7S_SECTION_PATTERNS] = 1,
    [L7S_SECTION_STEPS] = sizeof(l7s_image_step_t),
    [L7S_SECTION_TEXT] = 1,
};

uint64_t l7s_pattern_stamp(const void *patterns, size_t size)
{
    static const l7s_hashkey_t key = {L7S_IMAGE_MAGIC, L7S_IMAGE_VERSION};

    return l7s_siphash64(&key, patterns, size);
}

const l7s_section_id_t l7s_section_of_field[L7S_FIELDS] = {
    [L7S_FIELD_HEADER] = L7S_SECTION_HEADERS,
    [L7S_FIELD_QUERY] = L7S_SECTION_QUERIES,
    [L7S_FIELD_COOKIE] = L7S_SECTION_COOKIES,
};

static bool holds_run(const l7s_image_t *image, l7s_section_id_t section, l7s_run_t run)
{
    return (uint64_t)run.first + run.count <= image->sections[section].count;
}

static bool holds_ranges(const l7s_image_t *image, l7s_ranges_t ranges)
{
    return holds_run(image, L7S_SECTION_RANGES4, ranges.v4) &&
           holds_run(image, L7S_SECTION_RANGES6, ranges.v6);
}

static bool holds_index(const l7s_image_t *image, l7s_section_id_t section,
                        uint32_t index)
{
    return index < image->sections[section].count;
}

static bool holds_set(const l7s_image_t *image, uint32_t first)
{
    return holds_run(image, L7S_SECTION_SETS, (l7s_run_t){first, image->words});
}

/* A run of references, each of which must be an index of `section`. */
static bool holds_refs(const l7s_image_t *image, l7s_run_t run, l7s_section_id_t section)
{
    if (!holds_run(image, L7S_SECTION_REFS, run)) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        if (!holds_index(image, section, l7s_image_refs(image, run)[i])) {
            return false;
        }
    }
    return true;
}

/* A run of references to patterns. */
static bool holds_patterns(const l7s_image_t *image, l7s_run_t run)
{
    if (!holds_run(image, L7S_SECTION_REFS, run)) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        if (l7s_image_refs(image, run)[i] >= image->patterns) {
            return false;
        }
    }
    return true;
}

static bool check_head(const l7s_image_t *image, size_t size)
{
    return image->magic == L7S_IMAGE_MAGIC && image->version == L7S_IMAGE_VERSION &&
           image->size >= sizeof *image && image->size <= size &&
           image->size <= L7S_IMAGE_MAX;
}

static bool check_sections(const l7s_image_t *image)
{
    for (unsigned i = 0; i < L7S_SECTIONS; i++) {
        const l7s_section_t *section = &image->sections[i];
        uint64_t end = section->at + (uint64_t)section->count * l7s_section_width[i];
        if (section->at % 8 != 0 || section->at < sizeof *image || end > image->size) {
            return false;
        }
    }
    return true;
}

static bool begins_with_client(const l7s_image_t *image)
{
    const l7s_spec_t *spec = l7s_image_section(image, L7S_SECTION_SPECS);

    return image->sections[L7S_SECTION_SPECS].count > L7S_SPEC_CLIENT &&
           spec[L7S_SPEC_CLIENT].part_count == 1 &&
           spec[L7S_SPEC_CLIENT].parts[0] == L7S_PART_CLIENT;
}

static bool check_bounds(const l7s_image_t *image)
{
    const l7s_section_t *sections = image->sections;
    const l7s_section_t *text = &sections[L7S_SECTION_TEXT];
    uint64_t bits = (uint64_t)sections[L7S_SECTION_POLICIES].count + image->declared_apps;

    return sections[L7S_SECTION_POLICIES].count <= L7S_POLICIES_MAX &&
           sections[L7S_SECTION_SPECS].count <= L7S_SPECS_MAX &&
           begins_with_client(image) && image->declared_apps <= L7S_APPS_MAX &&
           image->declared_apps <= sections[L7S_SECTION_APPS].count &&
           image->words >= 1 && image->words <= L7S_WORDS_MAX &&
           (uint64_t)image->words * 64 >= bits && text->count > 0 &&
           *l7s_image_text(image, 0) == '\0' &&
           *l7s_image_text(image, text->count - 1) == '\0' &&
           holds_set(image, image->any_method) && holds_set(image, image->any_host) &&
           holds_set(image, image->any_path) && holds_set(image, image->any_path_maybe) &&
           holds_set(image, image->any_app) && holds_set(image, image->plain) &&
           holds_ranges(image, image->listed) && image->tested_headers <= 2 &&
           (image->tested_header == L7S_NONE ||
            image->tested_header < sections[L7S_SECTION_HEADERS].count) &&
           (!image->client_indexed || (sections[L7S_SECTION_INTERVALS4].count > 0 &&
                                       sections[L7S_SECTION_INTERVALS6].count > 0));
}

/* `records`: the section that the table's entries name, or SETS. */
static bool check_names(const l7s_image_t *image, const l7s_names_t *names,
                        l7s_section_id_t records)
{
    const l7s_entry_t *entries = l7s_image_section(image, L7S_SECTION_ENTRIES);
    uint64_t places = (uint64_t)names->mask + 1;

    if (names->lengths == 0) {
        return true;
    }
    if ((places & (places - 1)) != 0 ||
        names->first + places > image->sections[L7S_SECTION_ENTRIES].count) {
        return false;
    }
    for (uint64_t i = 0; i < places; i++) {
        const l7s_entry_t *entry = &entries[names->first + i];
        if (entry->length == 0) {
            continue;
        }
        if ((uint64_t)entry->text + entry->length >=
            image->sections[L7S_SECTION_TEXT].count) {
            return false;
        }
        if (records == L7S_SECTION_SETS
                ? !holds_set(image, entry->sure) || !holds_set(image, entry->maybe)
                : !holds_index(image, records, entry->sure)) {
            return false;
        }
    }
    return true;
}

static bool check_tables(const l7s_image_t *image)
{
    return check_names(image, &image->methods, L7S_SECTION_SETS) &&
           check_names(image, &image->hosts, L7S_SECTION_SETS) &&
           check_names(image, &image->suffixes, L7S_SECTION_SETS) &&
           check_names(image, &image->paths, L7S_SECTION_SETS) &&
           check_names(image, &image->prefixes, L7S_SECTION_SETS) &&
           check_names(image, &image->app_names, L7S_SECTION_APPS) &&
           check_names(image, &image->policy_names, L7S_SECTION_POLICIES) &&
           check_names(image, &image->query_names, L7S_SECTION_QUERIES) &&
           check_names(image, &image->cookie_names, L7S_SECTION_COOKIES);
}

/* Whoever has the tally of what was answered finds that of what failed behind it. `left`:
 * limits from this one on. */
static bool check_tally(const l7s_image_limit_t *limit, uint32_t left)
{
    if (limit->rate.period_us % 1000000 != 0 || limit->of != L7S_RATIO_TALLIES ||
        limit->rate.period_us > L7S_TALLY_SECONDS_MAX * 1000000ULL || limit->strict) {
        return false;
    }
    return limit->place == L7S_RATIO_ANSWERED
               ? left > 1 && limit[1].tally && limit[1].place == L7S_RATIO_FAILED
               : !limit->fleet;
}

static bool check_limits(const l7s_image_t *image)
{
    const l7s_image_limit_t *limits = l7s_image_section(image, L7S_SECTION_LIMITS);
    const uint32_t *ids = l7s_image_section(image, L7S_SECTION_LIMIT_IDS);
    uint32_t count = image->sections[L7S_SECTION_LIMITS].count;
    uint32_t places = image->sections[L7S_SECTION_LIMIT_IDS].count;

    if (count > L7S_LIMITS_MAX || places == 0 || (places & (places - 1)) != 0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!l7s_rate_valid(&limits[i].rate) ||
            (limits[i].tally && !check_tally(&limits[i], count - i))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < places; i++) {
        if (ids[i] > count) {
            return false;
        }
    }
    return true;
}

static bool check_spec(const l7s_image_t *image, const void *record)
{
    const l7s_spec_t *spec = record;

    if (spec->part_count == 0 || spec->part_count > L7S_KEY_PARTS_MAX ||
        spec->when_absent > L7S_ABSENT_SHARED || spec->ipv4_prefix > 32 ||
        spec->ipv6_prefix > 128) {
        return false;
    }
    for (unsigned i = 0; i < spec->part_count; i++) {
        if (spec->parts[i] < L7S_PART_CLIENT || spec->parts[i] >= L7S_PART_MAX) {
            return false;
        }
        if ((spec->parts[i] == L7S_PART_HEADER &&
             !holds_index(image, L7S_SECTION_HEADERS, spec->names[i])) ||
            (spec->parts[i] == L7S_PART_COOKIE &&
             !holds_index(image, L7S_SECTION_COOKIES, spec->names[i]))) {
            return false;
        }
    }
    return true;
}

static bool check_match(const l7s_image_t *image, const void *record)
{
    const l7s_image_match_t *match = record;

    return holds_refs(image, match->apps, L7S_SECTION_APPS) &&
           holds_refs(image, match->hosts, L7S_SECTION_TEXT) &&
           holds_refs(image, match->methods, L7S_SECTION_TEXT) &&
           holds_refs(image, match->paths, L7S_SECTION_TEXT) &&
           holds_run(image, L7S_SECTION_CONDITIONS, match->conditions) &&
           holds_ranges(image, match->ranges) &&
           holds_refs(image, match->lists, L7S_SECTION_LISTS) &&
           holds_patterns(image, match->patterns) &&
           holds_run(image, L7S_SECTION_REFS, match->countries) &&
           holds_run(image, L7S_SECTION_REFS, match->asns);
}

static bool check_condition(const l7s_image_t *image, const void *record)
{
    const l7s_condition_t *condition = record;

    return condition->field < L7S_FIELDS &&
           holds_index(image, l7s_section_of_field[condition->field],
                       condition->header) &&
           condition->is <= L7S_IS_REGEX &&
           (condition->list == L7S_NONE ||
            holds_index(image, L7S_SECTION_LISTS, condition->list)) &&
           (condition->is == L7S_IS_REGEX
                ? holds_index(image, L7S_SECTION_SUBJECTS, condition->subject) &&
                      holds_patterns(image, condition->values)
                : holds_refs(image, condition->values, L7S_SECTION_TEXT));
}

static bool check_test(const l7s_image_t *image, const void *record)
{
    const l7s_test_t *test = record;

    const l7s_condition_t *conditions = l7s_image_section(image, L7S_SECTION_CONDITIONS);

    return test->word < image->words &&
           holds_index(image, L7S_SECTION_CONDITIONS, test->condition) &&
           conditions[test->condition].field == L7S_FIELD_HEADER;
}

/* Charges are told apart by their limit: it must name the policy it belongs to, and its
 * place among those that are charged together. */
static bool owns_limits(const l7s_image_t *image, const l7s_image_policy_t *policy,
                        l7s_run_t run, bool tallies)
{
    const l7s_image_limit_t *limits = l7s_image_section(image, L7S_SECTION_LIMITS);
    uint32_t index = (uint32_t)(policy - l7s_image_policy(image, 0));

    if (!holds_run(image, L7S_SECTION_LIMITS, run) || run.count > L7S_RATES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        const l7s_image_limit_t *limit = &limits[run.first + i];
        if (limit->policy != index || limit->place != i || limit->of != run.count ||
            limit->tally != tallies) {
            return false;
        }
    }
    return true;
}

static bool check_ratio(const l7s_image_t *image, const l7s_image_policy_t *policy)
{
    const l7s_image_limit_t *limits = l7s_image_section(image, L7S_SECTION_LIMITS);
    const l7s_ratio_t *ratio = &policy->ratio;
    l7s_run_t run = policy->tallies;

    if (ratio->percent == 0) {
        return run.count == 0;
    }
    if (ratio->percent > 100 || ratio->min_requests == 0 || ratio->seconds == 0 ||
        ratio->seconds > L7S_TALLY_SECONDS_MAX || run.count != L7S_RATIO_TALLIES ||
        policy->deferred == 0 || policy->strict || policy->limits.count > 0 ||
        !owns_limits(image, policy, run, true)) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        if (limits[run.first + i].rate.period_us != ratio->seconds * 1000000ULL) {
            return false;
        }
    }
    return true;
}

static bool owns_plans(const l7s_image_t *image, const l7s_image_policy_t *policy)
{
    const l7s_image_plan_t *plans = l7s_image_section(image, L7S_SECTION_PLANS);
    l7s_run_t run = policy->plans;

    if (run.count == 0) {
        return true;
    }
    if (!holds_run(image, L7S_SECTION_PLANS, run) || run.count > L7S_PLANS_MAX ||
        !holds_index(image, L7S_SECTION_LISTS, policy->plan_list) ||
        !holds_index(image, L7S_SECTION_HEADERS, policy->plan_header)) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        l7s_run_t limits = plans[run.first + i].limits;
        if (limits.count == 0 || !owns_limits(image, policy, limits, false)) {
            return false;
        }
    }
    return true;
}

static bool check_string(const l7s_image_t *image, const void *record)
{
    const l7s_image_string_t *string = record;

    return holds_run(image, L7S_SECTION_REFS, string->grants);
}

static bool check_sanction(const l7s_image_t *image, const l7s_image_sanction_t *sanction)
{
    return holds_index(image, L7S_SECTION_TEXT, sanction->response) &&
           sanction->action <= L7S_ACTION_LAST && sanction->kind <= L7S_CHALLENGE_WORK &&
           sanction->bits <= 32;
}

/* What is taken for plain is asked with fewer questions. */
static bool is_marked_rightly(const l7s_image_t *image, const l7s_image_policy_t *policy)
{
    const uint64_t *plain =
        (const uint64_t *)l7s_image_section(image, L7S_SECTION_SETS) + image->plain;
    uint32_t index = (uint32_t)(policy - l7s_image_policy(image, 0));

    return (plain[index / 64] >> index % 64 & 1) == l7s_policy_is_plain(policy);
}

/* Whom a ban would mean is found out only for a policy that says that it may ban. */
static bool owns_steps(const l7s_image_t *image, const l7s_image_policy_t *policy)
{
    const l7s_image_step_t *steps = l7s_image_section(image, L7S_SECTION_STEPS);
    l7s_run_t run = policy->steps;
    bool bans = policy->action == L7S_ACTION_BAN;

    if (!holds_run(image, L7S_SECTION_STEPS, run) || run.count > L7S_STEPS_PER_POLICY) {
        return false;
    }
    for (uint32_t i = 0; i < run.count; i++) {
        bans |= steps[run.first + i].sanction.action == L7S_ACTION_BAN;
    }
    return !bans || policy->may_ban;
}

static bool check_policy(const l7s_image_t *image, const void *record)
{
    const l7s_image_policy_t *policy = record;

    return holds_index(image, L7S_SECTION_TEXT, policy->name) &&
           check_sanction(image, &policy->sanction) &&
           policy->action == policy->sanction.action &&
           holds_index(image, L7S_SECTION_MATCHES, policy->match) &&
           holds_run(image, L7S_SECTION_MATCHES, policy->except) &&
           holds_run(image, L7S_SECTION_MATCHES, policy->any) &&
           owns_limits(image, policy, policy->limits, false) &&
           owns_plans(image, policy) && is_marked_rightly(image, policy) &&
           owns_steps(image, policy) &&
           holds_index(image, L7S_SECTION_SPECS, policy->spec) &&
           policy->stats_row < L7S_STATS_ROWS && policy->mode <= L7S_MODE_ENFORCE &&
           policy->when_down <= L7S_DOWN_CLOSED &&
           (!policy->strict || policy->limits.count > 0) && policy->cost < L7S_COSTS &&
           policy->concurrency <= L7S_FLIGHT_MAX && check_ratio(image, policy) &&
           holds_refs(image, policy->signals, L7S_SECTION_TEXT) &&
           holds_run(image, L7S_SECTION_REFS, policy->statuses);
}

static bool check_step(const l7s_image_t *image, const void *record)
{
    const l7s_image_limit_t *limits = l7s_image_section(image, L7S_SECTION_LIMITS);
    const l7s_image_step_t *step = record;

    return holds_index(image, L7S_SECTION_LIMITS, step->limit) &&
           limits[step->limit].tally == 0 && check_sanction(image, &step->sanction) &&
           step->sanction.action >= L7S_ACTION_DENY;
}

static bool check_list(const l7s_image_t *image, const void *record)
{
    const l7s_image_list_t *list = record;

    return holds_index(image, L7S_SECTION_TEXT, list->name) &&
           list->effect <= L7S_EFFECT_DENY && list->kind < L7S_LIST_KINDS &&
           holds_run(image, L7S_SECTION_REFS, list->codes) &&
           holds_ranges(image, list->ranges) &&
           holds_run(image, L7S_SECTION_STRINGS, list->strings) &&
           (list->strings.count & (list->strings.count - 1)) == 0 &&
           holds_refs(image, list->apps, L7S_SECTION_APPS);
}

static bool check_app(const l7s_image_t *image, const void *record)
{
    const l7s_image_app_t *app = record;

    return holds_index(image, L7S_SECTION_TEXT, app->name) &&
           app->mode <= L7S_MODE_ENFORCE && holds_set(image, app->set) &&
           holds_refs(image, app->paths, L7S_SECTION_TEXT);
}

static bool check_response(const l7s_image_t *image, const void *record)
{
    const l7s_image_response_t *response = record;

    return holds_index(image, L7S_SECTION_TEXT, response->name) &&
           holds_index(image, L7S_SECTION_TEXT, response->content_type) &&
           holds_index(image, L7S_SECTION_TEXT, response->body);
}

static bool check_interval4(const l7s_image_t *image, const void *record)
{
    return holds_set(image, ((const l7s_interval4_t *)record)->set);
}

static bool check_interval6(const l7s_image_t *image, const void *record)
{
    return holds_set(image, ((const l7s_interval6_t *)record)->set);
}

static bool check_name(const l7s_image_t *image, const void *record)
{
    const uint32_t *name = record;

    return holds_index(image, L7S_SECTION_TEXT, *name);
}

/* The stamp tells that the databases are as they were compiled, the library that they are
 * for it. */
static bool check_patterns(const l7s_image_t *image)
{
    const l7s_subject_t *subjects = l7s_image_section(image, L7S_SECTION_SUBJECTS);
    const uint8_t *patterns = l7s_image_section(image, L7S_SECTION_PATTERNS);
    const l7s_section_t *section = &image->sections[L7S_SECTION_PATTERNS];
    uint32_t count = image->sections[L7S_SECTION_SUBJECTS].count;

    if (image->patterns == 0) {
        return count == 0;
    }
    if (image->patterns > L7S_PATTERNS_MAX || count > L7S_SUBJECTS_MAX ||
        image->path_subject >= count ||
        (uintptr_t)patterns % L7S_DATABASE_ALIGNMENT != 0 ||
        l7s_pattern_stamp(patterns, section->count) != image->pattern_stamp) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if ((uint64_t)subjects[i].at + subjects[i].size > section->count ||
            !l7s_pattern_check(patterns + subjects[i].at, subjects[i].size)) {
            return false;
        }
    }
    return true;
}

static bool check_records(const l7s_image_t *image)
{
    static const struct {
        l7s_section_id_t section;
        bool (*check)(const l7s_image_t *image, const void *record);
    } table[] = {
        {L7S_SECTION_POLICIES, check_policy},
        {L7S_SECTION_SPECS, check_spec},
        {L7S_SECTION_MATCHES, check_match},
        {L7S_SECTION_CONDITIONS, check_condition},
        {L7S_SECTION_TESTS, check_test},
        {L7S_SECTION_INTERVALS4, check_interval4},
        {L7S_SECTION_INTERVALS6, check_interval6},
        {L7S_SECTION_LISTS, check_list},
        {L7S_SECTION_STRINGS, check_string},
        {L7S_SECTION_APPS, check_app},
        {L7S_SECTION_HEADERS, check_name},
        {L7S_SECTION_QUERIES, check_name},
        {L7S_SECTION_COOKIES, check_name},
        {L7S_SECTION_RESPONSES, check_response},
        {L7S_SECTION_STEPS, check_step},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const uint8_t *records = l7s_image_section(image, table[i].section);
        size_t width = l7s_section_width[table[i].section];
        for (uint32_t k = 0; k < image->sections[table[i].section].count; k++) {
            if (!table[i].check(image, records + k * width)) {
                return false;
            }
        }
    }
    return true;
}

const l7s_image_t *l7s_image_check(const void *memory, size_t size)
{
    const l7s_image_t *image = memory;

    if (memory == NULL || size < sizeof *image || (uintptr_t)memory % 8 != 0 ||
        !check_head(image, size) || !check_sections(image) || !check_bounds(image) ||
        !check_tables(image) || !check_limits(image) || !check_patterns(image) ||
        !check_records(image)) {
        return NULL;
    }
    return image;
}
