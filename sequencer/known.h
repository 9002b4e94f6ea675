/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration files of well-known programs: a visible list, share/floe/config.rules, whose entries are
 * declared when a package brings the command that they belong to.
 *
 *   config COMMAND PATH LENS
 *
 * One thread; reading the list blocks on the disk. */
#ifndef FLOE_SEQ_KNOWN_H
#define FLOE_SEQ_KNOWN_H

#include "package-format/manifest.h"
#include "sequencer/capture.h"

enum { SEQ_KNOWN_TEXT_MAX = 1024 * 1024 };

/* Declares what the list `text` says of m's commands; what is declared already stays. ERR_FORMAT with the
 * line's number. `name` is for messages. */
int seq_known_declare(const char *text, const char *name, struct pkg_manifest *m, const struct seq_capture *c,
		      struct err *e) FLOE_MUST_USE;
/* The same with the list that comes with floe. */
int seq_known_declare_default(struct pkg_manifest *m, const struct seq_capture *c,
			      struct err *e) FLOE_MUST_USE;

/* Programs that bring schemas of GSettings get its keyfile: else their settings would be the host's own, in a
 * database behind D-Bus. Does nothing for a package without them. */
int seq_known_declare_gsettings(struct pkg_manifest *m, const struct seq_capture *c,
				struct err *e) FLOE_MUST_USE;

#endif
