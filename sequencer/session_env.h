/* SPDX-License-Identifier: Apache-2.0 */
/* What an installer in a session is told: its environment variables and the few files that keep package
 * managers from doing what a session cannot have. */
#ifndef FLOE_SEQ_SESSION_ENV_H
#define FLOE_SEQ_SESSION_ENV_H

#include "base/mem.h"

#define SEQ_SESSION_POLICY "/usr/sbin/policy-rc.d" /* Debian's: "do not start services" */
#define SEQ_SESSION_APT    "/.floe/apt.conf"

extern const char seq_session_policy[], seq_session_apt[];

/* The user's own environment without what belongs to their session, and with root's home and PATH.
 * NULL-terminated, one allocation, caller frees. */
char **seq_session_environment(struct err *e) FLOE_MUST_USE;

#endif
