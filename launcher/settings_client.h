/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the broker of an active environment (registry-shim/broker.h). libc only; any thread. */
#ifndef FLOE_LAUNCH_SETTINGS_CLIENT_H
#define FLOE_LAUNCH_SETTINGS_CLIENT_H

#include <stdint.h>

#include "base/err.h"

/* Both wait until it is done, for 5 s at most. An environment that is not active, or has no settings, has
 * nothing to do: 0.
 *
 * The hive was changed. */
int launch_settings_refresh(const char *env, struct err *e) FLOE_MUST_USE;
/* A program has ended that the shim may not have entered. *ret_refused: how many locked keys were put back
 * since then (wall clock), by whomever they were written. */
int launch_settings_harvest(const char *env, uint64_t since_ms, uint64_t *ret_refused,
			    struct err *e) FLOE_MUST_USE;

#endif
