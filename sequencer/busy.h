/* SPDX-License-Identifier: Apache-2.0 */
/* How much a process and its descendants have computed, from /proc. One thread; never blocks for long. */
#ifndef FLOE_SEQ_BUSY_H
#define FLOE_SEQ_BUSY_H

#include <stdint.h>
#include <sys/types.h>

/* Milliseconds of processor time of all living descendants of `root` and itself. What has ended no longer
 * counts, so that the sum may shrink. */
uint64_t seq_busy_ms(pid_t root);

#endif
