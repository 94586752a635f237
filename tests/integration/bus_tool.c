/* SPDX-License-Identifier: Apache-2.0
 *
 * A node of the fleet, or an attacker, for tests of the daemon: speaks the real bus, but
 * has no httpd behind it. `usage` says how it is called; bus.py calls it.
 */
#include "../../core/bus/manifest.h"
#include "../../core/json/config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "bus_tool MEMCACHED[,MEMCACHED...] SECRET_FILE TRUST_FILE COMMAND...\n"
    "  get head|mode|manifest        payload of the daemon's item, if its seal holds\n"
    "  part NAME                     text of one part of the snapshot\n"
    "  bans FROM COUNT               entries of the ban log, one a line\n"
    "  forge KIND DETAIL INDEX FOLDER JSON   an item under its right name, but sealed\n"
    "                                with another fleet's secret and signing.key\n"
    "  garble KIND DETAIL INDEX      the same place, full of nonsense\n"
    "  name KIND DETAIL INDEX        the item's name in memcached\n"
    "  seal KIND DETAIL INDEX FOLDER SENDER OFFSET_MS JSON   an item under its right\n"
    "                                name, sealed with the keys there, dated that much\n"
    "                                later\n"
    "  node NAME                     a living node: holds a seat, obeys lines on stdin\n"
    "    incident JSON | resend INDEX JSON | ban JSON | at INDEX | ack |\n"
    "    set MEMBER JSON | apply on|off | quit      each answered by a line of JSON\n"
    "Exit 1: there is no such thing; 2: usage or trouble.\n";

#define LINE_BYTES 65536
#define BEAT_MS 200
#define SEAT_TTL 5
#define LOG_TTL 600
#define TRIES 4096

typedef struct {
    l7s_trust_t *trust;
    l7s_pool_t *pool;
    l7s_hashkey_t name_key;
    char epoch[17];
} bus_t;

static const struct {
    const char *name;
    l7s_item_kind_t kind;
} kinds[] = {{"head", L7S_ITEM_HEAD},         {"mode", L7S_ITEM_MODE},
             {"manifest", L7S_ITEM_MANIFEST}, {"chunk", L7S_ITEM_CHUNK},
             {"seat", L7S_ITEM_SEAT},         {"ban", L7S_ITEM_BAN},
             {"incident", L7S_ITEM_INCIDENT}, {"ack", L7S_ITEM_ACK}};

static _Noreturn void fail(const char *what, const char *detail)
{
    fprintf(stderr, "bus_tool: %s: %s\n", what, detail);
    exit(2);
}

static l7s_item_kind_t kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            return kinds[i].kind;
        }
    }
    fail("no such kind", name);
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

static void name_of(const bus_t *bus, l7s_item_kind_t kind, const char *detail,
                    uint64_t index, char out[L7S_ITEM_NAME_MAX])
{
    bool fixed = kind == L7S_ITEM_HEAD || kind == L7S_ITEM_MODE;
    l7s_item_name(&bus->name_key, fixed ? "" : bus->epoch, kind, detail, index, out);
}

/* The payload as a text, malloc'ed; NULL: not there, or its seal does not hold. */
static char *get(bus_t *bus, l7s_item_kind_t kind, const char *detail, uint64_t index)
{
    char name[L7S_ITEM_NAME_MAX];
    void *data = NULL;
    size_t size = 0;
    l7s_item_t item;
    char *text = NULL;
    name_of(bus, kind, detail, index, name);
    if (l7s_pool_get(bus->pool, name, wall_ms(), &data, &size) == L7S_OK &&
        l7s_item_open(bus->trust, kind, name, data, size, wall_ms(), &item) == L7S_OK) {
        text = strndup(item.payload, item.size);
    }
    free(data);
    return text;
}

