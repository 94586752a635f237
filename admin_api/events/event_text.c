/* SPDX-License-Identifier: Apache-2.0
 *
 * Events to text (event_text.h). jansson's compact form has no line breaks, so a document
 * is one line as it is stored.
 */
#include "event_text.h"

#include "../../core/clock.h"
#include "../log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The document as it may be shown. New reference. */
static json_t *data_of(const admin_event_t *event, const admin_privacy_t *privacy)
{
    json_t *data = json_loads(event->data, JSON_DECODE_ANY, NULL);
    if (data == NULL || !admin_privacy_apply(privacy, data)) {
        json_decref(data);
        return NULL;
    }
    return data;
}

static char *frame_of(const admin_event_t *event, const char *data, size_t *size)
{
    const char *type = admin_event_type_name(event->type);
    size_t room = strlen(data) + strlen(type) + 64;
    char *frame = malloc(room);
    if (frame != NULL) {
        *size = (size_t)snprintf(frame, room, "id: %" PRId64 "\nevent: %s\ndata: %s\n\n",
                                 event->id, type, data);
    }
    return frame;
}

static char *render(const admin_event_t *event, const admin_privacy_t *privacy,
                    size_t *size)
{
    if (!admin_privacy_concerns(privacy, event->data)) {
        return frame_of(event, event->data, size); /* nothing to look for */
    }
    json_t *data = data_of(event, privacy);
    char *text = data == NULL ? NULL : json_dumps(data, JSON_COMPACT);
    json_decref(data);
    char *frame = text == NULL ? NULL : frame_of(event, text, size);
    free(text);
    return frame;
}

char *admin_event_frame(const admin_event_t *event, const admin_privacy_t *privacy,
                        size_t *size)
{
    char *frame = render(event, privacy, size);
    if (frame == NULL) {
        admin_log(ADMIN_ERROR, "L7S3440",
                  "Event %" PRId64 " cannot be shown: it is damaged, or memory ran out.",
                  event->id);
    }
    return frame;
}

json_t *admin_event_document(const admin_event_t *event, const admin_privacy_t *privacy)
{
    char at[L7S_TIME_TEXT];
    json_t *data = data_of(event, privacy);
    l7s_time_text(event->at_ms, at);
    return data == NULL
               ? NULL
               : json_pack("{s:I, s:s, s:s, s:o}", "id", (json_int_t)event->id, "type",
                           admin_event_type_name(event->type), "at", at, "data", data);
}
