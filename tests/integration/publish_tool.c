/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's part of the bus, for tests of nodes alone: signs what it is told and keeps
 * nothing. Usage:
 *   publish_tool init FOLDER           writes secret, trust and signing key there
 *   publish_tool serve FOLDER MEMCACHED…   obeys lines, answers each with a line of JSON:
 *     epoch HEX16 CONFIG_EPOCH         the head; everything after it goes there
 *     config REVISION FILE             a manifest of FILE ({"policies":…,"lists":…,…})
 *     bans GENERATION FIRST JSON       from the next config on; {"bans":[…]}
 *     mode MODE EPOCH NUMBER UNTIL_MS  the mode item
 *     ban INDEX JSON                   an entry of the ban log, signed by the daemon
 *     ack NODE SEQUENCE
 *     seats · log INDEX · incident NODE SEQUENCE   what stands there
 */
#include "../../core/bus/manifest.h"
#include "../../core/json/config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_BYTES (256 * 1024)
#define SEATS 256

typedef struct {
    l7s_trust_t *trust;
    l7s_pool_t *pool;
    l7s_hashkey_t name_key;
    char bus_epoch[17];
    uint64_t config_epoch, bans_generation, ban_log;
    char *bans; /* text of the part */
} tool_t;

static uint64_t wall_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static _Noreturn void fail(const char *what, const char *detail)
{
    fprintf(stderr, "publish_tool: %s: %s\n", what, detail);
    exit(2);
}

static void must(l7s_status_t status, const char *what)
{
    if (status != L7S_OK) {
        fail(what, l7s_status_name(status));
    }
}

static void answer(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(json);
}

static void name_of(const tool_t *tool, l7s_item_kind_t kind, const char *detail,
                    uint64_t index, char out[L7S_ITEM_NAME_MAX])
{
    bool fixed = kind == L7S_ITEM_HEAD || kind == L7S_ITEM_MODE;

    l7s_item_name(&tool->name_key, fixed ? "" : tool->bus_epoch, kind, detail, index,
                  out);
}

static void put(tool_t *tool, l7s_item_kind_t kind, const char *detail, uint64_t index,
                const char *payload)
{
    char name[L7S_ITEM_NAME_MAX];
    void *item = NULL;
    size_t size = 0;

    name_of(tool, kind, detail, index, name);
    must(l7s_item_seal(tool->trust, kind, name, "publish_tool", true, payload,
                       strlen(payload), wall_ms(), &item, &size),
         "seal");
    must(l7s_pool_set(tool->pool, name, item, size, 0, wall_ms()), "set");
    free(item);
}

/* The payload of an item, parsed; null when it is not there or does not open. */
static json_t *get(tool_t *tool, l7s_item_kind_t kind, const char *detail, uint64_t index)
{
    char name[L7S_ITEM_NAME_MAX];
    void *value = NULL;
    size_t size = 0;
    l7s_item_t item;
    json_t *out = NULL;

    name_of(tool, kind, detail, index, name);
    if (l7s_pool_get(tool->pool, name, wall_ms(), &value, &size) == L7S_OK &&
        l7s_item_open(tool->trust, kind, name, value, size, wall_ms(), &item) == L7S_OK) {
        out = json_loadb(item.payload, item.size, 0, NULL);
    }
    free(value);
    return out == NULL ? json_null() : out;
}

static void add_part(tool_t *tool, json_t *parts, const char *name, const char *text)
{
    l7s_chunk_t *chunks = NULL;
    size_t count = 0;
    char item[L7S_ITEM_NAME_MAX];

    must(l7s_manifest_add(parts, name, text, strlen(text), &chunks, &count), "part");
    for (size_t i = 0; i < count; i++) {
        name_of(tool, L7S_ITEM_CHUNK, chunks[i].hash, 0, item);
        must(l7s_pool_set(tool->pool, item, chunks[i].data, chunks[i].size, 0, wall_ms()),
             "chunk");
    }
    l7s_chunks_free(chunks, count);
}

static void add_lists(tool_t *tool, json_t *parts, json_t *document)
{
    json_t *lists = json_incref(json_object_get(document, "lists")), *list;
    size_t i;

    json_object_del(document, "lists");
    json_array_foreach(lists, i, list)
    {
        char name[96];
        json_t *part = json_pack("{s:[O]}", "lists", list);
        char *text = json_dumps(part, JSON_COMPACT);

        snprintf(name, sizeof name, "list/%s",
                 json_string_value(json_object_get(list, "name")));
        add_part(tool, parts, name, text);
        free(text);
        json_decref(part);
    }
    json_decref(lists);
}

static void publish(tool_t *tool, uint64_t revision, const char *path)
{
    json_t *document = json_load_file(path, 0, NULL);
    json_t *parts = json_array();

    if (document == NULL) {
        fail("config", path);
    }
    add_lists(tool, parts, document);
    char *text = json_dumps(document, JSON_COMPACT);
    add_part(tool, parts, "policies", text);
    free(text);
    add_part(tool, parts, "bans", tool->bans);
    json_t *manifest =
        json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:o}", "config_epoch",
                  (json_int_t)tool->config_epoch, "revision", (json_int_t)revision,
                  "secret_id", l7s_trust_secret_id(tool->trust), "bans_generation",
                  (json_int_t)tool->bans_generation, "ban_log", (json_int_t)tool->ban_log,
                  "published_ms", (json_int_t)wall_ms(), "parts", parts);
    text = json_dumps(manifest, JSON_COMPACT);
    put(tool, L7S_ITEM_MANIFEST, "", 0, text);
    free(text);
    json_decref(manifest);
    json_decref(document);
}

