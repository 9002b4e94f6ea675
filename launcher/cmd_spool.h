/* SPDX-License-Identifier: Apache-2.0 */
/* A package's chunks for who uses them in an order of his own, each fetched once and in the order of the
 * package's file: what will be used after a later chunk waits in a file without a name. One thread. */
#ifndef FLOE_LAUNCH_CMD_SPOOL_H
#define FLOE_LAUNCH_CMD_SPOOL_H

#include "launcher/cmd_ahead.h"

struct cmd_spool {
	struct cmd_ahead ahead;
	uint8_t *uses;  /* per chunk: SPOOL_* */
	uint64_t *offs; /* per chunk that waits: where; else nothing */
	uint32_t highest;
	int fd;
};

/* `p` is borrowed. After a failure _fini is due, too. */
int cmd_spool_init(struct cmd_spool *s, struct stream_package *p, struct err *e) FLOE_MUST_USE;
void cmd_spool_fini(struct cmd_spool *s); /* zeroed with fd -1 ok */
/* Told of each use, in order, before the first. */
void cmd_spool_plan(struct cmd_spool *s, uint32_t chunk_idx);
/* Fetches what will have to wait, with progress; the file is in the directory dir_fd. */
int cmd_spool_fill(struct cmd_spool *s, int dir_fd, struct err *e) FLOE_MUST_USE;
/* A use: writes the extent's bytes to fd, at extent->file_off. */
int cmd_spool_write(struct cmd_spool *s, const struct pkg_extent *extent, int fd,
		    struct err *e) FLOE_MUST_USE;

#endif
