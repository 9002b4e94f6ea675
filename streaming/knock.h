/* SPDX-License-Identifier: Apache-2.0 */
/* The first connection to an origin, begun by a process before anything else (dial.h), in a thread, in which
 * libcurl is loaded meanwhile; or by another process before that. The first transfer to that host and port
 * takes the connection over, or makes its own. */
#ifndef FLOE_STREAM_KNOCK_H
#define FLOE_STREAM_KNOCK_H

#include <stdbool.h>

#include "base/mem.h"

/* Once for a process, before other threads use the network. Never blocks. `dialled`: where another process
 * sends the connection (stream_dial_elsewhere), taken over; -1 = this one makes it. */
void stream_knock(const char *url, int dialled);

struct stream_knocked {
	int fd;        /* connected, non-blocking */
	char *resolve; /* "+HOST:PORT:ADDRESS": what libcurl is to know of the host */
};

/* The connection, when there is one to the URL's host and port: once. Waits for it, at most until a second
 * has passed since stream_knock. The caller closes and frees. Any thread. */
bool stream_knock_take(const char *url, struct stream_knocked *ret);

#endif
