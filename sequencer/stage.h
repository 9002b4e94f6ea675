/* SPDX-License-Identifier: Apache-2.0 */
/* The stage of one launch: the package in an ephemeral union over the host, served by the servers that will
 * serve it to its users, and a command running in it on a pseudo-terminal. Lives in a child of floe's that
 * has made its own namespaces. One thread. */
#ifndef FLOE_SEQ_STAGE_H
#define FLOE_SEQ_STAGE_H

#include "launcher/engine.h"
#include "package-format/digest.h"
#include "package-format/manifest.h"
#include "sequencer/server.h"
#include "sequencer/workspace.h"

struct seq_stage {
	/* Which knows what was touched: the package's server, or that of the whole union. */
	struct launch_server package, host_view;
	enum launch_engine engine;
	char *package_dir, *view_dir, *upper, *work, *tree; /* owned */
	char *home;                                         /* the running user's; owned */
	int terminal;                                       /* master side; -1 = none */
	int lease;                                          /* closing it ends what still runs inside */
	pid_t player;                                       /* the process that waits for the command */
};

/* All borrowed. */
struct seq_stage_opt {
	const struct seq_workspace *workspace;
	const char *run; /* a directory of the workspace for this launch alone */
	const char *package;
	const struct pkg_digest *root; /* of the package */
	enum launch_engine engine;
};

/* Makes the calling process's namespaces and everything on them. */
int seq_stage_open(const struct seq_stage_opt *opt, struct seq_stage *ret, struct err *e) FLOE_MUST_USE;
/* Starts argv (argv[0] is a path inside or a name that PATH knows). The player's exit status is that of the
 * command as a shell would say it. */
int seq_stage_play(struct seq_stage *st, const struct pkg_manifest *m, char *const *argv,
		   struct err *e) FLOE_MUST_USE;
/* Ends everything on it. */
void seq_stage_close(struct seq_stage *st);

#endif