static l7s_status_t put(bus_t *bus, const l7s_trust_t *trust, l7s_item_kind_t kind,
                        const char *detail, uint64_t index, const char *sender,
                        const char *payload, uint32_t ttl, bool add)
{
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t size = 0;
    name_of(bus, kind, detail, index, name);
    l7s_status_t status = l7s_item_seal(trust, kind, name, sender, false, payload,
                                        strlen(payload), wall_ms(), &item, &size);
    if (status == L7S_OK) {
        status = add ? l7s_pool_add(bus->pool, name, item, size, ttl, wall_ms())
                     : l7s_pool_set(bus->pool, name, item, size, ttl, wall_ms());
    }
    free(item);
    return status;
}

/* Learns the bus epoch. False: there is no head (yet). */
static bool read_epoch(bus_t *bus)
{
    char *text = get(bus, L7S_ITEM_HEAD, "", 0);
    json_t *head = text == NULL ? NULL : json_loads(text, 0, NULL);
    const char *epoch = json_string_value(json_object_get(head, "bus_epoch"));
    if (epoch != NULL) {
        snprintf(bus->epoch, sizeof(bus->epoch), "%s", epoch);
    }
    json_decref(head);
    free(text);
    return epoch != NULL;
}

/* ---- one-shot commands ---- */

/* Prints and frees. */
static int show(char *text)
{
    if (text == NULL) {
        return 1;
    }
    puts(text);
    free(text);
    return 0;
}

static void *fetch(void *context, const char *hash, size_t *size)
{
    bus_t *bus = context;
    char name[L7S_ITEM_NAME_MAX];
    void *data = NULL;
    name_of(bus, L7S_ITEM_CHUNK, hash, 0, name);
    return l7s_pool_get(bus->pool, name, wall_ms(), &data, size) == L7S_OK ? data : NULL;
}

static int show_part(bus_t *bus, const char *wanted)
{
    char *text = get(bus, L7S_ITEM_MANIFEST, "", 0), *part_text = NULL;
    json_t *manifest = text == NULL ? NULL : json_loads(text, 0, NULL);
    size_t index, size;
    json_t *part;
    if (manifest != NULL && l7s_manifest_check(manifest) != L7S_OK) {
        fail("not a manifest", text);
    }
    json_array_foreach(json_object_get(manifest, "parts"), index, part)
    {
        const char *name = json_string_value(json_object_get(part, "name"));
        l7s_status_t status = strcmp(name, wanted) == 0
                                  ? l7s_manifest_part(part, fetch, bus, &part_text, &size)
                                  : L7S_OK;
        if (status != L7S_OK && status != L7S_NOT_FOUND) {
            fail("cannot be put together", name);
        }
    }
    int code = show(part_text);
    json_decref(manifest);
    free(text);
    return code;
}

static int show_bans(bus_t *bus, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        char *text = get(bus, L7S_ITEM_BAN, "", i);
        if (text != NULL) {
            printf("%llu %s\n", (unsigned long long)i, text);
        }
        free(text);
    }
    return 0;
}

static l7s_trust_t *keys_of(const char *folder)
{
    l7s_trust_t *trust = NULL;
    char secret[4096], signing[4096];
    snprintf(secret, sizeof(secret), "%s/secret", folder);
    snprintf(signing, sizeof(signing), "%s/signing.key", folder);
    if (l7s_trust_load(secret, NULL, signing, NULL, &trust) != L7S_OK) {
        fail("cannot read the keys in", folder);
    }
    return trust;
}

static int forge(bus_t *bus, char **arguments)
{
    l7s_trust_t *wrong = keys_of(arguments[3]);
    l7s_status_t status =
        put(bus, wrong, kind_of(arguments[0]), arguments[1],
            strtoull(arguments[2], NULL, 10), "attacker", arguments[4], LOG_TTL, false);
    l7s_trust_free(wrong);
    return status == L7S_OK ? 0 : 2;
}

