/* SPDX-License-Identifier: Apache-2.0 */
/* The last step of making a package: header, index and stored chunks into one file that appears under its
 * name complete, durable and signed, or not at all. Private to the writer; blocks on the disk. */
#ifndef FLOE_PKG_ASSEMBLE_H
#define FLOE_PKG_ASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "package-format/header.h"

struct pkg_run {
	uint64_t off, len;
};

struct pkg_assembly {
	const void *index; /* compressed; borrowed, as all here */
	size_t index_len;
	uint64_t index_content_len;
	int chunks_fd;
	const struct pkg_run *runs; /* ranges of chunks_fd, in the order in which they shall lie */
	size_t run_count;
	uint64_t feature_block_len; /* of the runs' beginning */
	const volatile bool *cancel;
};

/* The directory that `path` lies in; caller frees. */
char *pkg_assemble_dir(const char *path, struct err *e) FLOE_MUST_USE;
/* An unnamed file there for chunks under way; nothing is left of it whatever happens. */
int pkg_assemble_scratch(const char *out_path, struct err *e) FLOE_MUST_USE;
int pkg_assemble(const struct pkg_assembly *a, const struct pkg_secret_key *key, const char *out_path,
		 struct pkg_header *ret, struct err *e) FLOE_MUST_USE;

#endif
