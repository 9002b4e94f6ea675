/* SPDX-License-Identifier: Apache-2.0 */
/* floe info: what a package is, who signed it, how large it is. Reads header and index only; an unknown or
 * revoked signer is shown, not refused. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_package.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "launcher/verbs.h"

struct facts {
	const struct pkg_header *header;
	const struct pkg_manifest *manifest;
	struct pkg_index_counts counts;
	char root[PKG_DIGEST_HEX], key[PKG_KEY_HEX], key_id[PKG_KEY_ID_HEX];
	uint64_t index_end;
	bool is_trusted;
	struct err why; /* when not trusted */
};

static void print_help(void)
{
	(void)fputs("Usage: floe info REF [--json]\n\n"
		    "Shows what a package is, who signed it and how large it is. REF is a path or a URL.\n\n"
		    "  --json  for programs\n",
		    stdout);
}

static int gather(struct stream_package *p, struct facts *f, struct err *e)
{
	auto_free char *config_dir = path_config_dir(false, e);

	if (!config_dir)
		return -1;
	f->header = stream_package_header(p);
	f->manifest = pkg_index_manifest(stream_package_index(p));
	pkg_index_counts(stream_package_index(p), &f->counts);
	pkg_digest_hex(&f->header->root, f->root);
	pkg_key_hex(&f->header->signer, f->key);
	pkg_key_id(&f->header->signer, f->key_id);
	f->index_end = PKG_HEADER_LEN + f->header->index_stored_len;
	f->is_trusted = pkg_trust_check(config_dir, &f->header->signer, &f->why) == 0;
	return 0;
}

/* ---- for programs --------------------------------------------------------------------------- */

static json_t *strings(char *const *list, size_t count)
{
	json_t *a = json_array();

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(a, launch_json_bytes(list[i]));
	return a;
}

static json_t *commands(const struct pkg_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->command_count; i++) {
		const struct pkg_command *c = &m->commands[i];
		size_t argc = 0;

		while (c->args && c->args[argc])
			argc++;
		(void)json_array_append_new(a, json_pack("{s:s, s:s, s:o}", "name", c->name, "path", c->path,
							 "args", strings(c->args, argc)));
	}
	return a;
}

static json_t *configs(const struct pkg_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->config_count; i++)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:s}", "path", m->configs[i].path, "lens", m->configs[i].lens));
	return a;
}

static json_t *environment(const struct pkg_manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->env_count; i++)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:s}", "name", m->env[i].name, "value", m->env[i].value));
	return a;
}

static int print_json(const struct facts *f)
{
	const struct pkg_manifest *m = f->manifest;
	const char *command = m->default_command ? m->default_command
			      : m->command_count ? m->commands[0].name
						 : NULL;

	return launch_json_print(json_pack(
		"{s:s, s:s, s:s?, s:s, s:{s:s, s:s, s:b, s:s?}, s:{s:I, s:I, s:I, s:I}, s:I, s:I, s:s?, s:o, "
		"s:o, s:o, s:o, s:o}",
		"name", m->name, "version", m->version, "summary", m->summary, "root", f->root, "signer",
		"key", f->key, "id", f->key_id, "trusted", (int)f->is_trusted, "reason",
		f->is_trusted ? NULL : f->why.msg, "bytes", "file", (json_int_t)f->header->file_len,
		"content", (json_int_t)f->counts.content_bytes, "index",
		(json_int_t)f->header->index_stored_len, "feature_block",
		(json_int_t)(f->header->feature_block_end - f->index_end), "inodes",
		(json_int_t)f->counts.inodes, "chunks", (json_int_t)f->counts.chunks, "default_command",
		command, "commands", commands(m), "config_files", configs(m), "environment", environment(m),
		"desktop_files", strings(m->desktop_files, m->desktop_file_count), "notes",
		strings(m->notes, m->note_count)));
}

/* ---- for people ----------------------------------------------------------------------------- */

/* What a package says of itself must not play with the terminal. */
static void line(const char *head, const char *text)
{
	struct err e;
	auto_free char *shown = launch_table_escape(text, &e);

	(void)printf("%-16s %s\n", head, shown ? shown : "?");
}

static void size_line(const char *head, uint64_t bytes, const char *more)
{
	char human[32];

	bytes_human(bytes, human);
	(void)printf("%-16s %s%s\n", head, human, more);
}

static int print_text(const struct facts *f)
{
	const struct pkg_manifest *m = f->manifest;
	char more[96];

	line("Name", m->name);
	if (*m->version)
		line("Version", m->version);
	if (m->summary)
		line("Summary", m->summary);
	line("Root digest", f->root);
	(void)printf("%-16s %s (%s)\n", "Signed by", f->key_id, f->is_trusted ? "trusted" : "not trusted");
	if (!f->is_trusted)
		line("", f->why.msg);
	(void)snprintf(more, sizeof(more), " in %lu chunks", (unsigned long)f->counts.chunks);
	size_line("File", f->header->file_len, more);
	(void)snprintf(more, sizeof(more), " in %llu files and directories",
		       (unsigned long long)f->counts.inodes);
	size_line("Content", f->counts.content_bytes, more);
	(void)snprintf(more, sizeof(more), "%s",
		       f->header->feature_block_end == f->index_end ? " (no launch recorded)" : "");
	size_line("First launch", f->header->feature_block_end, more);
	for (size_t i = 0; i < m->command_count; i++) {
		bool is_default = m->default_command ? !strcmp(m->default_command, m->commands[i].name) : !i;
		struct err e;
		auto_free char *text = mem_printf(&e, "%s  %s%s", m->commands[i].name, m->commands[i].path,
						  is_default && m->command_count > 1 ? "  (default)" : "");

		line(i ? "" : "Commands", text ? text : "?");
	}
	for (size_t i = 0; i < m->config_count; i++) {
		struct err e;
		auto_free char *text = mem_printf(&e, "%s  (%s)", m->configs[i].path, m->configs[i].lens);

		line(i ? "" : "Settings", text ? text : "?");
	}
	for (size_t i = 0; i < m->env_count; i++) {
		struct err e;
		auto_free char *text = mem_printf(&e, "%s=%s", m->env[i].name, m->env[i].value);

		line(i ? "" : "Environment", text ? text : "?");
	}
	for (size_t i = 0; i < m->note_count; i++)
		line(i ? "" : "Notes", m->notes[i]);
	return 0;
}

int cmd_info(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	auto_package struct stream_package *p = NULL;
	struct facts f = { 0 };
	bool json = false;
	struct err e;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			print_help();
			return 0;
		}
		if (c != 'j')
			return 125;
		json = true;
	}
	if (argc - optind != 1) {
		log_error("info needs one package: a path or a URL");
		return 125;
	}
	if (cmd_package_open(argv[optind], false, false, &p, &e) < 0 || gather(p, &f, &e) < 0)
		return cmd_package_fail(&e);
	return json ? print_json(&f) : print_text(&f);
}
