/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandboxed process may not do: capabilities, privileges gained by exec, system calls. */
#ifndef FLOE_LAUNCH_CONFINE_H
#define FLOE_LAUNCH_CONFINE_H

#include "launcher/sandbox.h"

/* Both change the calling process for ever. An ordinary user's processes keep no capability at all; real root
 * keeps the few that daemons and file owners need (a container's usual set); a pretended root keeps those of
 * its own user namespace. */
int launch_confine_init(const struct launch_sandbox *s, struct err *e) FLOE_MUST_USE;
int launch_confine_application(const struct launch_sandbox *s, struct err *e) FLOE_MUST_USE;

#endif
