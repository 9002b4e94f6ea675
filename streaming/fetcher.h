/* SPDX-License-Identifier: Apache-2.0 */
/* Where bytes come from: one of floe's two seams. A fetcher reads ranges of one immutable object.
 *
 * Implementations: fetch_file.c, fetch_http.c. `size` and `identity` are known before the
 * first byte reaches a sink. Threads: any number may read at once.
 *
 * ERR_NET: no answer, refused, reset, bad status (after the fetcher's own bounded, jittered retries);
 * ERR_CHANGED: the object is not the one that the first answer came from; ERR_NOTFOUND: there is no
 * such object; ERR_UNSUPPORTED: the server can serve neither ranges nor the whole; ERR_INTERRUPTED:
 * cancelled. */
#ifndef FLOE_STREAM_FETCHER_H
#define FLOE_STREAM_FETCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "streaming/source.h"

enum { STREAM_IDENTITY_MAX = 256 };

/* Receives bytes as they arrive, in order (len 0: a sign of life); -1 stops the read with that error. Runs in
 * the thread that called read and may take its time: the transfer waits for it. */
typedef int stream_sink_fn(void *arg, const uint8_t *data, size_t len, struct err *e);

struct stream_counters {
	uint64_t requests; /* sent to the network; 0 for files */
	uint64_t bytes;    /* content bytes received, up to this moment */
	uint64_t wholes;   /* answers that were the whole object, though a part was asked for */
	unsigned waiting;  /* reads that wait for the network right now, not for their sink */
};

struct stream_fetch_opt {
	unsigned connect_timeout_ms; /* 0 = 10,000 */
	unsigned stall_timeout_ms;   /* 0 = 15,000: below 1 KiB/s for so long ends the attempt */
	unsigned attempts;           /* 0 = 4 */
	/* A server without ranges is refused (ERR_UNSUPPORTED) unless all is wanted; else what comes before a
	 * range is received as well, and passed over. */
	bool ranges_only;
};

struct stream_fetcher;
struct stream_fetcher_ops {
	/* Blocks until all of [off, off+len), cut at the end of the object, has gone to the sink, or fails.
	 * The length actually delivered is what the sink saw. */
	int (*read)(struct stream_fetcher *f, uint64_t off, uint64_t len, stream_sink_fn *sink, void *arg,
		    struct err *e);
	/* Makes every read that waits end with ERR_INTERRUPTED, now and from now on. */
	void (*cancel)(struct stream_fetcher *f);
	void (*close)(struct stream_fetcher *f);
	void (*counters)(struct stream_fetcher *f, struct stream_counters *ret);
	/* Object length, 0 while unknown; identity text (strong ETag, or Last-Modified + length, or
	 * device:inode:size:mtime), "" while unknown. */
	uint64_t (*size)(struct stream_fetcher *f);
	void (*identity)(struct stream_fetcher *f, char ret[STREAM_IDENTITY_MAX]);
	/* Other time limits for the reads that start from now on; zeros mean the defaults. */
	void (*retune)(struct stream_fetcher *f, const struct stream_fetch_opt *opt);
	/* What the calling thread read last was wrong: from now on caches on the way are told to ask the
	 * origin, and another origin is asked. True when there is one that has not been wrong yet. */
	bool (*distrust)(struct stream_fetcher *f);
	/* Forgets which object the answers came from; the next answer decides. The caller then compares the
	 * header. With `length_only`, later answers are held to the length alone: for origins whose servers
	 * disagree about the ETag of one file. */
	void (*unpin)(struct stream_fetcher *f, bool length_only);
};
struct stream_fetcher {
	const struct stream_fetcher_ops *ops;
};

/* `source`: http://, https:// or file:// URL, or a path. */
int stream_fetcher_open(const char *source, const struct stream_fetch_opt *opt, struct stream_fetcher **ret,
			struct err *e) FLOE_MUST_USE;

#endif
