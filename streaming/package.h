/* SPDX-License-Identifier: Apache-2.0 */
/* A package opened from a path or URL: verified header and index, and chunks on demand.
 *
 * Cold, one request (STREAM_START_REQUEST bytes, ended early when less is needed) carries the header, the
 * index and the head of the primary feature block; the package is open as soon as the index is there and
 * right, while the rest arrives. What is beyond follows in one more request, sent at that moment, beside
 * the first. Each chunk is handed to whoever waits for it as it arrives. Chunks outside the block are
 * merged into few requests (over gaps of what is here up to 32 KiB, at most 4 MiB each), one in flight per
 * chunk however many want it; foreground before prefetch. Everything is verified before it is seen and goes
 * into the cache. A cached chunk that is wrong is fetched again.
 *
 * Threads: any. */
#ifndef FLOE_STREAM_PACKAGE_H
#define FLOE_STREAM_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/header.h"
#include "package-format/index.h"
#include "streaming/cache.h"
#include "streaming/fetcher.h"

enum {
	STREAM_START_REQUEST = 32 * 1024 * 1024,
	STREAM_FIRST_REQUEST = 256 * 1024, /* the same with no_prefetch */
};

struct stream_package; /* opaque */

struct stream_package_opt {
	struct stream_cache
		*cache; /* borrowed; NULL = none: everything is fetched and kept in memory only briefly */
	const char
		*config_dir; /* trust store; NULL = do not check trust (verify, info, extract --no-trust) */
	bool trust_once;     /* accept an unknown signer this time; never a revoked one */
	bool offline;        /* never ask the network: cache or ERR_NET */
	/* The version that is wanted: when the cache has it, it opens without a question to the origin, which
	 * is asked before the first fetch. Another one may open all the same. NULL = what the origin has now.
	 */
	const struct pkg_digest *root;
	/* More origins of the same package, asked when `source`, which stays its name in the cache, does not
	 * serve well (fetch_mirrors.h). With them, an origin that has another version than `root` is left
	 * out.
	 */
	const char *const *mirrors;
	size_t mirror_count;
	/* Header and index are put into the cache beside what comes after the opening, not before. */
	bool remembers_later;
	bool no_prefetch; /* do not read the primary feature block ahead (info, ls) */
	/* Length of header, index and primary feature block when the caller knows it, so that one request
	 * brings just that; 0 = unknown. */
	uint64_t start_len;
	unsigned fail_after_s; /* loss of the network: 0 = keep trying until interrupted, else ERR_NET after
				  so long */
	/* Where first touches are recorded (stream_package_launch) for the next cold start, which prefetches
	 * them behind the primary feature block: the cache's directory. NULL = nothing is learnt nor
	 * replayed; with no_prefetch, only learnt. */
	const char *profile_dir;
	/* When nobody has read anything for so long, the rest of the package is fetched into the cache, with
	 * pauses for readers; 0 = never. */
	unsigned complete_after_s;
	uint64_t complete_rate; /* at most so many bytes a second for that; 0 = as fast as they come */
	/* False: not now, ask again in a minute (on battery, say). From a thread of the package's; NULL =
	 * always. */
	bool (*may_complete)(void *arg);
	void *may_complete_arg;
	size_t memory_max;   /* decompressed chunks kept in memory; 0 = 16 MiB */
	size_t memory_first; /* instead, until the first stream_package_keep; 0 = memory_max */
	struct stream_fetch_opt fetch;
	/* Loss of the network and its return, for a notice; from any thread; may be NULL. */
	void (*on_stall)(void *arg, bool is_stalled, const char *why);
	void *on_stall_arg;
};

/* When the origin does not answer and the cache knows the source, opens from the cache
 * (stream_package_is_offline). Borrowed strings are copied. ERR_TRUST, ERR_INTEGRITY, ERR_FORMAT, ... */
int stream_package_open(const char *source, const struct stream_package_opt *opt, struct stream_package **ret,
			struct err *e) FLOE_MUST_USE;
void stream_package_close(struct stream_package *p); /* NULL ok; cancels what is in flight */

const struct pkg_header *stream_package_header(const struct stream_package *p);
struct pkg_index *stream_package_index(const struct stream_package *p); /* borrowed */
bool stream_package_is_offline(const struct stream_package *p);

