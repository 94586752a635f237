/* SPDX-License-Identifier: Apache-2.0
 *
 * Who decides how strict a node is: every combination of the switches, and their order.
 */
#include "../../mod_l7shield/sync/mode.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const l7s_now_t now = {.mono_us = 1000000, .wall_ms = 1000000};

typedef struct {
    l7s_shared_t shared;
    l7s_segment_t header;
    char folder[64], path[96];
    sync_mode_t *mode;
} bench_t;

static int set_up(void **state)
{
    bench_t *bench = calloc(1, sizeof *bench);

    strcpy(bench->folder, "/tmp/l7s-mode-XXXXXX");
    if (mkdtemp(bench->folder) == NULL) {
        return -1;
    }
    snprintf(bench->path, sizeof bench->path, "%s/mode", bench->folder);
    bench->shared.header = &bench->header;
    atomic_store(&bench->header.mode, L7S_MODE_ENFORCE);
    *state = bench;
    return sync_mode_create(&bench->shared, bench->folder, &bench->mode) == L7S_OK ? 0
                                                                                   : -1;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_mode_free(bench->mode);
    (void)unlink(bench->path);
    (void)rmdir(bench->folder);
    free(bench);
    return 0;
}

static void write_file(const bench_t *bench, const char *text)
{
    char temporary[128];

    snprintf(temporary, sizeof temporary, "%s.t", bench->path);
    FILE *out = fopen(temporary, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(rename(temporary, bench->path), 0);
}

static void test_mode_tick_least_strict_switch_wins(void **state)
{
    bench_t *bench = *state;
    static const l7s_mode_t modes[] = {L7S_MODE_OFF, L7S_MODE_OBSERVE, L7S_MODE_ENFORCE};
    l7s_config_t config = {0};
    uint64_t number = 0;

    for (unsigned i = 0; i < 27; i++) {
        l7s_mode_t file = modes[i % 3], item = modes[i / 3 % 3], setting = modes[i / 9];
        l7s_mode_item_t news = {item, 1, ++number, 0};
        char text[32];
        snprintf(text, sizeof text, "%s\n%u", l7s_mode_name(file), i);
        write_file(bench, text);
        assert_true(sync_mode_item(bench->mode, &news));
        config.mode = setting;
        sync_mode_tick(bench->mode, &config, now);
        l7s_mode_t least = l7s_mode_least(l7s_mode_least(file, item), setting);
        assert_int_equal(atomic_load(&bench->header.mode), least);
        l7s_because_t because = least == L7S_MODE_ENFORCE ? L7S_BECAUSE_DEFAULT
                                : least == file           ? L7S_BECAUSE_MODE_FILE
                                : least == item           ? L7S_BECAUSE_MODE_ITEM
                                                          : L7S_BECAUSE_SETTINGS;
        assert_int_equal(atomic_load(&bench->header.because), because);
    }
}

static void test_mode_item_older_one_is_ignored(void **state)
{
    bench_t *bench = *state;
    static const struct {
        l7s_mode_item_t item;
        bool news;
    } cases[] = {
        {{L7S_MODE_OFF, 2, 10, 0}, true},
        {{L7S_MODE_ENFORCE, 2, 10, 0}, false},
        {{L7S_MODE_ENFORCE, 2, 9, 0}, false},
        {{L7S_MODE_ENFORCE, 1, 99, 0}, false},
        {{99, 3, 0, 0}, false},
        {{L7S_MODE_OBSERVE, 2, 11, 0}, true},
        {{L7S_MODE_ENFORCE, 3, 0, 0}, true},
    };
    l7s_mode_item_t last;

    assert_false(sync_mode_last_item(bench->mode, &last));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sync_mode_item(bench->mode, &cases[i].item), cases[i].news);
    }
    assert_true(sync_mode_last_item(bench->mode, &last));
    assert_int_equal(last.config_epoch, 3);
}

static void test_mode_tick_item_and_settings_end_at_their_time(void **state)
{
    bench_t *bench = *state;
    l7s_mode_item_t item = {L7S_MODE_OFF, 1, 1, now.wall_ms + 10};
    l7s_config_t config = {.mode = L7S_MODE_OBSERVE, .mode_until_ms = now.wall_ms + 20};
    l7s_now_t later = now;

    assert_true(sync_mode_item(bench->mode, &item));
    sync_mode_tick(bench->mode, &config, later);
    assert_int_equal(atomic_load(&bench->header.mode), L7S_MODE_OFF);
    later.wall_ms += 10;
    sync_mode_tick(bench->mode, &config, later);
    assert_int_equal(atomic_load(&bench->header.mode), L7S_MODE_OBSERVE);
    later.wall_ms += 10;
    sync_mode_tick(bench->mode, &config, later);
    assert_int_equal(atomic_load(&bench->header.mode), L7S_MODE_ENFORCE);
    assert_int_equal(atomic_load(&bench->header.because), L7S_BECAUSE_DEFAULT);
}

static void test_mode_tick_file_that_says_nonsense_observes(void **state)
{
    bench_t *bench = *state;

    write_file(bench, "of\n");
    sync_mode_tick(bench->mode, NULL, now);
    assert_int_equal(atomic_load(&bench->header.mode), L7S_MODE_OBSERVE);
    (void)unlink(bench->path);
    sync_mode_tick(bench->mode, NULL, now);
    assert_int_equal(atomic_load(&bench->header.mode), L7S_MODE_ENFORCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mode_tick_least_strict_switch_wins, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_mode_item_older_one_is_ignored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_mode_tick_item_and_settings_end_at_their_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mode_tick_file_that_says_nonsense_observes,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
