/* SPDX-License-Identifier: Apache-2.0
 *
 * Restored databases take the place of those in a data directory, all or none: once begun
 * it is finished, by the restore or, when that was interrupted, by whoever opens the
 * store next. What was there is kept as NAME.before-restore. The directory is locked by
 * the caller.
 */
#ifndef ADMIN_REPLACEMENT_H
#define ADMIN_REPLACEMENT_H

#include "../../core/status.h"

/* NAME.restored of every database is whole and on the disk: from now on they belong in
 * place. What an earlier restore has kept is removed. L7S_IO: nothing has begun. */
L7S_MUST_USE l7s_status_t admin_replacement_begin(const char *data_dir, char why[256]);

/* Puts in place what was begun; nothing was: does nothing. L7S_IO: it is still to be
 * finished. */
L7S_MUST_USE l7s_status_t admin_replacement_finish(const char *data_dir, char why[256]);

#endif
