/* SPDX-License-Identifier: Apache-2.0 */
/* What every server of the holder does first and last: become a quiet, powerless process that outlives
 * the terminal but not the holder. libc only; main thread, before others exist, unless said. */
#ifndef FLOE_LAUNCH_SERVER_PROCESS_H
#define FLOE_LAUNCH_SERVER_PROCESS_H

#include "base/err.h"
#include "base/wire.h"

enum launch_server_power {
	LAUNCH_SERVER_NO_POWER,
	/* Real root keeps the right to read everybody's files; nobody else has it to keep. */
	LAUNCH_SERVER_READS_ALL,
	/* Real root keeps what writing for everybody takes: reading, writing, owners, modes, devices, file
	 * capabilities, but not the right to leave set-user-ID bits on what is written. Others keep the right
	 * to open the user's own files whatever their modes (launch_server_opt.writes_all). */
	LAUNCH_SERVER_WRITES_ALL,
};

/* Session of its own, terminal signals ignored, all others as at birth, capabilities dropped,
 * no_new_privs, only descriptors 0 to 3 left, and LAUNCH_SERVER_DIALLED_FD if it is one. ERR_USAGE when
 * descriptor 3 is not a socket. */
int launch_server_enter(enum launch_server_power power, bool is_dialled, struct err *e) FLOE_MUST_USE;

/* Any thread. A holder that cannot be told anything is gone: the process ends. */
void launch_server_send(const struct wire_out *m);
/* Sends the error to the holder. Any thread. */
void launch_server_report(const struct err *why);
void launch_server_say_usage(const char *usage); /* to standard error: for people who try it by hand */

#endif
