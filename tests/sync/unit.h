/* SPDX-License-Identifier: Apache-2.0
 *
 * cmocka with the headers that it wants before it, in their order.
 */
#ifndef TEST_SYNC_UNIT_H
#define TEST_SYNC_UNIT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#endif
