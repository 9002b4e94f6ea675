/* SPDX-License-Identifier: Apache-2.0 */
/* What a process leaves behind when it dies by a signal: where it was, and what it was last asked.
 *
 * It lies in a memfd, the *area*, that the parent makes and keeps (launcher/crash_report.h makes a report of
 * it), so that the requests are there after SIGKILL, too. In the dying process nothing is written but that
 * memory: a handler on a stack of its own takes the stack and the code's mappings, and lets the signal take
 * its course, without a core dump. Whoever reads an area reads another process's memory: nothing in it is to
 * be trusted. */
#ifndef FLOE_BASE_CRASH_H
#define FLOE_BASE_CRASH_H

#include <stdint.h>

enum {
	CRASH_FD = 4, /* where a server finds its area */
	CRASH_REQUESTS = 64,
	CRASH_FRAMES = 64,
	CRASH_MAPS_MAX = 32 * 1024,
};

/* Kinds of requests: FUSE's opcodes, and beyond them: */
enum { CRASH_SETTINGS = 1000, CRASH_CONTROL };

struct crash_request {
	uint64_t at_ms; /* sync_now_ms(); 0 = none */
	uint64_t node;
	uint32_t what;
	uint32_t thread;
};

struct crash_head {
	char magic[8];
	uint64_t size; /* of struct crash_area */
	uint64_t started_ms;
};

struct crash_area {
	struct crash_head head;
	uint32_t next;     /* requests noted so far */
	uint32_t progress; /* 0 = not died by a handled signal, 1 = the rest is being filled, 2 = it is whole
			    */
	struct crash_request requests[CRASH_REQUESTS]; /* a ring: number n in slot n mod CRASH_REQUESTS */
	uint64_t died_ms;
	uint64_t address; /* of a bad access */
	uint64_t frames[CRASH_FRAMES];
	uint32_t frame_count;
	int32_t signal, code;
	int32_t sender; /* pid, when a process sent the signal; else 0 */
	uint32_t thread;
	char thread_name[16];
	uint32_t maps_len;
	char maps[CRASH_MAPS_MAX]; /* lines of /proc/PID/maps with code */
};

/* The parent's: a new area, close-on-exec, never a low number; -1 when there is none to be had. */
int crash_area_make(void);

/* The child's, early: takes the area at `fd` and closes that. Whatever else `fd` is, is left alone. */
void crash_adopt(int fd);
/* Handles SIGSEGV, SIGBUS, SIGABRT, SIGFPE and SIGILL from now on, and switches core files off. `last` (NULL
 * = none) is called in the handler when the area is filled; async-signal-safe things only. Nothing without an
 * area. */
void crash_listen(void (*last)(void));
/* One request begins. Never blocks, any thread; a few nanoseconds. Its first call in a thread gives that
 * thread a stack for the handler. */
void crash_note(uint32_t what, uint64_t node);

#endif
