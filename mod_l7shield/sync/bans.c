/* SPDX-License-Identifier: Apache-2.0
 *
 * See bans.h. In the shared table `origin` tells who must speak: L7S_ORIGIN_NODE is a ban
 * that a worker of this node made, L7S_ORIGIN_DAEMON one that came from the fleet,
 * whoever made it there.
 */
#include "bans.h"
#include "../../core/decide/escalate.h"
#include "../../core/json/ban_json.h"
#include "../../core/key.h"
#include "clock.h"
#include "forgive.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>

#define VISIT_MS 1000
#define LIFT_MEMORY_MS ((uint64_t)600 * 1000)
#define LOG_INTERVAL_MS 10000

struct sync_bans {
    const l7s_shared_t *shared;
    const sync_publisher_t *publisher;
    sync_ban_ledger_t *ledger;
    l7s_hashkey_t count_key; /* under which the table's digests were made */
    uint64_t visit_at_ms;
    uint64_t looked_at; /* head->changes when unpublished bans were looked for */
    bool more;          /* there were more than fitted */
    uint64_t set_number, set_ban_log; /* of the last whole set */
    bool unsettled;                   /* it has not been compared with the table yet */
    bool incomplete; /* the ledger was full: what it lacks means nothing */
    sync_log_gate_t refused_gate, full_gate;
};

l7s_status_t sync_bans_create(const l7s_shared_t *shared,
                              const sync_publisher_t *publisher, sync_bans_t **out)
{
    sync_bans_t *bans = calloc(1, sizeof *bans);

    if (bans == NULL) {
        return L7S_NO_MEMORY;
    }
    bans->shared = shared;
    bans->publisher = publisher;
    bans->count_key = *sync_publisher_count_key(publisher);
    bans->more = true;
    l7s_status_t status = sync_ban_ledger_create(shared->bans.capacity, &bans->ledger);
    if (status != L7S_OK) {
        free(bans);
        return status;
    }
    *out = bans;
    return L7S_OK;
}

void sync_bans_free(sync_bans_t *bans)
{
    if (bans != NULL) {
        sync_ban_ledger_free(bans->ledger);
        free(bans);
    }
}

/* Where workers look for a banned address. */
static l7s_hash128_t address_digest(const l7s_hashkey_t *count_key,
                                    const l7s_cidr_t *network)
{
    l7s_cidr_t client = l7s_addr_client(&network->base);
    l7s_part_t part =
        network->prefix == client.prefix ? L7S_PART_CLIENT : L7S_PART_NETWORK;

    return l7s_key_digest_cidr(count_key, part, network);
}

static sync_ban_note_t *note_of(sync_bans_t *bans, l7s_hash128_t digest, l7s_now_t now)
{
    sync_ban_note_t *note = sync_ban_ledger_note(bans->ledger, digest);

    bans->incomplete |= note == NULL;
    if (note == NULL &&
        sync_log_gate(&bans->full_gate, sync_mono_ms(now), LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_ERROR, "L7S2065",
                 "too many bans to remember which of them the fleet knows; some are told "
                 "twice");
    }
    return note;
}

/* ---- once a second ---- */

typedef struct {
    sync_bans_t *bans;
    l7s_now_t now;
    const l7s_hashkey_t *new_key; /* NULL: digests stay */
    bool keep;                    /* the old name, too */
    size_t lost;
} visit_t;

/* The same address under the new key. Others cannot be named again: what was hashed is
 * not known any more. */
static void rekey(visit_t *visit, const l7s_ban_t *ban, bool published)
{
    l7s_ban_t moved = *ban;

    if (!ban->is_address) {
        visit->lost++;
        return;
    }
    moved.digest = address_digest(visit->new_key, &ban->network);
    if (moved.digest.lo == ban->digest.lo && moved.digest.hi == ban->digest.hi) {
        return; /* moved already: the visit came by its new place */
    }
    if (!visit->keep) {
        (void)l7s_bans_lift(&visit->bans->shared->bans, ban->digest, 0, visit->now);
    }
    if (l7s_bans_put(&visit->bans->shared->bans, &moved, visit->now) != L7S_OK) {
        visit->lost++;
        return;
    }
    sync_ban_note_t *note = note_of(visit->bans, moved.digest, visit->now);
    if (note != NULL) {
        note->published = published;
        note->until_ms = ban->until_ms;
        note->marked = true;
    }
}

