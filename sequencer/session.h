/* SPDX-License-Identifier: Apache-2.0 */
/* A session: one installer run as (pretended) root in a union over the host, whose upper is what it did.
 *
 * As an ordinary user a child makes a user namespace in which that user is root and owns all that it sees of
 * the host: through the host view under the overlay engine, at first hand under the fuse engine. As root the
 * child has only a mount namespace and sees the host directly. Either way nothing of the host changes.
 * Services are not started, package managers are told not to become somebody else. One thread; blocks until
 * the installer has ended. */
#ifndef FLOE_SEQ_SESSION_H
#define FLOE_SEQ_SESSION_H

#include <stdbool.h>

#include "launcher/engine.h"
#include "launcher/sandbox.h"
#include "sequencer/workspace.h"

#define SEQ_SESSION_HOME "/root"

struct seq_session {
	const struct seq_workspace *workspace;
	char *const *installer; /* NULL-terminated */
	enum launch_engine engine;
	const volatile bool *cancel;
};

/* Paths that the session itself made; for seq_scan. NULL-terminated, static. */
const char *const *seq_session_paths(void);

/* The upper is WORKSPACE/upper afterwards, with what either engine writes into one. The installer's own
 * failure is a status, not an error; that there is no such installer is both (127, or 126 when it may not be
 * executed). */
int seq_session_run(const struct seq_session *s, struct launch_status *ret, struct err *e) FLOE_MUST_USE;

#endif