static int garble(bus_t *bus, char **arguments)
{
    char name[L7S_ITEM_NAME_MAX], data[700];
    memset(data, 0xc3, sizeof(data));
    memcpy(data, "L7B1", 4);
    name_of(bus, kind_of(arguments[0]), arguments[1], strtoull(arguments[2], NULL, 10),
            name);
    return l7s_pool_set(bus->pool, name, data, sizeof(data), LOG_TTL, wall_ms()) == L7S_OK
               ? 0
               : 2;
}

static int show_name(const bus_t *bus, char **arguments)
{
    char name[L7S_ITEM_NAME_MAX];
    name_of(bus, kind_of(arguments[0]), arguments[1], strtoull(arguments[2], NULL, 10),
            name);
    puts(name);
    return 0;
}

static int seal(bus_t *bus, char **arguments)
{
    l7s_trust_t *trust = keys_of(arguments[3]);
    l7s_item_kind_t kind = kind_of(arguments[0]);
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t size = 0;
    uint64_t at_ms = wall_ms() + (uint64_t)strtoll(arguments[5], NULL, 10);
    name_of(bus, kind, arguments[1], strtoull(arguments[2], NULL, 10), name);
    l7s_status_t status =
        l7s_item_seal(trust, kind, name, arguments[4], false, arguments[6],
                      strlen(arguments[6]), at_ms, &item, &size);
    if (status == L7S_OK) {
        status = l7s_pool_set(bus->pool, name, item, size, LOG_TTL, wall_ms());
    }
    free(item);
    l7s_trust_free(trust);
    return status == L7S_OK ? 0 : 2;
}

/* ---- a node ---- */

typedef struct {
    bus_t *bus;
    const char *name;
    json_t *seat;
    uint64_t seat_index;
    uint64_t ban_end, incident_next;
    bool seated, apply;
} node_t;

/* Takes over the revision that the manifest names, as a node would after compiling it. */
static void apply_manifest(node_t *node)
{
    char *text = get(node->bus, L7S_ITEM_MANIFEST, "", 0);
    json_t *manifest = text == NULL ? NULL : json_loads(text, 0, NULL);
    if (manifest != NULL && node->apply) {
        json_object_set(node->seat, "config_epoch",
                        json_object_get(manifest, "config_epoch"));
        json_object_set(node->seat, "revision", json_object_get(manifest, "revision"));
    }
    json_int_t ban_log = json_integer_value(json_object_get(manifest, "ban_log"));
    if (ban_log > 0 && node->ban_end < (uint64_t)ban_log) {
        node->ban_end = (uint64_t)ban_log;
    }
    json_decref(manifest);
    free(text);
}

static void beat(node_t *node)
{
    char before[sizeof(node->bus->epoch)];
    memcpy(before, node->bus->epoch, sizeof(before));
    if (!read_epoch(node->bus) && before[0] == '\0') {
        return;
    }
    if (strcmp(before, node->bus->epoch) != 0) {
        node->seated = false;
        node->ban_end = 1;
    }
    apply_manifest(node);
    char *text = json_dumps(node->seat, JSON_COMPACT);
    if (!node->seated) {
        for (node->seat_index = 0; node->seat_index < 256; node->seat_index++) {
            if (put(node->bus, node->bus->trust, L7S_ITEM_SEAT, "", node->seat_index,
                    node->name, text, SEAT_TTL, true) == L7S_OK) {
                node->seated = true;
                break;
            }
        }
    } else {
        (void)!put(node->bus, node->bus->trust, L7S_ITEM_SEAT, "", node->seat_index,
                   node->name, text, SEAT_TTL, false);
    }
    free(text);
}

static void answer(const char *name, uint64_t value)
{
    printf("{\"%s\":%llu}\n", name, (unsigned long long)value);
    fflush(stdout);
}

static void set_log(node_t *node, uint64_t first)
{
    json_object_set_new(node->seat, "incident_log",
                        json_pack("{s:I, s:I}", "first", (json_int_t)first, "next",
                                  (json_int_t)node->incident_next));
}

