/* SPDX-License-Identifier: Apache-2.0 */
/* The first connection to an origin, begun by a process before anything else: the name is looked up and the
 * connection made in a thread, in which then libcurl is loaded, while the process opens what it needs. The
 * first transfer to that host and port takes the connection over, or makes its own.
 *
 * Over IPv6 and IPv4 like libcurl: the second family when the first has not answered for a moment. Not where
 * the environment names a proxy. Whatever fails here comes to nothing: libcurl tries itself, and says why. */
#ifndef FLOE_STREAM_KNOCK_H
#define FLOE_STREAM_KNOCK_H

#include <stdbool.h>

#include "base/mem.h"

/* Once for a process, before other threads use the network. Never blocks. */
void stream_knock(const char *url);

struct stream_knocked {
	int fd;        /* connected, non-blocking */
	char *resolve; /* "+HOST:PORT:ADDRESS": what libcurl is to know of the host */
};

/* The connection, when there is one to the URL's host and port: once. Waits for it, at most until a second
 * has passed since stream_knock. The caller closes and frees. Any thread. */
bool stream_knock_take(const char *url, struct stream_knocked *ret);

#endif
