/* SPDX-License-Identifier: Apache-2.0 */
/* System call filters as BPF programs. Never blocks; any thread. <seccomp.h> is included in filter.c, and
 * where rules are written: launcher/filter_application.c and sequencer/pretend.c. */
#ifndef FLOE_LAUNCH_FILTER_H
#define FLOE_LAUNCH_FILTER_H

#include <stddef.h>

#include "base/err.h"

/* Adds rules to a filter that allows everything: ctx is libseccomp's scmp_filter_ctx. Not 0 = failure. */
typedef int launch_filter_rules_fn(void *ctx, const void *arg);

/* The program, malloc'ed (struct sock_filter[]). Programs of the processor's other word size pass through the
 * same rules, unknown architectures get ENOSYS. ERR_UNSUPPORTED, ERR_NOMEM. */
int launch_filter_make(launch_filter_rules_fn *rules, const void *arg, void **ret, size_t *ret_len,
		       struct err *e) FLOE_MUST_USE;
/* The filter of every application: it takes away what reaches the machine or its other users. */
int launch_filter_application(void **ret, size_t *ret_len, struct err *e) FLOE_MUST_USE;

#endif