static void mark(void *context, const l7s_ban_t *ban)
{
    visit_t *visit = context;
    sync_ban_note_t *note = sync_ban_ledger_find(visit->bans->ledger, ban->digest);
    bool published = note != NULL && note->published;

    if (note != NULL) {
        note->marked = true;
    }
    if (visit->new_key != NULL) {
        rekey(visit, ban, published);
    }
}

static bool same_key(const l7s_hashkey_t *a, const l7s_hashkey_t *b)
{
    return a->k0 == b->k0 && a->k1 == b->k1;
}

void sync_bans_prepare(sync_bans_t *bans, const l7s_hashkey_t *key, l7s_now_t now)
{
    visit_t visit = {.bans = bans, .now = now, .new_key = key, .keep = true};

    if (!same_key(key, &bans->count_key)) {
        l7s_bans_visit(&bans->shared->bans, now, mark, &visit);
    }
}

void sync_bans_tick(sync_bans_t *bans, l7s_now_t now)
{
    const l7s_hashkey_t *key = sync_publisher_count_key(bans->publisher);
    bool new_key = !same_key(key, &bans->count_key);
    visit_t visit = {.bans = bans, .now = now, .new_key = new_key ? key : NULL};

    if (!new_key && sync_mono_ms(now) < bans->visit_at_ms) {
        return;
    }
    bans->visit_at_ms = sync_mono_ms(now) + VISIT_MS;
    bans->incomplete = false;
    sync_ban_ledger_clear_marks(bans->ledger);
    l7s_bans_visit(&bans->shared->bans, now, mark, &visit);
    sync_ban_ledger_forget(
        bans->ledger, now.wall_ms > LIFT_MEMORY_MS ? now.wall_ms - LIFT_MEMORY_MS : 0);
    if (new_key) {
        bans->count_key = *key;
        if (visit.lost > 0) {
            sync_log(SYNC_WARN, "L7S2066",
                     "the fleet counts under a new key; %zu bans that are not addresses "
                     "or found no room begin anew when their clients come back",
                     visit.lost);
        }
    }
}

/* ---- what the fleet says ---- */

static void put(sync_bans_t *bans, l7s_ban_t *ban, uint64_t log_index, uint64_t named_in,
                l7s_now_t now)
{
    sync_ban_note_t *note = note_of(bans, ban->digest, now);

    if (ban->until_ms <= now.wall_ms ||
        (note != NULL && note->lifted_ms != 0 && note->lifted_ms >= ban->since_ms)) {
        return;
    }
    if (note != NULL) {
        note->published = true;
        note->marked = true;
        note->named_in = named_in > note->named_in ? named_in : note->named_in;
        note->until_ms = ban->until_ms > note->until_ms ? ban->until_ms : note->until_ms;
        note->log_index = log_index > note->log_index ? log_index : note->log_index;
    }
    ban->origin = L7S_ORIGIN_DAEMON;
    /* A table that is full counts in head->dropped, which raises an alarm. */
    bool began;
    l7s_status_t status = l7s_bans_begin(&bans->shared->bans, ban, now, &began);
    const l7s_image_t *image = sync_publisher_image(bans->publisher);
    if (status == L7S_OK && began && image != NULL) {
        l7s_escalate_learned(bans->shared, image, ban, now);
    }
}

