/* SPDX-License-Identifier: Apache-2.0
 *
 * See check_predicates.h. As many single-member policies as fit go into one image.
 */
#include "check_predicates.h"

#include "../../core/schema/json_pointer.h"
#include "check_engine.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH L7S_POLICIES_MAX
#define NAME_FORMAT "p-%04zu"

/* One question to the engine. */
typedef struct {
    json_t *into; /* the policy's list; borrowed */
    l7s_pointer_t pointer;
    bool exempts;      /* an exception: holds when it does not match */
    const char *found; /* what the request has there; NULL: not shown */
} question_t;

typedef struct {
    const admin_daemon_t *daemon;
    const json_t *document;
    admin_check_request_t *request;
    const char *app;
    uint64_t now_ms;
    bool failed;
    size_t count;
    question_t questions[BATCH];
    json_t *policies; /* of the derived configuration */
} asking_t;

/* What may be shown: of headers and their like only whether they hold. */
static const char *found_at(const asking_t *asking, const char *member)
{
    const struct {
        const char *member, *found;
    } table[] = {
        {"apps", asking->app},
        {"hosts", asking->request->shown_host},
        {"methods", asking->request->method},
        {"paths", asking->request->shown_path},
        {"path_regex", asking->request->shown_path},
        {"client", asking->request->client_text},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].member, member) == 0) {
            return table[i].found;
        }
    }
    return NULL;
}

static void answer(const question_t *question, bool matches)
{
    json_t *out = json_pack("{s:s, s:b}", "pointer", question->pointer.text, "holds",
                            matches != question->exempts);

    if (question->found != NULL) {
        json_object_set_new(out, "found", json_string(question->found));
    }
    json_array_append_new(question->into, out);
}

static void take_answer(void *context, const l7s_explained_policy_t *policy)
{
    asking_t *asking = context;
    size_t index = strtoul(policy->name + 2, NULL, 10);

    if (index < asking->count) {
        answer(&asking->questions[index], policy->matches);
    }
}

static void pass_list(void *context, const l7s_explained_list_t *list)
{
    (void)context;
    (void)list;
}

/* Lists and apps are those in force; settings do not matter here. */
static json_t *derived(const asking_t *asking)
{
    json_t *out = json_object();

    json_object_set(out, "policies", asking->policies);
    json_object_set(out, "lists", json_object_get(asking->document, "lists"));
    json_object_set(out, "apps", json_object_get(asking->document, "apps"));
    return out;
}

static void flush(asking_t *asking)
{
    l7s_request_t facts = admin_check_request_facts(asking->request);
    l7s_explain_t explain = {.policy = take_answer, .list = pass_list, .context = asking};
    admin_check_engine_t engine;
    json_t *document;

    if (asking->count == 0 || asking->failed) {
        return;
    }
    document = derived(asking);
    facts.app = asking->app;
    asking->failed = admin_check_engine_open(asking->daemon, document, asking->now_ms,
                                             &engine) != L7S_OK ||
                     l7s_explain(engine.image, &facts, &explain) != L7S_OK;
    admin_check_engine_close(&engine);
    json_decref(document);
    json_array_clear(asking->policies);
    asking->count = 0;
}

/* Steals `match`. `member` is what it is about; `index` < 0: not an element of it. */
static void add(asking_t *asking, json_t *into, const char *member, long index,
                json_t *match)
{
    question_t *question;
    char name[16];

    if (asking->count == BATCH) {
        flush(asking);
    }
    question = &asking->questions[asking->count];
    question->into = into;
    question->exempts = strcmp(member, "except") == 0;
    question->found = found_at(asking, member);
    l7s_pointer_begin(&question->pointer);
    l7s_pointer_push(&question->pointer, "match");
    l7s_pointer_push(&question->pointer, member);
    if (index >= 0) {
        l7s_pointer_push_index(&question->pointer, (size_t)index);
    }
    snprintf(name, sizeof name, NAME_FORMAT, asking->count++);
    json_array_append_new(asking->policies,
                          json_pack("{s:s, s:s, s:o, s:{s:{}}, s:{s:{}}}", "name", name,
                                    "mode", "enforce", "match", match, "detect", "always",
                                    "action", "log"));
}

/* Members whose elements must all hold, so that each is a predicate of its own. */
static bool is_split(const char *member)
{
    static const char *const split[] = {"headers", "query", "cookies", "except"};

    for (size_t i = 0; i < sizeof split / sizeof *split; i++) {
        if (strcmp(split[i], member) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *only(const char *member, const json_t *value, bool in_array)
{
    json_t *match = json_object();

    if (in_array) {
        json_object_set_new(match, member, json_pack("[O]", value));
    } else {
        json_object_set(match, member, (json_t *)value);
    }
    return match;
}

static void add_policy(asking_t *asking, const json_t *policy, json_t *into)
{
    const json_t *match = json_object_get(policy, "match");
    const char *member;
    json_t *value, *item;
    size_t index;

    json_object_foreach((json_t *)match, member, value)
    {
        if (!is_split(member)) {
            add(asking, into, member, -1, only(member, value, false));
            continue;
        }
        json_array_foreach(value, index, item)
        {
            bool except = strcmp(member, "except") == 0;
            add(asking, into, member, (long)index,
                except ? json_incref(item) : only(member, item, true));
        }
    }
}

json_t *admin_check_predicates(const admin_daemon_t *daemon, const json_t *document,
                               admin_check_request_t *request, const char *app,
                               uint64_t now_ms)
{
    asking_t *asking = calloc(1, sizeof *asking);
    json_t *out = json_object(), *policy;
    bool failed = asking == NULL || out == NULL;
    size_t index;

    if (failed) {
        free(asking);
        json_decref(out);
        return NULL;
    }
    *asking = (asking_t){.daemon = daemon,
                         .document = document,
                         .request = request,
                         .app = app,
                         .now_ms = now_ms,
                         .policies = json_array()};
    json_array_foreach(json_object_get(document, "policies"), index, policy)
    {
        json_t *into = json_array();
        const char *name = json_string_value(json_object_get(policy, "name"));
        json_object_set_new(out, name != NULL ? name : "", into);
        add_policy(asking, policy, into);
    }
    flush(asking);
    failed = asking->failed;
    json_decref(asking->policies);
    free(asking);
    if (failed) {
        json_decref(out);
        return NULL;
    }
    return out;
}
