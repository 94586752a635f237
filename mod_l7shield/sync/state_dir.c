/* SPDX-License-Identifier: Apache-2.0
 *
 * See state_dir.h. The lock is one on the folder itself: it leaves no file behind, and a
 * process that is killed lets go of it.
 */
#include "state_dir.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without a folder, as in tests of a part, nobody is in the way. */
static struct {
    const char *path;
    bool is_others;
} folder;

static bool lock(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return true; /* sync_state_dir_check says why */
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return true; /* and so it stays open */
    }
    bool taken = errno == EWOULDBLOCK; /* there are file systems without locks */
    (void)close(fd);
    return !taken;
}

bool sync_state_dir_take(const char *path)
{
    folder.path = path;
    folder.is_others = true;
    return sync_state_dir_is_ours();
}

bool sync_state_dir_is_ours(void)
{
    if (folder.is_others) {
        folder.is_others = !lock(folder.path);
    }
    return !folder.is_others;
}

void sync_state_dir_check(const char *path)
{
    struct stat info;

    if (access(path, R_OK | W_OK | X_OK) != 0) {
        sync_log(
            SYNC_ERROR, "L7S2008",
            "the state folder %s (L7ShieldStateDir) cannot be used: %s; bans and "
            "policies are not kept over a stop, and a file \"mode\" in it may not be "
            "obeyed; it must belong to httpd's User",
            path, strerror(errno));
    } else if (stat(path, &info) == 0 && (info.st_mode & 022) != 0) {
        /* Whoever may write there may break the glass, or put bans and a snapshot in
         * place. */
        sync_log(SYNC_WARN, "L7S2006",
                 "the state folder %s has mode %04o: group or others may change it; run: "
                 "chmod go-w %s",
                 path, (unsigned)(info.st_mode & 07777), path);
    }
}
