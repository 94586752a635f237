/* SPDX-License-Identifier: Apache-2.0
 *
 * A body that is too large for memory: a file without a name in the data directory, gone
 * with its descriptor.
 */
#ifndef ADMIN_SPOOL_H
#define ADMIN_SPOOL_H

#include "../../core/status.h"

/* The descriptor, or -1 (errno). */
int admin_spool_open(const char *data_dir);
/* Appends. False: the disk is full, or fails (errno). */
L7S_MUST_USE bool admin_spool_write(int fd, const char *data, size_t size);

#endif