static void add_incident(node_t *node, const char *payload)
{
    l7s_status_t status = put(node->bus, node->bus->trust, L7S_ITEM_INCIDENT, node->name,
                              node->incident_next, node->name, payload, LOG_TTL, true);
    uint64_t index = node->incident_next;
    json_t *log = json_object_get(node->seat, "incident_log");
    uint64_t first = (uint64_t)json_integer_value(json_object_get(log, "first"));
    /* Counted also when it could not be added: that is how a spool behaves. */
    node->incident_next++;
    set_log(node, first);
    beat(node);
    answer(status == L7S_OK ? "index" : "conflict", index);
}

/* "INDEX JSON": says an entry again, unless it stands there. */
static void add_again(node_t *node, const char *line)
{
    char *end;
    uint64_t index = strtoull(line, &end, 10);
    l7s_status_t status = put(node->bus, node->bus->trust, L7S_ITEM_INCIDENT, node->name,
                              index, node->name, end + 1, LOG_TTL, true);
    answer(status == L7S_OK ? "index" : "conflict", index);
}

static void add_ban(node_t *node, const char *payload)
{
    for (unsigned i = 0; i < TRIES; i++) {
        l7s_status_t status = put(node->bus, node->bus->trust, L7S_ITEM_BAN, "",
                                  node->ban_end, node->name, payload, LOG_TTL, true);
        if (status != L7S_CONFLICT) {
            answer(status == L7S_OK ? "index" : "failed", node->ban_end);
            return;
        }
        node->ban_end++;
    }
    answer("failed", node->ban_end);
}

static void show_ack(node_t *node)
{
    char *text = get(node->bus, L7S_ITEM_ACK, node->name, 0);
    json_t *ack = text == NULL ? NULL : json_loads(text, 0, NULL);
    answer("sequence", (uint64_t)json_integer_value(json_object_get(ack, "sequence")));
    json_decref(ack);
    free(text);
}

static void set_member(node_t *node, char *line)
{
    char *space = strchr(line, ' ');
    json_t *value = NULL;
    if (space != NULL) {
        *space = '\0';
        value = json_loads(space + 1, JSON_DECODE_ANY, NULL);
    }
    if (value == NULL) {
        fail("not JSON", line);
    }
    json_object_set_new(node->seat, line, value);
    json_t *log = json_object_get(node->seat, "incident_log");
    node->incident_next = (uint64_t)json_integer_value(json_object_get(log, "next"));
    beat(node);
    answer("seat", node->seat_index);
}

/* False: the node stops. */
static bool obey(node_t *node, char *line)
{
    if (strncmp(line, "incident ", 9) == 0) {
        add_incident(node, line + 9);
    } else if (strncmp(line, "resend ", 7) == 0) {
        add_again(node, line + 7);
    } else if (strncmp(line, "ban ", 4) == 0) {
        add_ban(node, line + 4);
    } else if (strncmp(line, "at ", 3) == 0) {
        node->ban_end = strtoull(line + 3, NULL, 10);
        answer("index", node->ban_end);
    } else if (strcmp(line, "ack") == 0) {
        show_ack(node);
    } else if (strncmp(line, "set ", 4) == 0) {
        set_member(node, line + 4);
    } else if (strncmp(line, "apply ", 6) == 0) {
        node->apply = strcmp(line + 6, "on") == 0;
        beat(node);
        answer("seat", node->seat_index);
    } else if (strcmp(line, "quit") == 0) {
        char name[L7S_ITEM_NAME_MAX];
        name_of(node->bus, L7S_ITEM_SEAT, "", node->seat_index, name);
        (void)!l7s_pool_delete(node->bus->pool, name, wall_ms());
        answer("seat", node->seat_index);
        return false;
    } else {
        fail("no such line", line);
    }
    return true;
}

