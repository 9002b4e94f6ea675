/* SPDX-License-Identifier: Apache-2.0 */
/* The launch phase: runs a command of a freshly built package in an ephemeral union over the host and
 * notes what it touches first, and which configuration files it writes.
 *
 * The package is served by the servers that its users will have; nothing the command does lasts. The command
 * runs on a pseudo-terminal, so that programs that want one start. One thread; blocks until the launch has
 * ended. */
#ifndef FLOE_SEQ_LEARN_H
#define FLOE_SEQ_LEARN_H

#include <stdbool.h>

#include "launcher/engine.h"
#include "package-format/index.h"
#include "sequencer/workspace.h"

struct seq_learn {
	const struct seq_workspace *workspace;
	const char *package;           /* path of the package file */
	const struct pkg_digest *root; /* its digest */
	enum launch_engine engine;
	const struct pkg_manifest *manifest;
	unsigned seconds_max; /* 0 = 30 */
	const volatile bool *cancel;
};

enum seq_launch_end { SEQ_LAUNCH_EXITED, SEQ_LAUNCH_KILLED, SEQ_LAUNCH_QUIET, SEQ_LAUNCH_TIMEOUT };

/* A configuration file that the command wrote below its home directory. */
struct seq_proposal {
	char *path; /* as a manifest says it: "@config/mc/ini"; owned */
	const char *lens;
	bool is_certain; /* below @config, with sections and keys */
};

struct seq_learned {
	char *command; /* owned */
	enum seq_launch_end end;
	int code; /* exit status, or signal */
	uint64_t ms;
	uint64_t touched_bytes;
	size_t touch_count;
	char last_words[512]; /* what it printed last, for a launch that failed */
};

struct seq_lesson {
	struct seq_learned *launches; /* owned */
	size_t launch_count;
	struct pkg_touch *touches; /* owned; of all launches, first touch first, without repetition */
	size_t touch_count;
	struct seq_proposal *proposals; /* owned */
	size_t proposal_count;
};

#define auto_lesson __attribute__((cleanup(seq_lesson_fini)))
void seq_lesson_fini(struct seq_lesson *l);

/* Runs one command line and adds what it teaches. A command that fails is no error: its status is in the
 * lesson. ERR_INTERRUPTED, ERR_UNSUPPORTED (no user namespaces, no FUSE), ERR_USAGE (no such command). */
int seq_learn_launch(const struct seq_learn *l, const char *command, struct seq_lesson *ret,
		     struct err *e) FLOE_MUST_USE;

#endif
