/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files among what a launch has written below its home directory. */
#ifndef FLOE_SEQ_LEARN_CONFIG_H
#define FLOE_SEQ_LEARN_CONFIG_H

#include "sequencer/learn.h"

/* Adds proposals, each path once. Files that no lens understands are passed over. */
int seq_learn_config(const char *upper, const volatile bool *cancel, struct seq_lesson *ret,
		     struct err *e) FLOE_MUST_USE;

#endif
