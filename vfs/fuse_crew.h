/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that serve a FUSE connection: who is at the descriptor, and who waits to be called.
 *
 * Each thread asks for a request, handles it, and comes back:
 *
 *	while (reads a request) { fuse_crew_leave(c); handles it; fuse_crew_return(c); }
 *
 * One thread at the descriptor is enough, and more do harm: the kernel wakes one that sleeps in read(2) for
 *each request, though another that is awake takes it. The others are parked. Who is at the descriptor goes on
 *to handle what it took; if that takes long, another is called:
 *
 *   - a crew for quick requests: after a millisecond or two, by a thread that watches as long as there are
 *     requests; when more are there all the time than one thread handles, another one stays; when more than
 *two clients take turns, there are two as long as they do, and nobody is woken in vain;
 *   - other crews: at once.
 *
 * Threads start as they are needed and never end before the crew does. */
#ifndef FLOE_VFS_FUSE_CREW_H
#define FLOE_VFS_FUSE_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct fuse_crew; /* opaque */

struct fuse_crew_opt {
	void (*serve)(void *arg); /* of each thread; may return only when the crew is being ended */
	void *arg;
	unsigned threads; /* at most, 1 .. 256 */
	bool is_quick;
};

int fuse_crew_open(const struct fuse_crew_opt *opt, struct fuse_crew **ret, struct err *e) FLOE_MUST_USE;
void fuse_crew_close(struct fuse_crew *c); /* NULL ok; not while _run runs */
/* Starts the first thread and blocks until fuse_crew_end; then all threads have returned. They get
 * SIGUSR1, which must interrupt read(2), until they are out. */
int fuse_crew_run(struct fuse_crew *c, struct err *e) FLOE_MUST_USE;
/* Any thread, any time. */
void fuse_crew_end(struct fuse_crew *c);
/* From here on there may be more than one thread. */
void fuse_crew_allow(struct fuse_crew *c);

/* By the crew's threads: a request of thread `client` (0 = nobody waits) has been taken; the next is wanted.
 * _return may block for long. */
void fuse_crew_leave(struct fuse_crew *c, uint32_t client);
void fuse_crew_return(struct fuse_crew *c);

#endif