static void lift(sync_bans_t *bans, const l7s_ban_t *tombstone, uint64_t hold_until_ms,
                 bool is_news, l7s_now_t now)
{
    l7s_ban_t current;
    sync_ban_note_t *note = note_of(bans, tombstone->digest, now);
    bool known = note != NULL && note->lifted_ms >= tombstone->since_ms;

    bool was_in_force =
        l7s_bans_find(&bans->shared->bans, tombstone->digest, now, &current);
    if (was_in_force && current.since_ms > tombstone->since_ms) {
        return; /* banned again since */
    }
    if (note != NULL && !known) {
        note->lifted_ms = tombstone->since_ms;
    }
    if (was_in_force || hold_until_ms > now.wall_ms) {
        (void)l7s_bans_lift(&bans->shared->bans, tombstone->digest, hold_until_ms, now);
    }
    const l7s_image_t *image = sync_publisher_image(bans->publisher);
    unsigned forgiven = 0;
    if (tombstone->is_address && image != NULL && !known && (was_in_force || is_news)) {
        forgiven = sync_forgive_network(bans->shared, image, &tombstone->network, now);
    }
    if (was_in_force || forgiven > 0) {
        sync_log(SYNC_INFO, "L7S2061", "the ban of %s is lifted, %u counters start anew",
                 tombstone->id, forgiven);
    }
}

static void refuse(sync_bans_t *bans, const char *why, l7s_now_t now)
{
    uint64_t held_back = 0;

    if (sync_log_gate(&bans->refused_gate, sync_mono_ms(now), LOG_INTERVAL_MS,
                      &held_back)) {
        sync_log(SYNC_WARN, "L7S2062",
                 "an entry of the ban log is refused: %s; %llu more were since the last "
                 "such line",
                 why, (unsigned long long)held_back);
    }
}

/* Reads one entry; its digest is made anew from the address, so that bans written under
 * another counting key hold as well. */
static bool read_entry(sync_bans_t *bans, const json_t *entry, l7s_ban_t *ban,
                       bool *lifts, uint64_t *hold_until_ms, l7s_now_t now)
{
    if (l7s_ban_from_json(entry, ban, lifts, hold_until_ms) != L7S_OK) {
        refuse(bans, "it is not a ban", now);
        return false;
    }
    if (ban->is_address) {
        ban->digest =
            address_digest(sync_publisher_count_key(bans->publisher), &ban->network);
    }
    return true;
}

void sync_bans_entry(sync_bans_t *bans, const json_t *entry, bool by_daemon,
                     uint64_t log_index, l7s_now_t now)
{
    uint64_t hold_until_ms;
    l7s_ban_t ban;
    bool lifts;

    if (!read_entry(bans, entry, &ban, &lifts, &hold_until_ms, now)) {
        return;
    }
    if (lifts && !by_daemon) {
        refuse(bans, "only the daemon lifts bans", now);
    } else if (lifts) {
        lift(bans, &ban, hold_until_ms, true, now);
    } else if (!by_daemon && !l7s_ban_fits_node(&ban)) {
        refuse(bans, "no node bans so many", now);
    } else {
        put(bans, &ban, log_index, 0, now);
    }
}

void sync_bans_set(sync_bans_t *bans, const json_t *document, uint64_t ban_log,
                   l7s_now_t now)
{
    const json_t *entries = json_object_get(document, "bans");

    bans->set_number++;
    bans->set_ban_log = ban_log;
    bans->unsettled = true;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        uint64_t hold_until_ms;
        l7s_ban_t ban;
        bool lifts;
        if (!read_entry(bans, json_array_get(entries, i), &ban, &lifts, &hold_until_ms,
                        now)) {
            continue;
        }
        if (lifts) {
            lift(bans, &ban, hold_until_ms, false, now);
        } else {
            put(bans, &ban, 0, bans->set_number, now);
        }
    }
}

/* Lifts what the fleet has forgotten: a ban that came from it or that it was told, and
 * that neither the set nor the log behind it names. */
static void lift_unnamed(void *context, const l7s_ban_t *ban)
{
    visit_t *visit = context;
    sync_bans_t *bans = visit->bans;
    sync_ban_note_t *note = sync_ban_ledger_find(bans->ledger, ban->digest);
    bool told = ban->origin == L7S_ORIGIN_DAEMON || (note != NULL && note->published);

    if (!told || (note != NULL &&
                  (note->named_in == bans->set_number ||
                   (note->log_index != 0 && note->log_index >= bans->set_ban_log)))) {
        return;
    }
    if (l7s_bans_lift(&bans->shared->bans, ban->digest, 0, visit->now)) {
        visit->lost++;
    }
}

