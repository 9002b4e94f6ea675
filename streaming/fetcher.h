/* SPDX-License-Identifier: Apache-2.0 */
/* Where bytes come from: one of floe's two seams. A fetcher reads ranges of one immutable object.
 *
 * Implementations: fetch_file.c, fetch_http.c. `size` and `identity` are known after the first
 * successful read. Threads: any number may read at once.
 *
 * ERR_NET: no answer, refused, reset, bad status (after the fetcher's own bounded, jittered retries);
 * ERR_CHANGED: the object is not the one that the first answer came from; ERR_NOTFOUND: there is no
 * such object; ERR_UNSUPPORTED: the server cannot serve ranges; ERR_INTERRUPTED: cancelled. */
#ifndef FLOE_STREAM_FETCHER_H
#define FLOE_STREAM_FETCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum { STREAM_IDENTITY_MAX = 256 };

/* Receives bytes as they arrive, in order; -1 stops the read with that error. */
typedef int stream_sink_fn(void *arg, const uint8_t *data, size_t len, struct err *e);

struct stream_counters {
	uint64_t requests; /* sent to the network; 0 for files */
	uint64_t bytes;    /* content bytes received */
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
};
struct stream_fetcher {
	const struct stream_fetcher_ops *ops;
};

struct stream_fetch_opt {
	unsigned connect_timeout_ms; /* 0 = 10,000 */
	unsigned stall_timeout_ms;   /* 0 = 15,000: below 1 KiB/s for so long ends the attempt */
	unsigned attempts;           /* 0 = 4 */
};

/* `source`: http://, https:// or file:// URL, or a path. */
int stream_fetcher_open(const char *source, const struct stream_fetch_opt *opt, struct stream_fetcher **ret,
			struct err *e) FLOE_MUST_USE;
bool stream_source_is_url(const char *source);

#endif
