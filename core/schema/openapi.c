/* SPDX-License-Identifier: Apache-2.0
 *
 * The embedded contract: parsed once, its schemas compiled when first asked for and kept
 * for the life of the process. The build proves that all of them compile (test_openapi).
 */
#include "schema.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

extern const char l7s_openapi_begin[], l7s_openapi_end[];

enum { CACHE_MAX = 128 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static json_t *document;

/* The lock protects the cache; entries never change once they are there. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[64];
    l7s_schema_t *schema;
} cache[CACHE_MAX];
static size_t cached;

const char *l7s_openapi_text(size_t *size)
{
    *size = (size_t)(l7s_openapi_end - l7s_openapi_begin);
    return l7s_openapi_begin;
}

static void load(void)
{
    size_t size = 0;
    const char *text = l7s_openapi_text(&size);

    document = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
}

json_t *l7s_openapi(void)
{
    pthread_once(&once, load);
    return document;
}

/* Under the lock. */
static const l7s_schema_t *compile_cached(const char *name)
{
    char pointer[128];
    l7s_schema_t *schema = NULL;

    for (size_t i = 0; i < cached; i++) {
        if (strcmp(cache[i].name, name) == 0) {
            return cache[i].schema;
        }
    }
    snprintf(pointer, sizeof pointer, "/components/schemas/%s", name);
    if (cached == CACHE_MAX || strlen(name) >= sizeof cache[0].name ||
        l7s_schema_compile(l7s_openapi(), pointer, NULL, &schema) != L7S_OK) {
        return NULL;
    }
    l7s_schema_assert_formats(schema);
    snprintf(cache[cached].name, sizeof cache[0].name, "%s", name);
    cache[cached++].schema = schema;
    return schema;
}

const l7s_schema_t *l7s_openapi_schema(const char *name)
{
    const l7s_schema_t *schema = NULL;

    pthread_mutex_lock(&lock);
    schema = compile_cached(name);
    pthread_mutex_unlock(&lock);
    return schema;
}
