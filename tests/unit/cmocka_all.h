/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka's header wants these four before it. */
#ifndef FLOE_TESTS_CMOCKA_ALL_H
#define FLOE_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
