/* SPDX-License-Identifier: Apache-2.0 */
/* Detection: from a filtered capture to the draft of a manifest: name, version, commands, desktop entries,
 * the command that runs when none is named. What the user says wins over what is found. One thread;
 * reads small files of the capture. */
#ifndef FLOE_SEQ_DETECT_H
#define FLOE_SEQ_DETECT_H

#include "package-format/manifest.h"
#include "sequencer/capture.h"
#include "sequencer/dpkg.h"

struct seq_detect {
	const char *name, *version, *summary; /* NULL = find out */
	char *const *commands;                /* "NAME=PATH" */
	size_t command_count;
	char *const *launches; /* command lines */
	size_t launch_count;
	char *const *installer;          /* NULL = none ran */
	const char *prefix;              /* of a packed directory; NULL = a session's */
	const struct seq_dpkg *packages; /* that the session added; may be NULL */
};

/* Caller frees with pkg_manifest_free. ERR_USAGE for a --command that is not in the capture or malformed. */
int seq_detect_manifest(const struct seq_capture *c, const struct seq_detect *opt, struct pkg_manifest **ret,
			struct err *e) FLOE_MUST_USE;

/* "#!/usr/bin/env python3" -> "/usr/bin/env python3", into ret; "" when `source` is no script. */
void seq_detect_interpreter(const char *source, char ret[256]);

#endif
