/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that look into a package share: opening it by reference, ending when the user interrupts,
 * and reporting. For floe-tools only. */
#ifndef FLOE_LAUNCH_CMD_PACKAGE_H
#define FLOE_LAUNCH_CMD_PACKAGE_H

#include <stdbool.h>

#include "base/err.h"
#include "streaming/package.h"

/* Without a cache: what is shown or checked is what the source has now. `check_trust`: an unknown signer is
 * ERR_TRUST. `prefetch`: all of it will be read. Blocks on the network, at most a minute without an answer.
 */
int cmd_package_open(const char *ref, bool check_trust, bool prefetch, struct stream_package **ret,
		     struct err *e) FLOE_MUST_USE;
/* Reads all of an opened package and checks all that can be checked; shows progress. */
int cmd_package_check(struct stream_package *p, struct err *e) FLOE_MUST_USE;
void cmd_package_close(struct stream_package **p);
#define auto_package __attribute__((cleanup(cmd_package_close)))

/* SIGINT and SIGTERM end long work at its next step instead of the process. */
void cmd_package_catch_signals(void);
bool cmd_package_is_interrupted(void *unused);

/* Logs; the exit status. */
int cmd_package_fail(const struct err *e);

#endif
