/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions of a request: one scan of each thing that patterns look at, when
 * the first candidate asks for it, and after that a bit for each pattern.
 */
#include "match.h"

#include <string.h>

/* The working memory, grown for this image if it is the thread's first scan with it.
 * NULL: there is none. */
static l7s_scratch_t *fitting_scratch(const l7s_matcher_t *matcher)
{
    const l7s_image_t *image = matcher->image;
    const l7s_request_t *request = matcher->request;
    const l7s_subject_t *subjects = l7s_image_section(image, L7S_SECTION_SUBJECTS);
    const uint8_t *patterns = l7s_image_section(image, L7S_SECTION_PATTERNS);
    l7s_scratch_t *scratch =
        request->scratch != NULL ? request->scratch(request->context) : NULL;

    if (scratch == NULL || l7s_scratch_fits(scratch, image->pattern_stamp)) {
        return scratch;
    }
    for (uint32_t i = 0; i < image->sections[L7S_SECTION_SUBJECTS].count; i++) {
        if (l7s_scratch_grow(scratch, patterns + subjects[i].at) != L7S_OK) {
            return NULL;
        }
    }
    l7s_scratch_fitted(scratch, image->pattern_stamp);
    return scratch;
}

void l7s_matcher_scan(l7s_matcher_t *matcher, uint32_t subject, const char *text)
{
    const l7s_image_t *image = matcher->image;
    const l7s_subject_t *record =
        (const l7s_subject_t *)l7s_image_section(image, L7S_SECTION_SUBJECTS) + subject;
    const uint8_t *patterns = l7s_image_section(image, L7S_SECTION_PATTERNS);
    l7s_scratch_t *scratch = fitting_scratch(matcher);

    if (matcher->scanned == 0) {
        memset(matcher->hits, 0, (image->patterns + 63) / 64 * sizeof *matcher->hits);
    }
    matcher->scanned |= 1ULL << subject;
    if (scratch != NULL) {
        (void)l7s_pattern_scan(scratch, patterns + record->at, text, strlen(text),
                               matcher->hits, image->patterns);
    }
}

bool l7s_matcher_found(const l7s_matcher_t *matcher, l7s_run_t patterns)
{
    const uint32_t *refs = l7s_image_refs(matcher->image, patterns);

    for (uint32_t i = 0; i < patterns.count; i++) {
        if ((matcher->hits[refs[i] / 64] >> refs[i] % 64 & 1) != 0) {
            return true;
        }
    }
    return false;
}

bool l7s_matcher_any_pattern(l7s_matcher_t *matcher, l7s_run_t patterns, uint32_t subject,
                             const char *text)
{
    if (!l7s_matcher_is_scanned(matcher, subject)) {
        l7s_matcher_scan(matcher, subject, text);
    }
    return l7s_matcher_found(matcher, patterns);
}
