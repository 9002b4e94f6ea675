/* SPDX-License-Identifier: Apache-2.0 */
/* Content on its way into the cache, told to the other processes that share it, so that none of them asks the
 * network for what another one is receiving.
 *
 * A claim says "we fetch this": a write lock on one byte of DIR/transit, far behind its end, at a place that
 * follows from the package and the number of the chunk. The kernel keeps claims apart and takes them back
 * however their process ends. It is held from before the request until the content is durable, or will not
 * come. Claims of one process do not exclude each other: there, the package knows (flight.h).
 *
 * The file itself is a table that tells where in chunks.dat content lies that is not durable yet, so that who
 * waits for it gets it at once; and when something last arrived for a package. It is written without locks:
 * an entry may be torn, overwritten by another, or be left by a process that was killed. Whoever reads what
 * it points at compares digests. Where none of this works every claim is had, and the worst that follows is
 * that bytes come twice.
 *
 * Threads: any. Nothing here blocks but transit_await. */
#ifndef FLOE_STREAM_TRANSIT_H
#define FLOE_STREAM_TRANSIT_H

#include <stdbool.h>
#include <stdint.h>

#include "package-format/digest.h"

/* In place of a chunk's number: header and index. */
enum { TRANSIT_INDEX = (1 << 22) - 1 };

/* A place in the file; never 0. */
uint64_t transit_claim_of(const struct pkg_digest *root, uint32_t idx);

struct transit {
	int fd; /* -1 = does not work here */
};
void transit_open(int cache_dir_fd, struct transit *ret);
void transit_close(struct transit *t);

/* The claims first .. first+count-1: all or none. False: another process has one of them. */
bool transit_claim(const struct transit *t, uint64_t first, uint32_t count);
/* Also what was never claimed. Wakes who waits. */
void transit_unclaim(const struct transit *t, uint64_t first, uint32_t count);
bool transit_is_claimed_elsewhere(const struct transit *t, uint64_t claim);
/* Another process has claims of this package. */
bool transit_is_shared(const struct transit *t, const struct pkg_digest *root);

struct transit_place {
	uint64_t off; /* in chunks.dat */
	uint32_t len;
};
/* Wakes who waits. */
void transit_publish(const struct transit *t, const struct pkg_digest *digest,
		     const struct transit_place *place);
/* It is durable, or was not what it should be. */
void transit_withdraw(const struct transit *t, const struct pkg_digest *digest);
bool transit_find(const struct transit *t, const struct pkg_digest *digest, struct transit_place *ret);

/* Something of the package has come from the network, or was asked for. Also wakes. */
void transit_note_arrival(const struct transit *t, const struct pkg_digest *root);
/* For how many milliseconds nothing has, as far as anybody knows. */
uint64_t transit_silent_ms(const struct transit *t, const struct pkg_digest *root);

/* A descriptor that can be read when something above has happened since transit_watch_clear; -1 = there is
 * none to be had: look now and then. The caller closes it. */
int transit_watch(const struct transit *t);
void transit_watch_clear(int watch);

#endif