void sync_bans_converge(sync_bans_t *bans, l7s_now_t now)
{
    visit_t visit = {.bans = bans, .now = now};

    if (!bans->unsettled || bans->incomplete) {
        return;
    }
    bans->unsettled = false;
    l7s_bans_scan(&bans->shared->bans, now, lift_unnamed, &visit);
    if (visit.lost > 0) {
        sync_log(SYNC_INFO, "L7S2063",
                 "%zu bans end because the fleet does not have them any more",
                 visit.lost);
    }
}

/* ---- what the fleet does not know ---- */

typedef struct {
    sync_bans_t *bans;
    l7s_ban_t *out;
    size_t count, max;
    bool more;
} search_t;

static void select_unpublished(void *context, const l7s_ban_t *ban)
{
    search_t *search = context;

    if (ban->origin != L7S_ORIGIN_NODE) {
        return;
    }
    const sync_ban_note_t *note = sync_ban_ledger_find(search->bans->ledger, ban->digest);
    if (note != NULL && note->published && note->until_ms >= ban->until_ms) {
        return;
    }
    if (search->count == search->max) {
        search->more = true;
        return;
    }
    search->out[search->count++] = *ban;
}

size_t sync_bans_unpublished(sync_bans_t *bans, l7s_ban_t *out, size_t max, l7s_now_t now)
{
    uint64_t changes = atomic_load(&bans->shared->bans.head->changes);
    search_t search = {.bans = bans, .out = out, .max = max};

    if (changes == bans->looked_at && !bans->more) {
        return 0;
    }
    bans->looked_at = changes;
    l7s_bans_scan(&bans->shared->bans, now, select_unpublished, &search);
    bans->more = search.count > 0; /* until all of them are published */
    return search.count;
}

void sync_bans_published(sync_bans_t *bans, const l7s_ban_t *ban, uint64_t log_index)
{
    sync_ban_note_t *note = sync_ban_ledger_note(bans->ledger, ban->digest);

    if (note != NULL) {
        note->published = true;
        note->marked = true;
        note->until_ms = ban->until_ms;
        note->log_index = log_index;
    }
}

void sync_bans_turn(sync_bans_t *bans)
{
    sync_ban_ledger_turn(bans->ledger);
    bans->set_ban_log = 0;
    bans->unsettled = false;
    bans->more = true;
}

/* ---- for the file ---- */

typedef struct {
    sync_bans_t *bans;
    sync_bans_each_fn each;
    void *context;
} listing_t;

static void list_one(void *context, const l7s_ban_t *ban)
{
    listing_t *listing = context;
    const sync_ban_note_t *note =
        sync_ban_ledger_find(listing->bans->ledger, ban->digest);
    sync_ban_state_t state = {.ban = *ban,
                              .published = note != NULL && note->published,
                              .log_index = note == NULL ? 0 : note->log_index};

    listing->each(listing->context, &state);
}

void sync_bans_each(sync_bans_t *bans, l7s_now_t now, sync_bans_each_fn each,
                    void *context)
{
    listing_t listing = {.bans = bans, .each = each, .context = context};

    l7s_bans_scan(&bans->shared->bans, now, list_one, &listing);
}

void sync_bans_restore(sync_bans_t *bans, const sync_ban_state_t *state, bool into_table,
                       l7s_now_t now)
{
    l7s_ban_t ban = state->ban;

    if (ban.until_ms <= now.wall_ms) {
        return;
    }
    if (ban.is_address) {
        ban.digest =
            address_digest(sync_publisher_count_key(bans->publisher), &ban.network);
    }
    if (state->published) {
        sync_bans_published(bans, &ban, state->log_index);
    }
    if (into_table) {
        l7s_status_t status = l7s_bans_put(&bans->shared->bans, &ban, now);
        (void)status; /* a full table raises its alarm */
    }
}
