/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the host and port of a URL, before there is anything to say: the name is looked up, its
 * first address tried, and the first one of the other family as well when that has not answered for a moment,
 * as libcurl does. In this process, or in one that is started for it by whoever can be first to do so, and
 * sends the connection to whoever needs it.
 *
 * Whatever fails here comes to nothing: who transfers connects himself then, and says why. libc only. */
#ifndef FLOE_STREAM_DIAL_H
#define FLOE_STREAM_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "streaming/source.h"

struct stream_dialled {
	int fd;        /* connected, non-blocking; the caller closes */
	char *address; /* of the other side, as in a URL; the caller frees */
};

/* False for what cannot be dialled: not a plain host in the URL, or the environment names a proxy. */
bool stream_dial_is_possible(const char *url, struct stream_source_host *ret);
/* Until `until_ms` on sync_now_ms's clock, and as long as the name takes. `meanwhile` (NULL ok) is called
 * when the first attempt is under way. Blocks; any thread. */
bool stream_dial(const struct stream_source_host *host, uint64_t until_ms, void (*meanwhile)(void),
		 struct stream_dialled *ret);
/* Starts a process that dials, for a second or two, and sends what comes of it over a socket: the descriptor
 * of its other end, or -1. The caller must have one thread. Does not wait for any of that. */
int stream_dial_elsewhere(const char *url);
/* From that descriptor, which stays the caller's. Blocks, at most until `until_ms`. */
bool stream_dial_receive(int sock, uint64_t until_ms, struct stream_dialled *ret);

#endif
