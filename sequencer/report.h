/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a sequencing run: what was taken, what was left out and why, what cannot be virtualised,
 * what the package offers. As text for people, or as JSON. Pure functions of memory. */
#ifndef FLOE_SEQ_REPORT_H
#define FLOE_SEQ_REPORT_H

#include "package-format/writer.h"
#include "sequencer/capture.h"
#include "sequencer/dpkg.h"
#include "sequencer/effects.h"
#include "sequencer/filter.h"
#include "sequencer/learn.h"
#include "sequencer/scan.h"

enum { SEQ_REPORT_MAX = 64 * 1024 * 1024 };

/* Everything borrowed. */
struct seq_report {
	const char *out_path, *source; /* the installer's command line, or the directory */
	const struct seq_capture *capture;
	const struct seq_rules *rules;
	struct seq_scan_report scan;
	const struct seq_effects *effects;
	const struct seq_dpkg *packages;
	const struct pkg_manifest *manifest;
	const struct seq_lesson *lesson;
	struct pkg_writer_report written;
	char signer[PKG_KEY_HEX];
	int installer_status;
	uint64_t elapsed_ms;
};

/* `all`: with every path that was left out; otherwise a screen or two. */
int seq_report_text(const struct seq_report *r, bool all, struct buf *ret, struct err *e) FLOE_MUST_USE;
int seq_report_json(const struct seq_report *r, struct buf *ret, struct err *e) FLOE_MUST_USE;

/* What was taken, by kind; shared by both forms. */
struct seq_totals {
	size_t files, directories, links, others, added, replaced, deleted, left_out;
	uint64_t bytes;
};
void seq_report_totals(const struct seq_capture *c, struct seq_totals *ret);

#endif
