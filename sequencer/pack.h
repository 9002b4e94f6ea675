/* SPDX-License-Identifier: Apache-2.0 */
/* Packing: from a filtered capture and a manifest to a signed package. One thread; blocks for as long as
 * compression takes. */
#ifndef FLOE_SEQ_PACK_H
#define FLOE_SEQ_PACK_H

#include "package-format/writer.h"
#include "sequencer/capture.h"

struct seq_pack {
	const struct seq_capture *capture;
	const struct pkg_manifest *manifest;
	const struct pkg_secret_key *key;
	const char *out_path;
	int level; /* of zstd; 0 = the writer's */
	const volatile bool *cancel;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *progress_arg;
};

/* Whiteouts become character devices 0:0. The defaults of declared configuration files are parsed with
 * their lens; ERR_FORMAT, with the file's name, when that fails. SOURCE_DATE_EPOCH is honoured. */
int seq_pack_write(const struct seq_pack *p, struct pkg_writer_report *ret, struct err *e) FLOE_MUST_USE;

/* Declares PATH[:LENS] (absolute, "@config/...", "~/...") as a configuration file of the draft; its defaults
 * are the capture's file of that name, when there is one. Without LENS
 * the file's content decides, or the name of one that is not there yet. ERR_USAGE for an unknown lens, and
 * when neither tells. */
int seq_pack_declare_config(struct pkg_manifest *m, const struct seq_capture *c, const char *spec,
			    struct err *e) FLOE_MUST_USE;

#endif
