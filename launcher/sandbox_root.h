/* SPDX-License-Identifier: Apache-2.0 */
/* A launch's own root directory: binds over the union, /proc, pivot. */
#ifndef FLOE_LAUNCH_SANDBOX_ROOT_H
#define FLOE_LAUNCH_SANDBOX_ROOT_H

#include "launcher/sandbox.h"

/* In the new mount and pid namespaces. Changes the calling process for ever: its root is the sandbox's. */
int launch_sandbox_root(const struct launch_sandbox *s, struct err *e) FLOE_MUST_USE;

#endif
