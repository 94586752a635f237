/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict_wait.h. It reads the clock around the wait: what a client lost by it is what
 * the histogram tells.
 */
#include "strict_wait.h"

#include "shared_memory.h"

#include <unistd.h>

l7s_strict_verdict_t shield_strict_ask(void *context, l7s_strict_question_t *question)
{
    (void)context;
    l7s_segment_t *header = shield_process.shared.header;
    uint32_t role = atomic_load_explicit(&header->mailbox.role, memory_order_relaxed);
    if (role != L7S_MAILBOX_SERVING) {
        return role == L7S_MAILBOX_ALONE ? L7S_STRICT_ALONE : L7S_STRICT_MISSED;
    }
    uint64_t began_us = shield_mono_us();
    l7s_strict_verdict_t verdict =
        l7s_mailbox_ask(&shield_process.shared.mailbox, question, getpid(),
                        atomic_load(&header->workers_total), began_us);
    l7s_mailbox_waited(&header->mailbox, shield_mono_us() - began_us);
    return verdict;
}
