/* SPDX-License-Identifier: Apache-2.0 */
/* Reports on processes of floe's that died by a signal: text files in $XDG_STATE_HOME/floe/crashes.
 *
 * At most one for each program and ten minutes, at most 20 in all (the oldest go), whole or not at all, mode
 * 0600. That one cannot be written is nobody's error. The holder is single-threaded and does not wait: the
 * writing is done by a child of its. libc only. */
#ifndef FLOE_LAUNCH_CRASH_REPORT_H
#define FLOE_LAUNCH_CRASH_REPORT_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/mem.h"

enum { LAUNCH_CRASHES_MAX = 20, LAUNCH_CRASH_APART_S = 600 };

/* ---- the holder's part --------------------------------------------------------------------- */

/* A server was started with this crash area (base/crash.h; taken over, -1 = none). argv[0] is its name, the
 * rest says what it serves. */
void launch_crash_watch(pid_t pid, const char *const argv[], int area);
/* waitpid said so. Reports when it died by a signal that nobody sends to end a server in peace; forgets it.
 */
void launch_crash_reaped(pid_t pid, int status);
/* The calling process itself: /proc/self/exe, started again as "PROGRAM --crash-report PID", must then call
 * launch_crash_of_parent. `program` is a literal. */
void launch_crash_watch_self(const char *program);
/* That PROGRAM's whole business. Returns the exit status. */
int launch_crash_of_parent(const char *program, const char *pid);

/* ---- the reports ----------------------------------------------------------------------------- */

struct launch_crash {
	const char *program, *serves; /* serves: may be NULL */
	pid_t pid;
	int signal;
	uint64_t ended_ms; /* sync_now_ms() when that was noticed */
	int area;          /* -1 = none */
};

/* The report as text. `now` is when it died. */
int launch_crash_print(const struct launch_crash *c, time_t now, struct buf *ret,
		       struct err *e) FLOE_MUST_USE;
/* Writes it into `dir` (made when it is not there), unless there is a recent one: ERR_BUSY. */
int launch_crash_write(const struct launch_crash *c, const char *dir, time_t now,
		       struct err *e) FLOE_MUST_USE;

struct launch_crash_summary {
	unsigned count; /* of reports younger than `since` */
	time_t newest;  /* 0 = none */
	char name[256]; /* of the newest */
};
/* No directory, no reports. */
int launch_crash_summarise(const char *dir, time_t since, struct launch_crash_summary *ret,
			   struct err *e) FLOE_MUST_USE;
/* $XDG_STATE_HOME/floe/crashes. */
char *launch_crash_dir(struct err *e) FLOE_MUST_USE;

#endif
