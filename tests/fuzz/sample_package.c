/* SPDX-License-Identifier: Apache-2.0 */
/* See sample_package.h. */
#include "tests/fuzz/sample_package.h"

#include <stdio.h>
#include <sys/stat.h>

#include "package-format/writer.h"

int sample_package_make(const char *dir, const char *out, const char *content, uint64_t content_len,
			struct err *e)
{
	static char command[] = "tool", path[] = "/usr/bin/tool", note[] = "a note", lens[] = "ini",
		    file[] = "@config/tool/ini", name[] = "sample", version[] = "1.0";
	static char *notes[] = { note };
	struct pkg_command commands[] = { { command, path, NULL } };
	struct pkg_config_file configs[] = { { file, lens, NULL } };
	struct pkg_path_rule rules[] = { { file, PKG_DIRECT } };
	const struct pkg_manifest m = { .name = name,
					.version = version,
					.commands = commands,
					.command_count = 1,
					.configs = configs,
					.config_count = 1,
					.rules = rules,
					.rule_count = 1,
					.notes = notes,
					.note_count = 1 };
	const struct pkg_writer_xattr xattr = { "user.note", "text", 4 };
	const struct pkg_touch touch = { 4, 0, 100 };
	const struct pkg_writer_opt opt = { .zstd_level = 1, .threads = 1 };
	struct pkg_writer_report report;
	struct pkg_secret_key *key;
	struct pkg_public_key public;
	struct pkg_writer *w;
	int rc = 0;

	if (pkg_key_generate(dir, "default", &public, e) < 0 && e->code != ERR_EXISTS)
		return -1;
	if (pkg_key_load(dir, "default", &key, e) < 0 || pkg_writer_open(&opt, &w, e) < 0)
		return -1;
	for (int i = 0; rc == 0 && i < 40; i++) {
		bool is_link = i % 8 == 7;
		char inside[64];
		const struct pkg_writer_entry entry = { .path = inside,
							.mode = is_link ? S_IFLNK | 0777 : S_IFREG | 0755,
							.symlink = is_link ? "tool" : NULL,
							.size = is_link ? 0 : content_len,
							.content_path = content,
							.xattrs = &xattr,
							.xattr_count = i % 4 == 0 };

		(void)snprintf(inside, sizeof(inside), "usr/d%d/file-%d", i % 3, i);
		rc = pkg_writer_add(w, &entry, e);
	}
	if (rc == 0)
		rc = pkg_writer_default(w, "@config/tool/ini", "Section/key", "value", e);
	if (rc == 0)
		rc = pkg_writer_finish(w, &m, key, out, &report, e);
	if (rc == 0)
		rc = pkg_writer_relayout(out, &touch, 1, NULL, key, out, &report, e);
	pkg_writer_close(w);
	pkg_key_close(key);
	return rc;
}
