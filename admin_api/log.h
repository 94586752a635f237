/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemon's log: one line per event on stderr, "[l7shieldd:LEVEL] L7S3xxx: sentence".
 * error = an operator must act; warn = worked round; info = a decision.
 */
#ifndef ADMIN_LOG_H
#define ADMIN_LOG_H

#include "../core/status.h"

typedef enum { ADMIN_ERROR, ADMIN_WARN, ADMIN_INFO, ADMIN_DEBUG } admin_level_t;

/* `tag` is unique in the program ("L7S3001"): 3001-3499 for the API, 3500-3999 for the
 * bus. Control characters in the text are replaced. Never pass tokens, cookies or bodies.
 */
void admin_log(admin_level_t level, const char *tag, const char *format, ...)
    L7S_PRINTF(3, 4);

#endif
