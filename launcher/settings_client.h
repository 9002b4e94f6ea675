/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the broker of an active environment (registry-shim/broker.h). libc only; any thread. */
#ifndef FLOE_LAUNCH_SETTINGS_CLIENT_H
#define FLOE_LAUNCH_SETTINGS_CLIENT_H

#include "base/err.h"

/* Sends a request of nothing but its type ("refresh", "harvest") and waits until it is done, for 5 s at most.
 * An environment that is not active, or has no settings, has nothing to do: 0. */
int launch_settings_ask(const char *env, const char *type, struct err *e) FLOE_MUST_USE;

#endif
