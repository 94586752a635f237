/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of challenges. Sends nothing (challenge.c).
 */
#ifndef SHIELD_CHALLENGE_PAGE_H
#define SHIELD_CHALLENGE_PAGE_H

#include "process.h"

#include "../core/decide/decide.h"

/* Script and worker from this site, our own style by its hash, nothing else. */
#define SHIELD_PAGE_STYLE_HASH "sha256-4BUaAuZLz9zO/fh/+jHF1aPlWeu2BMDfk0QH5KUAE2c="
#define SHIELD_PAGE_POLICY                                                               \
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src "               \
    "'" SHIELD_PAGE_STYLE_HASH "'; form-action 'self'; base-uri 'none'; "                \
    "frame-ancestors 'none'"

/* The pages; `target` is where the client wanted to go. */
const char *shield_page_cookie(apr_pool_t *pool, const l7s_verdict_t *verdict,
                               const char *target);
const char *shield_page_proof(apr_pool_t *pool, const l7s_verdict_t *verdict,
                              const char *target);
/* What was brought back does not do: no cookie came, or the proof does not hold. */
const char *shield_page_failed(apr_pool_t *pool, bool no_cookie, const char *target);

const char *shield_page_script(size_t *size);

#endif