static json_t *first_seat(const char *name)
{
    return json_pack(
        "{s:s, s:s, s:s, s:[s], s:I, s:i, s:i, s:s, s:s, s:[s], s:{s:i, s:i},"
        " s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i}, s:{}, s:{s:i}}",
        "name", name, "instance", "0123456789abcdef", "version", "0.1.0", "features",
        "spine", "started_ms", (json_int_t)wall_ms(), "config_epoch", 0, "revision", 0,
        "mode", "enforce", "because", "default", "secret_ids", "k1", "incident_log",
        "first", 1, "next", 1, "health", "keys", 12, "capacity", 1000, "live_evictions",
        0, "bans_dropped", 0, "sync_lag_ms", 15, "workers_busy", 3, "workers_total", 16,
        "policies", "verdicts", "admitted", 7);
}

static int be_node(bus_t *bus, const char *name)
{
    static char line[LINE_BYTES];
    size_t used = 0;
    node_t node = {bus, name, first_seat(name), 0, 1, 1, false, true};
    uint64_t due_ms = 0;
    for (;;) {
        uint64_t now = read_clock(CLOCK_MONOTONIC);
        if (now >= due_ms) {
            beat(&node);
            due_ms = now + BEAT_MS;
        }
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, (int)(due_ms - now)) <= 0) {
            continue;
        }
        ssize_t got = read(STDIN_FILENO, line + used, 1);
        if (got <= 0 || used + 2 > sizeof(line)) {
            break;
        }
        if (line[used] != '\n') {
            used++;
            continue;
        }
        line[used] = '\0';
        used = 0;
        if (!obey(&node, line)) {
            break;
        }
    }
    json_decref(node.seat);
    return 0;
}

/* ---- */

static int command(bus_t *bus, int count, char **arguments)
{
    const char *verb = arguments[0];
    if (strcmp(verb, "node") == 0 && count == 2) {
        return be_node(bus, arguments[1]);
    }
    bool has_epoch = read_epoch(bus);
    if (strcmp(verb, "get") == 0 && count == 2) {
        return show(get(bus, kind_of(arguments[1]), "", 0));
    }
    if (!has_epoch) {
        return 1;
    }
    if (strcmp(verb, "part") == 0 && count == 2) {
        return show_part(bus, arguments[1]);
    }
    if (strcmp(verb, "bans") == 0 && count == 3) {
        return show_bans(bus, strtoull(arguments[1], NULL, 10),
                         strtoull(arguments[2], NULL, 10));
    }
    if (strcmp(verb, "forge") == 0 && count == 6) {
        return forge(bus, arguments + 1);
    }
    if (strcmp(verb, "garble") == 0 && count == 4) {
        return garble(bus, arguments + 1);
    }
    if (strcmp(verb, "name") == 0 && count == 4) {
        return show_name(bus, arguments + 1);
    }
    if (strcmp(verb, "seal") == 0 && count == 8) {
        return seal(bus, arguments + 1);
    }
    fail(verb, usage);
}

int main(int argc, char **argv)
{
    bus_t bus = {.trust = NULL};
    char why[256] = "";
    const char *servers[L7S_SERVERS_MAX];
    size_t count = 0;
    sigset_t all;
    if (argc < 5) {
        fail("usage", usage);
    }
    for (char *at = strtok(argv[1], ","); at != NULL && count < L7S_SERVERS_MAX;
         at = strtok(NULL, ",")) {
        servers[count++] = at;
    }
    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (l7s_trust_load(argv[2], argv[3], NULL, why, &bus.trust) != L7S_OK ||
        l7s_trust_name_key(bus.trust, l7s_trust_secret_id(bus.trust), &bus.name_key) !=
            L7S_OK ||
        l7s_pool_create(servers, count, 500, &bus.pool) != L7S_OK) {
        fail("cannot start", why);
    }
    int code = command(&bus, argc - 4, argv + 4);
    l7s_pool_free(bus.pool);
    l7s_trust_free(bus.trust);
    return code;
}
