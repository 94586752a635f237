/* SPDX-License-Identifier: Apache-2.0
 *
 * Apps in an image: the declared ones as bits of the index, in the order in which a
 * request belongs to them, and behind them those that are only named.
 */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

static uint32_t find_app(l7s_compiler_t *compiler, const char *name)
{
    l7s_builder_t *builder = &compiler->builder;
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_APPS);
    const char *texts = l7s_builder_at(builder, L7S_SECTION_TEXT, 0);
    const l7s_image_app_t *apps = l7s_builder_at(builder, L7S_SECTION_APPS, 0);

    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        if (strcmp(texts + apps[i].name, name) == 0) {
            return i;
        }
    }
    return L7S_NONE;
}

static uint32_t add_app(l7s_compiler_t *compiler, const char *name, l7s_mode_t mode)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_app_t app = {.mode = mode};
    uint32_t index;

    app.name = l7s_builder_text(builder, name);
    app.set = l7s_builder_set(builder);
    index = l7s_builder_add(builder, L7S_SECTION_APPS, &app, 1);
    l7s_draft_add(builder, &compiler->app_names, name, strlen(name), index, false);
    return index;
}

l7s_run_t l7s_compiler_app_refs(l7s_compiler_t *compiler, const l7s_strings_t *names)
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < names->count; i++) {
        uint32_t at, index = find_app(compiler, names->items[i]);
        if (index == L7S_NONE) {
            index = add_app(compiler, names->items[i], L7S_MODE_ENFORCE);
        }
        at = l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, &index, 1);
        run.first = run.count++ == 0 ? at : run.first;
    }
    compiler->builder.head.needs_app |= names->count > 0;
    return run;
}

static size_t longest(const l7s_strings_t *strings)
{
    size_t most = 0;

    for (size_t i = 0; i < strings->count; i++) {
        size_t length = strlen(strings->items[i]);
        most = length > most ? length : most;
    }
    return most;
}

/* The app with the longer path, then the longer host, is the more specific one. */
static int by_specificity(const void *left, const void *right)
{
    const l7s_app_t *a = *(const l7s_app_t *const *)left;
    const l7s_app_t *b = *(const l7s_app_t *const *)right;
    size_t path_a = longest(&a->paths), path_b = longest(&b->paths);
    size_t host_a = longest(&a->hosts), host_b = longest(&b->hosts);

    if (path_a != path_b) {
        return path_a > path_b ? -1 : 1;
    }
    if (host_a != host_b) {
        return host_a > host_b ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

void l7s_compiler_add_apps(l7s_compiler_t *compiler)
{
    static const l7s_strings_t any_method = {0, NULL};
    size_t count = compiler->config->app_count;
    const l7s_app_t **apps = calloc(count + 1, sizeof *apps);
    l7s_builder_t *builder = &compiler->builder;

    if (apps == NULL) {
        builder->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        apps[i] = &compiler->config->apps[i];
    }
    qsort(apps, count, sizeof *apps, by_specificity);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = add_app(compiler, apps[i]->name, apps[i]->mode);
        l7s_run_t globs =
            l7s_builder_texts(&compiler->builder, &apps[i]->paths, l7s_index_is_complex);
        if (!builder->failed) {
            l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, index);
            app->paths = globs;
        }
        l7s_index_add(&compiler->index, compiler->policy_count + index, &any_method,
                      &apps[i]->hosts, &apps[i]->paths);
        l7s_client_add_any(&compiler->clients, compiler->policy_count + index);
    }
    builder->head.needs_app |= count > 0;
    free(apps);
}

void l7s_compiler_finish_apps(l7s_compiler_t *compiler)
{
    l7s_builder_t *builder = &compiler->builder;
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_APPS);

    compiler->builder.head.app_names = l7s_draft_names(builder, &compiler->app_names);
    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        const l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, i);
        uint64_t *set = l7s_builder_at(builder, L7S_SECTION_SETS, app->set);
        const uint64_t *any =
            l7s_builder_at(builder, L7S_SECTION_SETS, builder->head.any_app);
        for (uint32_t w = 0; w < builder->head.words; w++) {
            set[w] |= any[w];
        }
    }
}
