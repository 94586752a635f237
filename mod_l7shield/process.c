/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

shield_process_t shield_process;
