/* SPDX-License-Identifier: Apache-2.0
 *
 * The deliverer (webhooks.h): curl_multi drives what is under way, so a receiver that
 * hangs costs no thread. What the log says names a webhook, never its URL, which may hold
 * a secret.
 */
#include "webhooks.h"

#include "../../core/clock.h"
#include "../log.h"
#include "../store/event_log.h"
#include "../worker.h"
#include "event_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000 /* at the webhooks that there are */
#define POLL_MS 200  /* at the events */
#define EVENTS_MAX 100
#define BODY_BYTES ((size_t)256 << 10)
#define BACK_OFF_MAX_S 300

typedef struct {
    admin_webhook_t webhook; /* owned: its spec */
    admin_webhook_state_t state;
    int64_t kept_position; /* as it is on disk */
    unsigned types;
    admin_delivery_t *delivery; /* under way, or NULL … */
    int64_t delivers_to;        /* … up to this event */
    bool listed;                /* at the last look */
} hook_t;

struct admin_webhooks {
    admin_daemon_t *daemon;
    admin_worker_t worker;
    CURLM *multi;
    uint64_t look_ms;
    admin_privacy_t privacy;
    size_t count;
    hook_t hooks[ADMIN_WEBHOOKS_MAX];
};

bool admin_webhook_is_on(const json_t *spec)
{
    const char *mode = json_string_value(json_object_get(spec, "mode"));
    return mode == NULL || strcmp(mode, "on") == 0;
}

static unsigned types_of(const json_t *spec)
{
    size_t index;
    json_t *name;
    unsigned types = 0;
    json_array_foreach(json_object_get(spec, "types"), index, name)
    {
        types |= admin_event_types(json_string_value(name));
    }
    return types == 0 ? ADMIN_EVENT_ALL : types;
}

/* ---- what there is ---- */

static void keep_state(admin_webhooks_t *webhooks, hook_t *hook)
{
    if (admin_webhook_state_put(webhooks->daemon->store, hook->webhook.name,
                                &hook->state) == L7S_OK) {
        hook->kept_position = hook->state.position;
    }
}

static void abandon(admin_webhooks_t *webhooks, hook_t *hook)
{
    if (hook->delivery != NULL) {
        curl_multi_remove_handle(webhooks->multi, admin_delivery_handle(hook->delivery));
        admin_delivery_free(hook->delivery);
        hook->delivery = NULL;
    }
}

/* A new one begins with what happens from now on. */
static l7s_status_t read_state(admin_webhooks_t *webhooks, hook_t *hook)
{
    int64_t first, last;
    admin_store_t *store = webhooks->daemon->store;
    l7s_status_t status = admin_webhook_state_get(store, &hook->webhook, &hook->state);
    hook->kept_position = hook->state.position;
    if (status != L7S_NOT_FOUND) {
        return status;
    }
    status = admin_event_range(store, &first, &last);
    if (status == L7S_OK) {
        hook->state.position = last;
        keep_state(webhooks, hook);
    }
    return status;
}

/* The document may be another now; then it is tried at once. */
static void take_document(hook_t *hook, const admin_webhook_t *webhook)
{
    bool changed = hook->webhook.updated_ms != webhook->updated_ms;
    json_decref(hook->webhook.spec);
    hook->webhook = *webhook;
    json_incref(webhook->spec);
    hook->types = types_of(webhook->spec);
    hook->state.next_ms = changed ? 0 : hook->state.next_ms;
}

static hook_t *find(admin_webhooks_t *webhooks, const admin_webhook_t *webhook)
{
    for (size_t i = 0; i < webhooks->count; i++) {
        const admin_webhook_t *known = &webhooks->hooks[i].webhook;
        if (strcmp(known->name, webhook->name) == 0 &&
            known->created_ms == webhook->created_ms) {
            return &webhooks->hooks[i];
        }
    }
    return NULL;
}

static bool note_webhook(void *context, const admin_webhook_t *webhook)
{
    admin_webhooks_t *webhooks = context;
    hook_t *hook = find(webhooks, webhook);
    if (hook == NULL && webhooks->count < ADMIN_WEBHOOKS_MAX) {
        hook = &webhooks->hooks[webhooks->count];
        *hook = (hook_t){.listed = false};
        take_document(hook, webhook);
        if (read_state(webhooks, hook) != L7S_OK) {
            json_decref(hook->webhook.spec);
            return true; /* at the next look */
        }
        webhooks->count++;
    } else if (hook != NULL && hook->webhook.updated_ms != webhook->updated_ms) {
        take_document(hook, webhook);
    }
    if (hook != NULL) {
        hook->listed = true;
    }
    return true;
}

static void forget(admin_webhooks_t *webhooks, size_t index)
{
    abandon(webhooks, &webhooks->hooks[index]);
    json_decref(webhooks->hooks[index].webhook.spec);
    webhooks->hooks[index] = webhooks->hooks[--webhooks->count];
}

