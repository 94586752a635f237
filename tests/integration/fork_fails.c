/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine that has no process left for httpd: while the file that L7S_FORK_FAILS names
 * is there, fork fails.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

pid_t fork(void)
{
    pid_t (*real)(void) = (pid_t(*)(void))dlsym(RTLD_NEXT, "fork");
    const char *file = getenv("L7S_FORK_FAILS");

    if (file != NULL && access(file, F_OK) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return real();
}
