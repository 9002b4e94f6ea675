/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the user that the application waits for the network, and when it is over: on the terminal when
 * standard error is one, else as a desktop notification where notify-send is installed and a session bus is
 * there.
 *
 * One line for a stall that lasts, one when that is over; no more than one stall in NOTICE_APART_MS is told.
 * One thread; never blocks (notify-send runs beside). */
#ifndef FLOE_LAUNCH_STALL_NOTICE_H
#define FLOE_LAUNCH_STALL_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct stall_notice {
	bool is_stalled, is_told;
	uint64_t since_ms, told_ms; /* told_ms: when one was last told, 0 = never */
	int64_t since_s;            /* wall clock */
	char why[sizeof(((struct err *)0)->msg)];
	void (*say)(const char *line); /* NULL = as above */
};

enum { STALL_NOTICE_AFTER_MS = 2000, STALL_NOTICE_APART_MS = 30000 };

/* `now_ms` is monotonic, `now_s` the wall clock. */
void stall_notice_news(struct stall_notice *n, bool is_stalled, const char *why, uint64_t now_ms,
		       int64_t now_s);
/* Says what is due. */
void stall_notice_tick(struct stall_notice *n, uint64_t now_ms);
/* Milliseconds until the next tick; -1 = none is needed. */
int stall_notice_due_ms(const struct stall_notice *n, uint64_t now_ms);

#endif
