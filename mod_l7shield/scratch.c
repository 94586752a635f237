/* SPDX-License-Identifier: Apache-2.0
 *
 * Found through a pthread key, like a thread's pin and for the same reason: the threads
 * are httpd's (or mod_http2's). A thread that never meets a pattern has none.
 */
#include "scratch.h"

static pthread_key_t key;
static bool key_made;

static void drop(void *scratch)
{
    l7s_scratch_free(scratch);
}

/* The thread that ends the process runs no destructors. */
static apr_status_t delete_key(void *unused)
{
    (void)unused;
    l7s_scratch_free(pthread_getspecific(key));
    pthread_key_delete(key);
    key_made = false;
    return APR_SUCCESS;
}

void shield_scratch_child(apr_pool_t *pool, server_rec *server)
{
    if (pthread_key_create(&key, drop) != 0) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, server,
                     "L7S1004: no thread key left: in this child no regular expression "
                     "of a policy is ever found");
        return;
    }
    key_made = true;
    /* Before the module can be unloaded: the key's destructor is code of ours. */
    apr_pool_cleanup_register(pool, NULL, delete_key, apr_pool_cleanup_null);
}

l7s_scratch_t *shield_scratch(void *context)
{
    (void)context;
    if (!key_made) {
        return NULL;
    }
    l7s_scratch_t *scratch = pthread_getspecific(key);
    if (!scratch) {
        scratch = l7s_scratch_create();
        if (pthread_setspecific(key, scratch) != 0) {
            l7s_scratch_free(scratch);
            return NULL;
        }
    }
    return scratch;
}
