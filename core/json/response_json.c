/* SPDX-License-Identifier: Apache-2.0
 *
 * A refusal body from JSON to the model. Its limit is in bytes, which a schema cannot
 * say.
 */
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 4096 };

void l7s_response_read(l7s_reader_t *reader, const json_t *json, l7s_response_t *out)
{
    l7s_reader_name(json, out->name);
    out->content_type =
        l7s_reader_text(reader, l7s_reader_string(json, "content_type", "text/plain"));
    out->body = l7s_reader_text(reader, l7s_reader_string(json, "body", ""));
    if (out->body != NULL && strlen(out->body) > BODY_MAX) {
        l7s_reader_wrong_at(reader, "body", "wrong_length",
                            "must have at most %d bytes, has %zu", BODY_MAX,
                            strlen(out->body));
    }
}

void l7s_response_free(l7s_response_t *response)
{
    free(response->content_type);
    free(response->body);
}
