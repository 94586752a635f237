/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a client comes from, looked up when the first one asks: most images never do.
 */
#include "match.h"

#include <stdio.h>
#include <string.h>

const l7s_geo_place_t *l7s_matcher_origin(l7s_matcher_t *matcher)
{
    const l7s_addr_t *client = &matcher->request->client;
    l7s_memo_t *memo = matcher->request->memo;

    if (matcher->origin_known) {
        return &matcher->origin;
    }
    matcher->origin_known = true;
    if (memo != NULL && memo->has_origin) {
        matcher->origin = memo->origin;
    } else if (matcher->geo == NULL) {
        memset(&matcher->origin, 0, sizeof matcher->origin);
    } else {
        l7s_geo_find(matcher->geo, client, &matcher->origin);
        if (memo != NULL) {
            memo->origin = matcher->origin;
            memo->has_origin = true;
        }
    }
    return &matcher->origin;
}

const char *l7s_matcher_country(l7s_matcher_t *matcher)
{
    const l7s_geo_place_t *origin = l7s_matcher_origin(matcher);

    return origin->country[0] != '\0' ? origin->country : NULL;
}

const char *l7s_matcher_asn(l7s_matcher_t *matcher)
{
    const l7s_geo_place_t *origin = l7s_matcher_origin(matcher);

    if (origin->asn == 0) {
        return NULL;
    }
    if (!matcher->asn_written) {
        snprintf(matcher->asn, sizeof matcher->asn, "%u", (unsigned)origin->asn);
        matcher->asn_written = true;
    }
    return matcher->asn;
}

static bool holds_code(const l7s_matcher_t *matcher, l7s_run_t run, uint32_t code)
{
    const uint32_t *codes = l7s_image_refs(matcher->image, run);
    uint32_t count = run.count;

    while (count > 1) {
        uint32_t half = count / 2;
        codes += codes[half] <= code ? half : 0;
        count -= half;
    }
    return code != 0 && *codes == code;
}

bool l7s_matcher_in_countries(l7s_matcher_t *matcher, l7s_run_t codes)
{
    return codes.count > 0 &&
           holds_code(matcher, codes,
                      l7s_country_code(l7s_matcher_origin(matcher)->country));
}

bool l7s_matcher_in_asns(l7s_matcher_t *matcher, l7s_run_t codes)
{
    return codes.count > 0 &&
           holds_code(matcher, codes, l7s_matcher_origin(matcher)->asn);
}
