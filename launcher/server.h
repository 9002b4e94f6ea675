/* SPDX-License-Identifier: Apache-2.0 */
/* A server of floe's as its parent sees it: a process and a socket (launcher/server_protocol.h says what goes
 * over it). It leaves by itself when the parent's end closes. libc only; one thread. */
#ifndef FLOE_LAUNCH_SERVER_H
#define FLOE_LAUNCH_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct launch_server {
	pid_t pid; /* 0 = none */
	int sock;  /* -1 = none */
};

#define LAUNCH_SERVER_NONE                                                                                   \
	{                                                                                                    \
		.sock = -1                                                                                   \
	}

struct launch_server_opt {
	const char *forget;           /* a mount that it must not see: it gets a mount namespace without it */
	const char *cache_home;       /* becomes its XDG_CACHE_HOME */
	const char *const *variables; /* NAME=VALUE, NULL at the end: added to its environment */
	/* It takes part of our power in our user namespace along: what LAUNCH_SERVER_WRITES_ALL
	 * (launcher/server_process.h) keeps. Real root's servers have theirs anyway. */
	bool writes_all;
	/* Becomes its LAUNCH_SERVER_DIALLED_FD; NULL = none. Borrowed. */
	const int *dialled;
};

/* Starts libexec/floe/argv[0], in a process group of its own, away from the terminal's signals. opt may be
 * NULL. */
int launch_server_start(const char *const argv[], const struct launch_server_opt *opt,
			struct launch_server *ret, struct err *e) FLOE_MUST_USE;
/* Closes our end and forgets the process: whoever waits for children reaps it. */
void launch_server_release(struct launch_server *s);
/* Closes our end, kills and reaps it. */
void launch_server_stop(struct launch_server *s);

#endif
