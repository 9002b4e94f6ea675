/* SPDX-License-Identifier: Apache-2.0 */
/* A child of floe's that does what changes a process for ever, and hands back one fixed-size account. One
 * thread. */
#ifndef FLOE_SEQ_CHILD_H
#define FLOE_SEQ_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

struct seq_child {
	pid_t pid;
	int report; /* in the child: where seq_child_report writes; in the parent: where it reads */
};

/* 1 in the child, 0 in the parent. */
int seq_child_fork(struct seq_child *ret, struct err *e) FLOE_MUST_USE;
/* In the child: sends the account and ends the process. */
_Noreturn void seq_child_report(const struct seq_child *c, const void *account, size_t len);
/* In the parent: waits for the account and the end. When *cancel becomes true the child gets SIGTERM, which
 * it is trusted to obey. ERR_IO when it died without an account. */
int seq_child_wait(struct seq_child *c, void *account, size_t len, const volatile bool *cancel,
		   struct err *e) FLOE_MUST_USE;

#endif
