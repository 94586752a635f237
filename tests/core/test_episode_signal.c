/* SPDX-License-Identifier: Apache-2.0
 *
 * The signals of an episode: few different ones, whoever raises how many.
 */
#include "../../core/segment/episode.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void raise_text(l7s_episode_t *episode, const char *text)
{
    l7s_signals_t signals = {0};

    l7s_signals_read(&signals, text);
    l7s_episode_signals(episode, &signals);
}

static void assert_said(const l7s_episode_t *episode, const char *wanted)
{
    char said[L7S_EPISODE_SIGNALS_TEXT];

    l7s_episode_signals_text(episode, said);
    assert_string_equal(said, wanted);
}

static void test_episode_signals_are_counted_by_name_and_detail(void **state)
{
    static l7s_episode_t episode;

    (void)state;
    l7s_episode_signals_clear(&episode);
    assert_said(&episode, "");
    raise_text(&episode, "a,b;detail=1");
    raise_text(&episode, "b;detail=1,b;detail=2");
    assert_said(&episode, "a*1,b;1*2,b;2*1");
    l7s_episode_signals_clear(&episode);
    assert_said(&episode, "");
    raise_text(&episode, "c");
    assert_said(&episode, "c*1");
}

static void test_episode_signals_keep_the_first_ones(void **state)
{
    static l7s_episode_t episode;
    char text[16];

    (void)state;
    l7s_episode_signals_clear(&episode);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 3 * L7S_EPISODE_SIGNALS; i++) {
            snprintf(text, sizeof text, "s%u", i);
            raise_text(&episode, text);
        }
    }
    assert_said(&episode, "s0*2,s1*2,s2*2,s3*2,s4*2,s5*2");
}

static void test_episode_signals_longest_names_fit(void **state)
{
    static l7s_episode_t episode;
    char name[L7S_SIGNAL_NAME_MAX + 16], said[L7S_EPISODE_SIGNALS_TEXT];

    (void)state;
    l7s_episode_signals_clear(&episode);
    for (char c = 'a'; c < 'a' + L7S_EPISODE_SIGNALS; c++) {
        memset(name, c, L7S_SIGNAL_NAME_MAX - 1);
        strcpy(name + L7S_SIGNAL_NAME_MAX - 1, ";detail=1");
        raise_text(&episode, name);
        atomic_store(&episode.signals[c - 'a'].count, UINT32_MAX);
    }
    l7s_episode_signals_text(&episode, said);
    assert_int_equal(strlen(said), L7S_EPISODE_SIGNALS * (47 + 11) + 5);
}

#define THREADS 4
#define ROUNDS 20000

static void *raise_many(void *episode)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        raise_text(episode, i % 2 == 0 ? "a" : "b;detail=1");
    }
    return NULL;
}

static void test_episode_signals_of_many_threads_are_all_counted(void **state)
{
    static l7s_episode_t episode;
    pthread_t threads[THREADS];
    uint64_t sum = 0;

    (void)state;
    l7s_episode_signals_clear(&episode);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, raise_many, &episode), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < L7S_EPISODE_SIGNALS; i++) {
        sum += atomic_load(&episode.signals[i].count);
    }
    assert_int_equal(sum, THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_episode_signals_are_counted_by_name_and_detail),
        cmocka_unit_test(test_episode_signals_keep_the_first_ones),
        cmocka_unit_test(test_episode_signals_longest_names_fit),
        cmocka_unit_test(test_episode_signals_of_many_threads_are_all_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
