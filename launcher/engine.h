/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine makes a union (vfs/union.h), an environment's or the sequencer's: what was asked for, and what
 * that comes to on this machine and for this environment. libc only. One thread; blocks on the disk. */
#ifndef FLOE_LAUNCH_ENGINE_H
#define FLOE_LAUNCH_ENGINE_H

#include "launcher/environment.h"

enum launch_engine {
	LAUNCH_ENGINE_AUTO, /* overlay wherever it works, else fuse */
	LAUNCH_ENGINE_OVERLAY,
	LAUNCH_ENGINE_FUSE,
};

const char *launch_engine_name(enum launch_engine engine);
/* "" is auto. ERR_USAGE with the names there are. */
int launch_engine_parse(const char *text, enum launch_engine *ret, struct err *e) FLOE_MUST_USE;

struct launch_engine_choice {
	enum launch_engine engine; /* not AUTO */
	char why[320];
};
/* ERR_UNSUPPORTED when `overlay` is wanted and the environment holds what it cannot show. Nobody else may
 * have the environment mounted, here and below. */
int launch_engine_check(const struct launch_environment *env, enum launch_engine wanted,
			struct err *e) FLOE_MUST_USE;
/* For a process in a mount namespace of its own, with the right to mount: what is not known yet is tried in
 * the environment's directory (launcher/engine_probe.h). Fails as _check does. */
int launch_engine_choose(const struct launch_environment *env, enum launch_engine wanted,
			 struct launch_engine_choice *ret, struct err *e) FLOE_MUST_USE;
/* The same for a union that begins empty, with an upper somewhere in `dir`, where it is tried. */
void launch_engine_choose_in(const char *dir, enum launch_engine wanted, struct launch_engine_choice *ret);
/* What the environment's noted wish would come to, without trying anything: false when it would have to. Any
 * process. */
bool launch_engine_guess(const struct launch_environment *env, struct launch_engine_choice *ret);

#endif