static void begin_epoch(tool_t *tool, const char *bus_epoch, const char *config_epoch)
{
    char text[128];

    snprintf(tool->bus_epoch, sizeof tool->bus_epoch, "%s", bus_epoch);
    tool->config_epoch = strtoull(config_epoch, NULL, 10);
    snprintf(text, sizeof text, "{\"bus_epoch\":\"%s\",\"config_epoch\":%s}", bus_epoch,
             config_epoch);
    put(tool, L7S_ITEM_HEAD, "", 0, text);
}

static void remember_bans(tool_t *tool, const char *generation, const char *first,
                          const char *text)
{
    tool->bans_generation = strtoull(generation, NULL, 10);
    tool->ban_log = strtoull(first, NULL, 10);
    free(tool->bans);
    tool->bans = strdup(text);
}

static void put_mode(tool_t *tool, char **words)
{
    char text[128];

    snprintf(text, sizeof text, "%s %s %s %s\n", words[1], words[2], words[3], words[4]);
    put(tool, L7S_ITEM_MODE, "", 0, text);
}

static void put_ack(tool_t *tool, const char *node, const char *sequence)
{
    char text[256];

    snprintf(text, sizeof text, "{\"node\":\"%s\",\"sequence\":%s}", node, sequence);
    put(tool, L7S_ITEM_ACK, node, 0, text);
}

static json_t *seats(tool_t *tool)
{
    json_t *out = json_array();

    for (unsigned i = 0; i < SEATS; i++) {
        json_t *seat = get(tool, L7S_ITEM_SEAT, "", i);
        if (!json_is_null(seat)) {
            json_array_append(out, seat);
        }
        json_decref(seat);
    }
    return out;
}

#define WORDS 5

/* The last word takes the rest of the line. */
static unsigned split(char *line, char **words)
{
    unsigned limit = strncmp(line, "bans ", 5) == 0  ? 4
                     : strncmp(line, "ban ", 4) == 0 ? 3
                                                     : WORDS;
    unsigned count = 0;

    line[strcspn(line, "\n")] = '\0';
    while (*line != '\0' && count < limit) {
        words[count++] = line;
        char *blank = count < limit ? strchr(line, ' ') : NULL;
        if (blank == NULL) {
            break;
        }
        *blank = '\0';
        line = blank + 1;
    }
    return count;
}

static json_t *obey(tool_t *tool, char **words, unsigned count)
{
    const char *verb = words[0];

    if (strcmp(verb, "epoch") == 0 && count == 3) {
        begin_epoch(tool, words[1], words[2]);
    } else if (strcmp(verb, "config") == 0 && count == 3) {
        publish(tool, strtoull(words[1], NULL, 10), words[2]);
    } else if (strcmp(verb, "bans") == 0 && count == 4) {
        remember_bans(tool, words[1], words[2], words[3]);
    } else if (strcmp(verb, "mode") == 0 && count == 5) {
        put_mode(tool, words);
    } else if (strcmp(verb, "ban") == 0 && count == 3) {
        put(tool, L7S_ITEM_BAN, "", strtoull(words[1], NULL, 10), words[2]);
    } else if (strcmp(verb, "ack") == 0 && count == 3) {
        put_ack(tool, words[1], words[2]);
    } else if (strcmp(verb, "seats") == 0) {
        return seats(tool);
    } else if (strcmp(verb, "log") == 0 && count == 2) {
        return get(tool, L7S_ITEM_BAN, "", strtoull(words[1], NULL, 10));
    } else if (strcmp(verb, "incident") == 0 && count == 3) {
        return get(tool, L7S_ITEM_INCIDENT, words[1], strtoull(words[2], NULL, 10));
    } else {
        return json_pack("{s:s}", "error", verb);
    }
    return json_object();
}

static void keys_of(const char *folder, char secret[512], char trust[512],
                    char signing[512])
{
    snprintf(secret, 512, "%s/secret", folder);
    snprintf(trust, 512, "%s/trust", folder);
    snprintf(signing, 512, "%s/signing", folder);
}

static int serve(const char *folder, const char *const *servers, size_t count)
{
    static char line[LINE_BYTES];
    char secret[512], trust[512], signing[512], why[256] = "", *words[WORDS];
    tool_t tool = {.bans = strdup("{\"bans\":[]}"), .ban_log = 1};

    keys_of(folder, secret, trust, signing);
    if (l7s_trust_load(secret, trust, signing, why, &tool.trust) != L7S_OK) {
        fail("keys", why);
    }
    must(l7s_trust_name_key(tool.trust, l7s_trust_secret_id(tool.trust), &tool.name_key),
         "name key");
    must(l7s_pool_create(servers, count, 500, &tool.pool), "memcached");
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned words_count = split(line, words);
        if (words_count > 0) {
            answer(obey(&tool, words, words_count));
        }
    }
    l7s_pool_free(tool.pool);
    l7s_trust_free(tool.trust);
    free(tool.bans);
    return 0;
}

int main(int argc, char **argv)
{
    char secret[512], trust[512], signing[512], why[256] = "";
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGTERM);
    sigdelset(&all, SIGINT);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (argc == 3 && strcmp(argv[1], "init") == 0) {
        keys_of(argv[2], secret, trust, signing);
        if (l7s_trust_create(secret, trust, signing, why) != L7S_OK) {
            fail("init", why);
        }
        return 0;
    }
    if (argc >= 4 && strcmp(argv[1], "serve") == 0) {
        return serve(argv[2], (const char *const *)argv + 3, (size_t)argc - 3);
    }
    fprintf(stderr, "usage: publish_tool init FOLDER | serve FOLDER MEMCACHED…\n");
    return 2;
}
