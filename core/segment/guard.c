/* SPDX-License-Identifier: Apache-2.0
 *
 * Raising and reading the sketches (guard.h). A worker that writes into a half while it
 * is being emptied leaves one client too many there, which is less than the error.
 */
#include "guard.h"

void l7s_guard_raise(_Atomic uint8_t *at, uint8_t rank)
{
    uint8_t seen = atomic_load_explicit(at, memory_order_relaxed);
    while (seen < rank &&
           !atomic_compare_exchange_weak_explicit(at, &seen, rank, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void l7s_guard_acted(const l7s_guard_t *guard, uint32_t row, const l7s_addr_t *client)
{
    uint32_t half = atomic_load_explicit(&guard->head->half, memory_order_relaxed);
    if (half == 0) {
        return;
    }
    uint64_t hash = l7s_guard_hash(guard, client);
    l7s_guard_raise(&guard->rows[row].acted[half - 1][hash % L7S_GUARD_POLICY],
                    l7s_guard_rank(hash));
}

static void empty(_Atomic uint8_t *registers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&registers[i], 0, memory_order_relaxed);
    }
}

void l7s_guard_turn(const l7s_guard_t *guard, bool on)
{
    uint32_t now = atomic_load(&guard->head->half);
    uint32_t next = now == 1 ? 2 : 1;
    empty(guard->head->all[next - 1], L7S_GUARD_ALL);
    for (uint32_t row = 0; row < L7S_STATS_ROWS; row++) {
        empty(guard->rows[row].acted[next - 1], L7S_GUARD_POLICY);
    }
    atomic_store(&guard->head->half, on ? next : 0);
    atomic_fetch_add(&guard->head->turns, 1); /* behind it: who sees this sees the half */
}

/* Few clients: of `count` registers `zeros` are still empty. This many different clients
 * leave so many on average (the coupon collector's sum). */
static double few(size_t count, size_t zeros)
{
    double sum = 0;
    for (size_t i = zeros + 1; i <= count; i++) {
        sum += 1.0 / (double)i;
    }
    return (double)count * sum;
}

static uint64_t estimate(const _Atomic uint8_t *one, const _Atomic uint8_t *other,
                         size_t count)
{
    double sum = 0, registers = (double)count;
    size_t zeros = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t a = atomic_load_explicit(&one[i], memory_order_relaxed);
        uint8_t b = atomic_load_explicit(&other[i], memory_order_relaxed);
        uint8_t rank = a > b ? a : b;
        sum += 1.0 / (double)(1ULL << (rank < 63 ? rank : 63));
        zeros += rank == 0 ? 1 : 0;
    }
    double many = 0.7213 / (1 + 1.079 / registers) * registers * registers / sum;
    bool is_few = zeros > 0 && many <= 2.5 * registers;
    return (uint64_t)((is_few ? few(count, zeros) : many) + 0.5);
}

uint64_t l7s_guard_clients(const l7s_guard_t *guard)
{
    return estimate(guard->head->all[0], guard->head->all[1], L7S_GUARD_ALL);
}

uint64_t l7s_guard_clients_acted(const l7s_guard_t *guard, uint32_t row)
{
    return estimate(guard->rows[row].acted[0], guard->rows[row].acted[1],
                    L7S_GUARD_POLICY);
}
