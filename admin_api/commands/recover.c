/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd recover --from-node-state FOLDER (commands.h): when the data directory is
 * lost and there is no backup, the fleet itself still knows its configuration. Every
 * object passes the same checks as one that comes through the API; tokens, history,
 * incidents and what only the daemon used are not on a node and come from nowhere.
 */
#include "../../core/json/config.h"
#include "../store/store_objects.h"
#include "../worker.h"
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)65 << 20) /* as much as a node writes */
#define CHANGES_MAX 8192

static const struct {
    const char *kind, *member;
} kinds[] = {{"policy", "policies"},
             {"list", "lists"},
             {"app", "apps"},
             {"response", "responses"}};

typedef struct {
    size_t count;
    admin_change_t changes[CHANGES_MAX]; /* borrow from the document */
    l7s_problems_t problems;
} found_t;

static json_t *read_snapshot(const char *folder, char why[256])
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/snapshot.json", folder);
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(FILE_MAX);
    size_t size = text == NULL ? 0 : fread(text, 1, FILE_MAX, file);
    json_t *document = size == 0 ? NULL : l7s_json_read(text, size, NULL);
    if (document == NULL) {
        snprintf(why, 256, "%.200s: %s", path,
                 file == NULL ? strerror(errno) : "is no snapshot of a node");
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return document;
}

static void take_object(found_t *found, const char *kind, json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    if (name == NULL || found->count == CHANGES_MAX) {
        l7s_problems_add(&found->problems, "", "unreadable", "a %s without a name", kind);
        return;
    }
    l7s_problems_t problems = {.count = 0};
    l7s_status_t status = l7s_object_check(kind, name, object, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        const l7s_problem_t *problem = &problems.items[i];
        l7s_problems_add(&found->problems, "", "left_out", "%s \"%.63s\": %.60s%s%s",
                         kind, name, problem->pointer,
                         problem->pointer[0] == '\0' ? "" : ": ", problem->message);
    }
    if (status == L7S_OK) {
        found->changes[found->count++] =
            (admin_change_t){.kind = kind, .name = name, .spec = object};
    }
}

static void take_part(found_t *found, const json_t *part)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t index;
        json_t *object;
        json_array_foreach(json_object_get(part, kinds[i].member), index, object)
        {
            take_object(found, kinds[i].kind, object);
        }
    }
    json_t *settings = json_object_get(part, "settings");
    if (json_is_object(settings) && found->count < CHANGES_MAX) {
        found->changes[found->count++] =
            (admin_change_t){.kind = "settings", .name = "settings", .spec = settings};
    }
}

static uint64_t epoch_of(const json_t *document)
{
    json_int_t seen =
        json_integer_value(json_array_get(json_object_get(document, "seen"), 0));
    json_int_t head = json_integer_value(json_object_get(document, "head_epoch"));
    json_int_t highest = seen > head ? seen : head;
    return highest > 0 ? (uint64_t)highest : 0;
}

static l7s_status_t write_all(admin_store_t *store, const found_t *found,
                              const char *folder)
{
    char reason[512];
    int64_t revision;
    admin_origin_t origin = {
        .author = "recover", .reason = reason, .now_ms = admin_wall_ms()};
    snprintf(reason, sizeof(reason), "recovered from %.400s", folder);
    l7s_status_t status = admin_store_begin(store, ADMIN_CONFIG_DB);
    if (status != L7S_OK) {
        return status;
    }
    status =
        admin_revision_write(store, found->changes, found->count, &origin, &revision);
    return admin_store_end(store, ADMIN_CONFIG_DB, status);
}

/* Into a store that has never held anything. */
static l7s_status_t fill(const admin_options_t *options, const json_t *document,
                         const found_t *found, char why[256])
{
    admin_store_t *store = NULL;
    l7s_status_t status = admin_store_open(options->data_dir, why, &store);
    if (status != L7S_OK) {
        return status;
    }
    why[0] = '\0';
    if (admin_store_revision(store) != 0) {
        snprintf(why, 256, "%.180s holds a configuration already", options->data_dir);
        status = L7S_CONFLICT;
    }
    if (status == L7S_OK) {
        status = write_all(store, found, options->of_command.from_node_state);
    }
    if (status == L7S_OK) {
        printf("recovered %zu objects from %s\n", found->count,
               options->of_command.from_node_state);
        status = admin_begin_epoch(options, store, epoch_of(document));
    }
    admin_store_close(store);
    return status;
}

static l7s_status_t recover(const admin_options_t *options, found_t *found, char why[256])
{
    const char *name;
    json_t *part;
    json_t *document = read_snapshot(options->of_command.from_node_state, why);
    if (document == NULL) {
        return L7S_INVALID;
    }
    json_object_foreach(json_object_get(document, "parts"), name, part)
    {
        take_part(found, part);
    }
    for (size_t i = 0; i < found->problems.count; i++) {
        fprintf(stderr, "l7shieldd recover: left out: %s\n",
                found->problems.items[i].message);
    }
    l7s_status_t status = L7S_INVALID;
    if (found->count == 0) {
        snprintf(why, 256, "the node had nothing in force");
    } else {
        status = fill(options, document, found, why);
    }
    json_decref(document);
    return status;
}

int admin_recover(const admin_options_t *options)
{
    char why[256] = "";
    if (options->of_command.from_node_state == NULL) {
        fprintf(stderr, "l7shieldd recover: --from-node-state FOLDER is needed\n");
        return 2;
    }
    found_t *found = calloc(1, sizeof(*found));
    l7s_status_t status = found == NULL ? L7S_NO_MEMORY : recover(options, found, why);
    free(found);
    if (status != L7S_OK) {
        fprintf(stderr, "l7shieldd recover: %s\n",
                why[0] == '\0' ? l7s_status_name(status) : why);
    }
    return status == L7S_OK ? 0 : 1;
}
