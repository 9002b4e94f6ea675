/* SPDX-License-Identifier: Apache-2.0 */
/* Effects of an installation that a package of files cannot carry: services, users, kernel modules, ...
 * They go into the report and, as notes, into the manifest. One thread; reads small files. */
#ifndef FLOE_SEQ_EFFECTS_H
#define FLOE_SEQ_EFFECTS_H

#include "sequencer/capture.h"

enum { SEQ_EFFECTS_MAX = 1000 };

struct seq_effects {
	char **notes; /* owned; one line each: "service cron.service (/lib/systemd/...) is not started" */
	size_t count;
	size_t more; /* found past SEQ_EFFECTS_MAX */
};

#define auto_effects __attribute__((cleanup(seq_effects_fini)))
void seq_effects_fini(struct seq_effects *x);

/* `host`: where the host's own /etc is, for comparison; NULL = "/". The capture is sorted. */
int seq_effects_find(const struct seq_capture *c, const char *host, struct seq_effects *ret,
		     struct err *e) FLOE_MUST_USE;

#endif
