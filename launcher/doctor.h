/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of floe doctor: what was looked at, how it is, what to do. For floe-tools only; one thread, no
 * other thread in the process (experiments run in forked children). */
#ifndef FLOE_LAUNCH_DOCTOR_H
#define FLOE_LAUNCH_DOCTOR_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
	const char *subject; /* a literal */
	enum doctor_state state;
	char detail[512];
	const char *advice; /* a literal; NULL when there is nothing to do */
};

struct doctor_report {
	struct doctor_finding findings[40]; /* more are dropped */
	size_t count;
};

void doctor_add(struct doctor_report *r, enum doctor_state state, const char *subject, const char *advice,
		const char *fmt, ...) FLOE_PRINTF(5, 6);

/* Runs an experiment (NULL = none) in a child, in namespaces of its own; `dir` is for it. */
typedef int doctor_experiment_fn(const char *dir, struct err *e);
int doctor_try_in_child(doctor_experiment_fn *experiment, const char *dir, struct err *e) FLOE_MUST_USE;

/* The kernel's part: version, namespaces, FUSE, engines. Mounts are made in children's namespaces only. */
void doctor_look_at_kernel(struct doctor_report *r);
/* Part of it: the two engines, on the file system of the data directory. */
void doctor_look_at_engines(struct doctor_report *r);
/* The user's part: directories, limits, the holder, this installation, keys. Makes floe's directories. */
void doctor_look_at_place(struct doctor_report *r);
/* Reports on processes of floe's that died. */
void doctor_look_at_crashes(struct doctor_report *r);

#endif
