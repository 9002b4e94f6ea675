/* SPDX-License-Identifier: Apache-2.0 */
/* The rest of the package, when nobody reads: piece after piece in the order of the file, at most one request
 * at a time, with a pause as soon as somebody reads. */
#ifndef FLOE_STREAM_COMPLETE_H
#define FLOE_STREAM_COMPLETE_H

struct stream_package;

enum {
	COMPLETE_PIECE_MAX = 1024 * 1024, /* bytes of one request: what a reader may have to wait for */
	COMPLETE_PIECE_MIN = 128 * 1024,
};

/* Blocks until the package is complete, closes, or cannot be completed. */
void complete_run(struct stream_package *p);

#endif
