/* SPDX-License-Identifier: Apache-2.0 */
/* Words for the person at the terminal. Only programs and verbs call this; libraries fill `err`.
 *
 * Lines go to standard error as "floe: <text>", whole lines at a time, any thread. */
#ifndef FLOE_BASE_LOG_H
#define FLOE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_QUIET = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

/* Called once, before the first line; `program` (a literal) becomes the prefix. */
void log_setup(const char *program, enum log_level level);
enum log_level log_get_level(void);

void log_error(const char *fmt, ...) FLOE_PRINTF(1, 2);  /* always  */
void log_note(const char *fmt, ...) FLOE_PRINTF(1, 2);   /* not with -q */
void log_detail(const char *fmt, ...) FLOE_PRINTF(1, 2); /* only with -v */

/* Progress of long work on one line that rewrites itself: amount, rate, remaining time. Silent
 * unless standard error is a terminal and -q was not given. One thread. */
struct log_progress {
	const char *what; /* borrowed */
	uint64_t total;   /* bytes or items; 0 = unknown */
	bool is_bytes;
	bool is_shown;
	uint64_t start_ms, last_ms;
};
void log_progress_start(struct log_progress *p, const char *what, uint64_t total, bool is_bytes);
void log_progress_step(struct log_progress *p, uint64_t done); /* cheap; redraws 10 times a second */
void log_progress_end(struct log_progress *p);                 /* clears the line */

#endif