static void look(admin_webhooks_t *webhooks)
{
    admin_store_t *store = webhooks->daemon->store;
    for (size_t i = 0; i < webhooks->count; i++) {
        webhooks->hooks[i].listed = false;
    }
    if (admin_webhook_each(store, "", note_webhook, webhooks) != L7S_OK) {
        return;
    }
    for (size_t i = webhooks->count; i > 0; i--) {
        hook_t *hook = &webhooks->hooks[i - 1];
        if (!hook->listed) {
            forget(webhooks, i - 1);
        } else if (hook->state.position != hook->kept_position) {
            keep_state(webhooks, hook); /* events that it does not want */
        }
    }
}

/* ---- sending ---- */

typedef struct {
    const admin_privacy_t *privacy;
    json_t *items;
    size_t bytes;
} batch_t;

static bool take_event(void *context, const admin_event_t *event)
{
    batch_t *batch = context;
    if (json_array_size(batch->items) >= EVENTS_MAX || batch->bytes >= BODY_BYTES) {
        return false;
    }
    json_t *document = admin_event_document(event, batch->privacy);
    batch->bytes += strlen(event->data);
    if (document != NULL) {
        json_array_append_new(batch->items, document);
    }
    return true;
}

/* Retention went on while it could not be reached, or the history is another. */
static bool find_position(admin_webhooks_t *webhooks, hook_t *hook)
{
    int64_t first, last, *position = &hook->state.position;
    if (admin_event_range(webhooks->daemon->store, &first, &last) != L7S_OK) {
        return false;
    }
    if (*position < first - 1) {
        admin_log(ADMIN_WARN, "L7S3462",
                  "Webhook %s did not get events %" PRId64 " to %" PRId64
                  ": they outlived their retention.",
                  hook->webhook.name, *position + 1, first - 1);
        *position = first - 1;
    }
    *position = *position > last ? last : *position;
    return *position < last;
}

