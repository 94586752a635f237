/* SPDX-License-Identifier: Apache-2.0
 *
 * See policy_file.h. After a change the file must stay the same for one tick before it is
 * read, so that an editor that writes in place is not caught in the middle of it.
 */
#include "policy_file.h"
#include "../../core/bus/manifest.h"
#include "../../core/compile/compile.h"
#include "file.h"
#include "log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sync_policy_file {
    const char *path;
    sync_stamp_t seen;   /* at the last tick */
    sync_stamp_t loaded; /* of the version that was read last */
    bool tried;
    l7s_config_t *pending; /* good, but the arena is not free yet */
};

l7s_status_t sync_policy_file_create(const char *path, sync_policy_file_t **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return L7S_NO_MEMORY;
    }
    (*out)->path = path;
    return L7S_OK;
}

void sync_policy_file_free(sync_policy_file_t *file)
{
    if (file != NULL) {
        l7s_config_free(file->pending);
        free(file);
    }
}

/* Reads and parses. On failure `problems` says everything that is wrong. */
static l7s_config_t *load(const char *path, l7s_problems_t *problems)
{
    l7s_config_t *config = NULL;
    char *text = NULL;
    size_t size = 0;

    errno = 0;
    l7s_status_t status = sync_file_read(path, L7S_SNAPSHOT_MAX, &text, &size);
    if (status != L7S_OK) {
        l7s_problems_add(problems, "", "unreadable", "cannot be read: %s",
                         status == L7S_TOO_BIG ? "it is larger than 64 MiB"
                                               : strerror(errno));
        return NULL;
    }
    json_t *document = l7s_json_read(text, size, problems);
    free(text);
    if (document == NULL) {
        return NULL;
    }
    status = l7s_config_parse(document, problems, &config);
    json_decref(document);
    if (status != L7S_OK && problems->count == 0) {
        l7s_problems_add(problems, "", l7s_status_name(status), "cannot be used: %s",
                         l7s_status_name(status));
    }
    return status == L7S_OK ? config : NULL;
}

static void offer(sync_policy_file_t *file, sync_publisher_t *publisher,
                  const l7s_shared_t *shared, l7s_now_t now)
{
    l7s_segment_t *header = shared->header;
    uint64_t revision = atomic_load(&header->revision) + 1;
    l7s_status_t status;

    file->pending->is_alone = true;
    status = sync_publisher_offer(publisher, file->pending, &header->boot_count_key, 0,
                                  revision, now);

    if (status == L7S_TIMEOUT) {
        return;
    }
    if (status != L7S_OK) {
        l7s_config_free(file->pending);
    }
    file->pending = NULL;
}

void sync_policy_file_tick(sync_policy_file_t *file, sync_publisher_t *publisher,
                           const l7s_shared_t *shared, l7s_now_t now)
{
    sync_stamp_t stamp = sync_file_stamp(file->path);
    bool settled = !file->tried || sync_stamp_same(&stamp, &file->seen);
    bool news = !file->tried || !sync_stamp_same(&stamp, &file->loaded);

    file->seen = stamp;
    if (settled && news) {
        l7s_problems_t problems = {0};
        l7s_config_t *config = load(file->path, &problems);
        file->tried = true;
        file->loaded = stamp;
        if (config == NULL) {
            sync_log_problems("L7S2010", file->path, &problems);
            sync_log(SYNC_ERROR, "L7S2011", "%s is refused; %s", file->path,
                     sync_publisher_image(publisher) != NULL
                         ? "the policies in force stay"
                         : "there are no policies in force");
        } else {
            l7s_config_free(file->pending);
            file->pending = config;
        }
    }
    if (file->pending != NULL) {
        offer(file, publisher, shared, now);
    }
}

/* What can only be seen when it is compiled. Capacity 0 asks for the size alone. */
static void check_compiles(const l7s_config_t *config, l7s_problems_t *problems)
{
    const l7s_hashkey_t key = {1, 2};
    uint64_t next_expiry_ms = 0;
    size_t size = 0;
    l7s_status_t status =
        l7s_image_compile(config, &key, 1, 1, NULL, NULL, 0, &size, &next_expiry_ms);

    if (status != L7S_OK && status != L7S_TOO_BIG) {
        l7s_problems_add(problems, "", l7s_status_name(status), "cannot be compiled: %s",
                         status == L7S_INVALID ? "its regular expressions, parameters or "
                                                 "cookies are too many or too complex "
                                                 "together"
                                               : l7s_status_name(status));
    }
}

int sync_policy_file_check(const char *path)
{
    l7s_problems_t problems = {0};
    l7s_config_t *config = load(path, &problems);

    if (config != NULL) {
        check_compiles(config, &problems);
    }
    l7s_config_free(config);
    for (size_t i = 0; i < problems.count; i++) {
        const l7s_problem_t *problem = &problems.items[i];
        (void)fprintf(stderr, "%s%s%s\n", problem->pointer,
                      problem->pointer[0] != '\0' ? ": " : "", problem->message);
    }
    if (problems.dropped > 0) {
        (void)fprintf(stderr, ": and %zu problems more\n", problems.dropped);
    }
    return problems.count == 0 ? 0 : 1;
}
