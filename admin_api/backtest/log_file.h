/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs by name, from the one folder that the configuration names.
 */
#ifndef ADMIN_LOG_FILE_H
#define ADMIN_LOG_FILE_H

/* Opens the regular file `path` ("web-1/access.log") below `folder` for reading. -1
 * (errno): it is none, or the path leads through "..", a symbolic link or out of it
 * otherwise (EACCES). */
int admin_log_file_open(const char *folder, const char *path);

#endif
