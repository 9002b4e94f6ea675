/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping a FUSE server and its client on one processor, where there are two.
 *
 * A request is a conversation: one sleeps while the other works. The kernel wakes a sleeper on an idle
 * processor if there is one, so that on a machine of two they end up one on each, and each word wakes a
 * processor that has halted. On a virtual machine that takes 15 to 30 us, twice a request; the work takes 10
 * to 20. A thread of its own, the keeper, ends that while requests are many: it keeps one processor awake and
 * the server bound to the other, and the client, for which no idle one is left, joins the server. When the
 * client is where the keeper is (it interrupts the keeper with every request), the two change places.
 *
 * When more than two clients take turns, there is work for both processors: the keeper stands aside.
 *
 * The keeper has the lowest priority (nice 19), stops as soon as it is kept from the processor for longer
 * than a client takes, and then stays away for a while, longer each time. Nothing of it outlives a pause of
 * 200 us.
 *
 * Measured here, 2 virtual processors, RAM disk, 6 rounds: unpacking 2,000 files 0.27-0.33 s instead of
 * 0.56-0.87, removing them 0.10-0.11 instead of 0.15-0.30, 10,000 writes of 4 KiB 0.14-0.16 instead of
 * 0.26-0.60. What was tried instead: a server that looks for the next request before it sleeps (0.56-0.87:
 * its client sleeps on a processor that halts), one that follows its client (which drives it away), keepers
 * of policy SCHED_IDLE (their processor counts as idle). */
#ifndef FLOE_VFS_FUSE_PAIR_H
#define FLOE_VFS_FUSE_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_pair { /* all zeros: not in use */
	int cpus[2];
	bool has_two;
	unsigned away, away_next; /* calls of _keep that do nothing; the keeper's */
	atomic_uint_fast64_t taken, turns;
	atomic_uint_fast32_t last, other; /* whose the last request was, and the last of another */
	atomic_int server, server_cpu;    /* thread that took the last request, and where */
};

/* Any thread, before the others are used. Without exactly two processors, _keep does nothing. */
void fuse_pair_init(struct fuse_pair *p);
/* By the server's thread that has just taken a request of thread `client` (0 = nobody waits). */
void fuse_pair_took(struct fuse_pair *p, uint32_t client);
uint64_t fuse_pair_taken(struct fuse_pair *p);
/* How often a request was a third client's: two take turns without a crowd. */
uint64_t fuse_pair_turns(struct fuse_pair *p);
/* The keeper, a thread of its own, whose priority this lowers for good. Returns when requests come no longer,
 * or somebody else needs the processor; both threads may then be anywhere again. */
void fuse_pair_keep(struct fuse_pair *p);

#endif
