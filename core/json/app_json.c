/* SPDX-License-Identifier: Apache-2.0
 *
 * A protected application from JSON to the model.
 */
#include "config_reader.h"

void l7s_app_read(l7s_reader_t *reader, const json_t *json, l7s_app_t *out)
{
    l7s_reader_name(json, out->name);
    l7s_reader_strings(reader, json, "hosts", l7s_accept_host, &out->hosts);
    l7s_reader_strings(reader, json, "paths", l7s_accept_path, &out->paths);
    out->tier = (uint32_t)l7s_reader_integer(json, "tier", 3);
    l7s_reader_mode(json, L7S_MODE_ENFORCE, &out->mode);
}

void l7s_app_free(l7s_app_t *app)
{
    l7s_strings_free(&app->hosts);
    l7s_strings_free(&app->paths);
}
