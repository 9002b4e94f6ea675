/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a sandbox, and the words between it and the process that waits outside.
 *
 * The init starts the application, reaps everything, reports, and is the last to leave. Packets of
 * one struct launch_event over a SOCK_SEQPACKET pair. When the outer process dies before the main program has
 * ended, or when the holder (lease) goes, the init ends the whole sandbox: nothing is left behind. */
#ifndef FLOE_LAUNCH_INIT_H
#define FLOE_LAUNCH_INIT_H

#include <signal.h>

#include "launcher/sandbox.h"

enum launch_event_kind {
	/* from the init */
	LAUNCH_EVENT_FAILED,  /* before the application ran; err follows in the packet  */
	LAUNCH_EVENT_RUNNING, /* the sandbox stands; FAILED can still come from exec    */
	LAUNCH_EVENT_STOPPED, /* value: the signal that stopped the main program         */
	LAUNCH_EVENT_MARK,    /* answer to LAUNCH_EVENT_CONTINUE: older stops are void    */
	LAUNCH_EVENT_EXITED,  /* value: exit status                                      */
	LAUNCH_EVENT_KILLED,  /* value: signal                                           */
	/* to the init */
	LAUNCH_EVENT_SIGNAL,  /* value: pass this on to the main program                  */
	LAUNCH_EVENT_CONTINUE /* continue the main program, then send LAUNCH_EVENT_MARK   */
};

struct launch_event {
	enum launch_event_kind kind;
	int value;
	bool is_last;   /* LAUNCH_EVENT_EXITED and _KILLED: nothing else is inside, the init is leaving */
	struct err err; /* LAUNCH_EVENT_FAILED only */
};

/* Runs in the clone()d child, never returns. `original_mask` is restored for the application. */
_Noreturn void launch_init_main(const struct launch_sandbox *s, int events, int lease_fd,
				const sigset_t *original_mask);

#endif
