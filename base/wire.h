/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between floe's processes: a list of named fields in one packet.
 *
 *   message := field*          field := le16 name length | le32 value length | name | value
 *
 * Names are 1-64 bytes without NUL, values up to the message's limit. Fields repeat; order is kept.
 * A reader checks the whole message before it hands out the first field, so that truncated or
 * garbled packets are refused as a whole. Values are bytes; the text accessors refuse NULs inside.
 *
 * Packets travel over SOCK_SEQPACKET sockets, one message each, with descriptors beside them.
 * One thread at a time per message; only wire_send / wire_recv block. */
#ifndef FLOE_BASE_WIRE_H
#define FLOE_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum { WIRE_MAX = 192 * 1024, WIRE_FDS_MAX = 8 };

/* ---- writing ------------------------------------------------------------------------------ */

struct wire_out {
	struct buf buf;
	int fds[WIRE_FDS_MAX]; /* borrowed until sent */
	size_t nfds;
};

#define WIRE_OUT_INIT                                                                                        \
	{                                                                                                    \
		.buf = BUF_INIT(WIRE_MAX)                                                                    \
	}
#define auto_wire_out __attribute__((cleanup(wire_out_fini)))

void wire_out_fini(struct wire_out *m);
int wire_put(struct wire_out *m, const char *name, const void *value, size_t len,
	     struct err *e) FLOE_MUST_USE;
int wire_put_str(struct wire_out *m, const char *name, const char *value, struct err *e) FLOE_MUST_USE;
int wire_put_u64(struct wire_out *m, const char *name, uint64_t value, struct err *e) FLOE_MUST_USE;
/* Attaches a descriptor (borrowed until sent); the receiver finds it by position. */
int wire_put_fd(struct wire_out *m, int fd, struct err *e) FLOE_MUST_USE;
/* Puts code, errno and message of `why` as fields; wire_error() at the other end restores them. */
int wire_put_err(struct wire_out *m, const struct err *why, struct err *e) FLOE_MUST_USE;
int wire_send(int sock, const struct wire_out *m, struct err *e) FLOE_MUST_USE;

/* ---- reading ------------------------------------------------------------------------------ */

struct wire_in {
	uint8_t *data; /* owned */
	size_t len;
	int fds[WIRE_FDS_MAX]; /* owned; -1 once stolen */
	size_t nfds;
};

#define WIRE_IN_INIT                                                                                         \
	{                                                                                                    \
		0                                                                                            \
	}
#define auto_wire_in __attribute__((cleanup(wire_in_fini)))

void wire_in_fini(struct wire_in *m);
/* 1 with a message, 0 when the peer has closed, -1 on error. */
int wire_recv(int sock, struct wire_in *m, struct err *e) FLOE_MUST_USE;
/* Checks and takes a copy of bytes that came another way. */
int wire_parse(const void *data, size_t len, struct wire_in *m, struct err *e) FLOE_MUST_USE;

struct wire_field {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	const uint8_t *value;
	size_t len;
};

/* Walks the fields: start with *pos = 0; false at the end. */
bool wire_next(const struct wire_in *m, size_t *pos, struct wire_field *ret);
bool wire_is_called(const struct wire_field *f, const char *name);
/* The first field of that name; false when there is none. */
bool wire_find(const struct wire_in *m, const char *name, struct wire_field *ret);
/* First field of that name as text / number. Missing or malformed is ERR_FORMAT. The text is a copy
 * that the caller frees. */
char *wire_str(const struct wire_in *m, const char *name, struct err *e) FLOE_MUST_USE;
/* The same with *ret NULL for "missing". */
int wire_str_or_none(const struct wire_in *m, const char *name, char **ret, struct err *e) FLOE_MUST_USE;
int wire_u64(const struct wire_in *m, const char *name, uint64_t *ret, struct err *e) FLOE_MUST_USE;
/* The same with a value for "missing"; malformed counts as missing. */
uint64_t wire_u64_or(const struct wire_in *m, const char *name, uint64_t fallback);
/* True when the field's text equals `text`. */
bool wire_is(const struct wire_in *m, const char *name, const char *text);
/* -1 with *e filled when the message carries an error, else 0. */
int wire_error(const struct wire_in *m, struct err *e) FLOE_MUST_USE;
/* Takes descriptor number `idx`; -1 when it is not there. */
int wire_steal_fd(struct wire_in *m, size_t idx);

#endif
