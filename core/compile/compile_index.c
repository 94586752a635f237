/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs and names to hash tables of sets. A path without a star is a key of the exact
 * table; "/a/b" and two stars below it is the prefix "/a/b", found while walking the
 * path's segments; any other glob is filed under the segments before its first star,
 * as "maybe".
 */
#include "compile_index.h"

#include <string.h>

void l7s_index_begin(l7s_index_draft_t *index, l7s_builder_t *builder)
{
    memset(index, 0, sizeof *index);
    index->builder = builder;
    index->hosts.backward = true;
    index->suffixes.backward = true;
    l7s_builder_set(builder); /* the empty one */
    builder->head.any_method = l7s_builder_set(builder);
    builder->head.any_host = l7s_builder_set(builder);
    builder->head.any_path = l7s_builder_set(builder);
    builder->head.any_path_maybe = l7s_builder_set(builder);
    builder->head.any_app = l7s_builder_set(builder);
    builder->head.plain = l7s_builder_set(builder);
}

static void add_methods(l7s_index_draft_t *index, uint32_t bit,
                        const l7s_strings_t *methods)
{
    if (methods->count == 0) {
        l7s_builder_set_bit(index->builder, index->builder->head.any_method, bit);
    }
    for (size_t i = 0; i < methods->count; i++) {
        const char *method = methods->items[i];
        l7s_draft_add(index->builder, &index->methods, method, strlen(method), bit,
                      false);
    }
}

static void add_hosts(l7s_index_draft_t *index, uint32_t bit, const l7s_strings_t *hosts)
{
    if (hosts->count == 0) {
        l7s_builder_set_bit(index->builder, index->builder->head.any_host, bit);
    }
    for (size_t i = 0; i < hosts->count; i++) {
        const char *host = hosts->items[i];
        if (strncmp(host, "*.", 2) == 0) {
            l7s_draft_add(index->builder, &index->suffixes, host + 2, strlen(host + 2),
                          bit, false);
        } else {
            l7s_draft_add(index->builder, &index->hosts, host, strlen(host), bit, false);
        }
    }
}

/* Length of "/a/b" in a glob that is this and everything below it; else SIZE_MAX. */
static size_t subtree_length(const char *glob)
{
    size_t length = strlen(glob);
    const char *star = strchr(glob, '*');

    return star != NULL && length >= 3 && star == glob + length - 2 &&
                   strcmp(star - 1, "/**") == 0
               ? length - 3
               : SIZE_MAX;
}

bool l7s_index_is_complex(const char *glob)
{
    return strchr(glob, '*') != NULL && subtree_length(glob) == SIZE_MAX;
}

static void add_prefix(l7s_index_draft_t *index, uint32_t bit, const char *glob,
                       size_t length, bool maybe)
{
    const l7s_image_t *head = &index->builder->head;

    if (length > 0) {
        l7s_draft_add(index->builder, &index->prefixes, glob, length, bit, maybe);
    } else {
        l7s_builder_set_bit(index->builder, maybe ? head->any_path_maybe : head->any_path,
                            bit);
    }
}

static void add_path(l7s_index_draft_t *index, uint32_t bit, const char *glob)
{
    const char *star = strchr(glob, '*');
    size_t subtree = subtree_length(glob);

    if (star == NULL) {
        l7s_draft_add(index->builder, &index->paths, glob, strlen(glob), bit, false);
    } else if (subtree != SIZE_MAX) {
        add_prefix(index, bit, glob, subtree, false);
    } else {
        size_t length = (size_t)(star - glob);
        while (length > 0 && glob[length] != '/') {
            length--;
        }
        add_prefix(index, bit, glob, length, true);
    }
}

void l7s_index_add(l7s_index_draft_t *index, uint32_t bit, const l7s_strings_t *methods,
                   const l7s_strings_t *hosts, const l7s_strings_t *paths)
{
    add_methods(index, bit, methods);
    add_hosts(index, bit, hosts);
    if (paths->count == 0) {
        l7s_builder_set_bit(index->builder, index->builder->head.any_path, bit);
    }
    for (size_t i = 0; i < paths->count; i++) {
        add_path(index, bit, paths->items[i]);
    }
}

void l7s_index_finish(l7s_index_draft_t *index)
{
    l7s_image_t *head = &index->builder->head;

    head->methods = l7s_draft_sets(index->builder, &index->methods);
    head->hosts = l7s_draft_sets(index->builder, &index->hosts);
    head->suffixes = l7s_draft_sets(index->builder, &index->suffixes);
    head->paths = l7s_draft_sets(index->builder, &index->paths);
    head->prefixes = l7s_draft_sets(index->builder, &index->prefixes);
}