/* {"webhook","items"}; malloc'ed. */
static char *body_of(const char *name, json_t *items)
{
    json_t *body = json_pack("{s:s, s:O}", "webhook", name, "items", items);
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

static void send_items(admin_webhooks_t *webhooks, hook_t *hook, json_t *items,
                       uint64_t now_ms)
{
    const char *url = json_string_value(json_object_get(hook->webhook.spec, "url"));
    char *body = body_of(hook->webhook.name, items);
    if (body != NULL && url != NULL) {
        hook->delivery = admin_delivery_create(webhooks->daemon->options, url,
                                               hook->webhook.secret, body, now_ms);
    }
    free(body);
    if (hook->delivery != NULL &&
        curl_multi_add_handle(webhooks->multi, admin_delivery_handle(hook->delivery)) !=
            CURLM_OK) {
        admin_delivery_free(hook->delivery);
        hook->delivery = NULL;
    }
}

static void start(admin_webhooks_t *webhooks, hook_t *hook, uint64_t now_ms)
{
    bool more;
    if (!find_position(webhooks, hook)) {
        return;
    }
    batch_t batch = {&webhooks->privacy, json_array(), 0};
    hook->delivers_to = hook->state.position;
    l7s_status_t status = admin_event_each(webhooks->daemon->store, hook->types, 1000,
                                           &hook->delivers_to, &more, take_event, &batch);
    if (status == L7S_OK && json_array_size(batch.items) == 0) {
        hook->state.position = hook->delivers_to;
    } else if (status == L7S_OK) {
        send_items(webhooks, hook, batch.items, now_ms);
    }
    json_decref(batch.items);
}

static void start_due(admin_webhooks_t *webhooks, uint64_t now_ms)
{
    if (admin_privacy_read(webhooks->daemon->store, &webhooks->privacy) != L7S_OK) {
        return;
    }
    for (size_t i = 0; i < webhooks->count; i++) {
        hook_t *hook = &webhooks->hooks[i];
        if (hook->delivery == NULL && now_ms >= hook->state.next_ms &&
            admin_webhook_is_on(hook->webhook.spec)) {
            start(webhooks, hook, now_ms);
        }
    }
}

/* ---- what came of it ---- */

/* 1, 2, 4 … 300 s, and up to a fifth more, so that many do not come at once. */
static uint64_t back_off_ms(unsigned failures, uint64_t now_ms)
{
    unsigned shift = failures < 10 ? failures - 1 : 9;
    uint64_t seconds = 1u << shift;
    uint64_t delay_ms = (seconds < BACK_OFF_MAX_S ? seconds : BACK_OFF_MAX_S) * 1000;
    return delay_ms + delay_ms * (now_ms % 21) / 100;
}

static void note_failure(hook_t *hook, const char *error, uint64_t now_ms)
{
    admin_webhook_state_t *state = &hook->state;
    state->failures++;
    state->failure_ms = now_ms;
    state->next_ms = now_ms + back_off_ms(state->failures, now_ms);
    snprintf(state->error, sizeof(state->error), "%s", error);
    if (state->failures == 1) {
        admin_log(ADMIN_WARN, "L7S3460",
                  "Webhook %s does not take events: %s. It is tried again.",
                  hook->webhook.name, error);
    }
}

static void note_success(hook_t *hook, uint64_t now_ms)
{
    admin_webhook_state_t *state = &hook->state;
    if (state->failures > 0) {
        admin_log(ADMIN_INFO, "L7S3461", "Webhook %s takes events again.",
                  hook->webhook.name);
    }
    state->position = hook->delivers_to;
    state->success_ms = now_ms;
    state->failures = 0;
    state->next_ms = 0;
}

static void finish(admin_webhooks_t *webhooks, const CURLMsg *message)
{
    admin_delivery_result_t result;
    uint64_t now_ms = admin_wall_ms();
    for (size_t i = 0; i < webhooks->count; i++) {
        hook_t *hook = &webhooks->hooks[i];
        if (hook->delivery == NULL ||
            admin_delivery_handle(hook->delivery) != message->easy_handle) {
            continue;
        }
        admin_delivery_result(hook->delivery, message->data.result, &result);
        if (result.delivered) {
            note_success(hook, now_ms);
        } else {
            note_failure(hook, result.error, now_ms);
        }
        abandon(webhooks, hook); /* it is done */
        keep_state(webhooks, hook);
        return;
    }
}

/* True: something was delivered, and there may be more. */
static bool work_round(admin_webhooks_t *webhooks)
{
    int running, left;
    bool finished = false;
    const CURLMsg *message;
    uint64_t mono_ms = admin_mono_ms();
    if (mono_ms >= webhooks->look_ms) {
        webhooks->look_ms = mono_ms + LOOK_MS;
        look(webhooks);
    }
    start_due(webhooks, admin_wall_ms());
    curl_multi_perform(webhooks->multi, &running);
    while ((message = curl_multi_info_read(webhooks->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            finish(webhooks, message);
            finished = true;
        }
    }
    return finished;
}

static void *run(void *context)
{
    admin_webhooks_t *webhooks = context;
    admin_worker_t *worker = &webhooks->worker;
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        pthread_mutex_unlock(&worker->lock);
        if (!work_round(webhooks)) {
            curl_multi_poll(webhooks->multi, NULL, 0, POLL_MS, NULL);
        }
        pthread_mutex_lock(&worker->lock);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* ---- life cycle ---- */

static void destroy(admin_webhooks_t *webhooks)
{
    while (webhooks->count > 0) {
        forget(webhooks, webhooks->count - 1);
    }
    curl_multi_cleanup(webhooks->multi);
    free(webhooks);
}

l7s_status_t admin_webhooks_start(admin_daemon_t *daemon, admin_webhooks_t **out)
{
    *out = NULL;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    admin_webhooks_t *webhooks = calloc(1, sizeof(*webhooks));
    if (webhooks == NULL) {
        return L7S_NO_MEMORY;
    }
    webhooks->daemon = daemon;
    webhooks->multi = curl_multi_init();
    l7s_status_t status = webhooks->multi == NULL
                              ? L7S_NO_MEMORY
                              : admin_worker_start(&webhooks->worker, run, webhooks);
    if (status != L7S_OK) {
        destroy(webhooks);
        return status;
    }
    *out = webhooks;
    return L7S_OK;
}

void admin_webhooks_stop(admin_webhooks_t *webhooks)
{
    if (webhooks != NULL) {
        curl_multi_wakeup(webhooks->multi);
        admin_worker_stop(&webhooks->worker);
        destroy(webhooks);
    }
}

void admin_webhook_test(const admin_daemon_t *daemon, const admin_webhook_t *webhook,
                        admin_delivery_result_t *out, uint64_t *took_ms)
{
    char at[L7S_TIME_TEXT];
    uint64_t now_ms = admin_wall_ms(), begun_ms = admin_mono_ms();
    l7s_time_text(now_ms, at);
    json_t *items = json_pack("[{s:n, s:s, s:s, s:{}}]", "id", "type", "webhook.test",
                              "at", at, "data");
    const char *url = json_string_value(json_object_get(webhook->spec, "url"));
    char *body = body_of(webhook->name, items);
    json_decref(items);
    admin_delivery_t *delivery =
        body == NULL
            ? NULL
            : admin_delivery_create(daemon->options, url, webhook->secret, body, now_ms);
    free(body);
    *out = (admin_delivery_result_t){.error = "no memory"};
    if (delivery != NULL) {
        CURLcode code = curl_easy_perform(admin_delivery_handle(delivery));
        admin_delivery_result(delivery, code, out);
    }
    admin_delivery_free(delivery);
    *took_ms = admin_mono_ms() - begun_ms;
}
