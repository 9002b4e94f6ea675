/* SPDX-License-Identifier: Apache-2.0 */
/* Proposing configuration files: what an installer or a launch has made where settings are kept, and what a
 * lens understands. Data, caches, state, secrets and the files of the system's own services are passed over.
 *
 * One thread; reading the files blocks on the disk. */
#ifndef FLOE_SEQ_PROPOSE_H
#define FLOE_SEQ_PROPOSE_H

#include "sequencer/capture.h"
#include "sequencer/learn.h"

/* Adds proposals, each path once. Files that no lens understands are passed over. */
int seq_propose(const struct seq_capture *c, struct seq_lesson *ret, struct err *e) FLOE_MUST_USE;
/* The same for what lies in an upper directory. */
int seq_propose_upper(const char *upper, const volatile bool *cancel, struct seq_lesson *ret,
		      struct err *e) FLOE_MUST_USE;

#endif
