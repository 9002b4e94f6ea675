/* SPDX-License-Identifier: Apache-2.0 */
/* Errors travel as a value that the caller owns: no heap, no globals, safe from any thread.
 *
 * A function that takes `struct err *e` returns 0 or -1; on -1 it has filled *e and has left its
 * other outputs untouched. `e` is never NULL. A fresh `struct err` needs no initialisation.
 * None of these functions block or allocate. */
#ifndef FLOE_BASE_ERR_H
#define FLOE_BASE_ERR_H

#include <stdarg.h>

#define FLOE_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define FLOE_MUST_USE           __attribute__((warn_unused_result))

enum err_code {
	ERR_NONE,
	ERR_USAGE, /* the user asked for something that makes no sense      */
	ERR_NOMEM,
	ERR_IO, /* the system said no; `sys` is the errno                */
	ERR_NOTFOUND,
	ERR_EXISTS,
	ERR_DENIED,      /* permissions                                           */
	ERR_TRUST,       /* signature by a key that nobody here trusts, or policy */
	ERR_FORMAT,      /* bytes do not follow their specification               */
	ERR_INTEGRITY,   /* bytes parse but a digest or a signature is wrong      */
	ERR_LIMIT,       /* valid, but larger than the limits we were given       */
	ERR_NET,         /* an origin does not answer, or answers nonsense        */
	ERR_CHANGED,     /* the origin now serves another version                 */
	ERR_UNSUPPORTED, /* this kernel, machine or version cannot do it          */
	ERR_BUSY,
	ERR_INTERRUPTED,
};

struct err {
	enum err_code code;
	int sys;       /* errno, or 0 */
	char msg[480]; /* one line, no newline at its end */
};

/* All three return -1, so that reporting and returning is one line. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) FLOE_PRINTF(3, 4);
/* Message becomes "<fmt>: <strerror(sys)>"; the code follows from `sys`. */
int err_sys(struct err *e, int sys, const char *fmt, ...) FLOE_PRINTF(3, 4);
/* Puts context in front: "<fmt>: <old message>". */
int err_wrap(struct err *e, const char *fmt, ...) FLOE_PRINTF(2, 3);

/* Compilers cannot see into err.c; this tells them about the -1, so that they do not warn that an output
 * which only success writes may be read unwritten. */
static inline int err_minus_one(int ignored)
{
	(void)ignored;
	return -1;
}
#define err_set(...)  err_minus_one(err_set(__VA_ARGS__))
#define err_sys(...)  err_minus_one(err_sys(__VA_ARGS__))
#define err_wrap(...) err_minus_one(err_wrap(__VA_ARGS__))

/* The one place where an error becomes an errno: FUSE replies and the shim. Never 0. */
int err_to_errno(const struct err *e);

/* The exit status that a verb owes its caller: 126 for ERR_TRUST, 127 for "no such command" is the
 * launcher's own business, everything else 125. */
int err_exit_status(const struct err *e);

#endif
