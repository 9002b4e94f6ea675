/* SPDX-License-Identifier: Apache-2.0 */
/* The installer's seccomp filter: what a pretended root cannot really do is answered with success, what
 * would reach the machine itself is, too. Works for static programs and any language, since it is the
 * kernel that answers. Never blocks. <seccomp.h> is included only in pretend.c. */
#ifndef FLOE_SEQ_PRETEND_H
#define FLOE_SEQ_PRETEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* `is_real_root`: ownership, identity and device nodes are then real. malloc'ed struct sock_filter[]. */
int seq_pretend_filter(bool is_real_root, void **ret, size_t *ret_len, struct err *e) FLOE_MUST_USE;

#endif