/* A command of the package, or a program by its path, is being launched (NULL = the default command): what it
 * touched earlier is prefetched, what is read from now on is what it touches. Only its first launch while the
 * package is open counts. Never blocks. */
void stream_package_launch(struct stream_package *p, const char *command);
/* The chunks that launches of a command touched first, in order, of those that this version has; the caller
 * frees. ERR_NOTFOUND when nothing was learnt of it. Blocks on the local disk. */
int stream_package_learnt(struct stream_package *p, const char *command, uint32_t **ret, size_t *ret_count,
			  struct err *e) FLOE_MUST_USE;

enum stream_package_verdict {
	STREAM_PACKAGE_CURRENT,
	STREAM_PACKAGE_REPLACED, /* the origin has another package now; what is not here of ours is gone */
	STREAM_PACKAGE_UNKNOWN,  /* it does not answer, or must not be asked */
};
typedef void stream_package_verdict_fn(void *arg, enum stream_package_verdict verdict);
/* Whether the origin still has this package: `tell` is called once, from a thread of the package's, at most a
 * few seconds later and before the package is closed. Never blocks. */
int stream_package_ask(struct stream_package *p, stream_package_verdict_fn *tell, void *arg,
		       struct err *e) FLOE_MUST_USE;

/* From now on so many bytes of decompressed chunks are kept in memory; 0 = memory_max again. A launch reads
 * from the same ones again and again. Never blocks. */
void stream_package_keep(struct stream_package *p, size_t bytes);

struct stream_chunk { /* immutable while referenced */
	const uint8_t *data;
	size_t len;
};
/* Blocks until the chunk is there. `is_cancelled` (may be NULL) is asked a few times a second while
 * waiting; true ends the wait with ERR_INTERRUPTED. Give back with _unref. */
int stream_package_chunk(struct stream_package *p, uint32_t chunk_idx, bool (*is_cancelled)(void *arg),
			 void *arg, struct stream_chunk **ret, struct err *e) FLOE_MUST_USE;
void stream_chunk_unref(struct stream_package *p, struct stream_chunk *c); /* NULL ok */
/* Wants chunks soon; never blocks. */
void stream_package_hint(struct stream_package *p, uint32_t first_idx, uint32_t count);
/* Blocks while other processes that share the cache fetch parts of this package, or have yet to make them
 * durable: what was read here may have come from there. Ends also when they have received nothing for some
 * time, and when `is_cancelled`. */
void stream_package_await_others(struct stream_package *p, bool (*is_cancelled)(void *arg), void *arg);
/* In memory, until others need the room. Never blocks. */
bool stream_package_is_loaded(struct stream_package *p, uint32_t chunk_idx);
/* True when a read of this chunk would not touch the network. */
bool stream_package_has(struct stream_package *p, uint32_t chunk_idx);

/* Content bytes [off, off+len) of an inode, holes as zeros, cut at its size; *ret_len may be short
 * only at the end. Reads ahead on sequential access behind the primary feature block. */
int stream_package_read(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len,
			uint8_t *ret, size_t *ret_len, bool (*is_cancelled)(void *arg), void *arg,
			struct err *e) FLOE_MUST_USE;

enum { STREAM_PIECES = 2 };
struct stream_piece {
	struct stream_chunk *chunk; /* referenced */
	const uint8_t *data;
	size_t len;
};
/* The same without a copy, where the bytes lie in at most STREAM_PIECES places without a hole; else
 * *ret_count is 0 and nothing was read. Give back with _unref. */
int stream_package_borrow(struct stream_package *p, const struct pkg_inode *inode, uint64_t off, size_t len,
			  struct stream_piece ret[STREAM_PIECES], size_t *ret_count,
			  bool (*is_cancelled)(void *arg), void *arg, struct err *e) FLOE_MUST_USE;
void stream_pieces_unref(struct stream_package *p, const struct stream_piece *pieces, size_t count);

struct stream_package_stats {
	struct stream_counters net;
	uint64_t chunks_fetched, chunks_from_cache, chunks_wrong /* cached, failed their digest */;
	uint64_t prefetch_requests;
};
void stream_package_stats(struct stream_package *p, struct stream_package_stats *ret);

#endif
