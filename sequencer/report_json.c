/* SPDX-License-Identifier: Apache-2.0 */
/* The report as JSON; see report.h. Text that is not UTF-8 (names of files) is shown with '?' for what is
 * wrong, because JSON cannot hold it. <jansson.h> is used here and nowhere else in this folder. */
#include <jansson.h>
#include <string.h>

#include "sequencer/draft.h"
#include "sequencer/report.h"

static json_t *text(const char *s)
{
	char safe[4096];
	size_t i;

	if (!s)
		return json_null();
	if (seq_text_is_utf8(s))
		return json_string(s);
	for (i = 0; s[i] && i < sizeof(safe) - 1; i++)
		safe[i] = (unsigned char)s[i] < 0x80 ? s[i] : '?';
	safe[i] = 0;
	return json_string(safe);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Setting and appending steal the value; with no memory it is NULL, and the member is missing. */
static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static void append(json_t *array, json_t *value)
{
	(void)json_array_append_new(array, value);
}

static json_t *taken(const struct seq_report *r)
{
	json_t *o = json_object(), *packages = json_array();
	struct seq_totals t;

	seq_report_totals(r->capture, &t);
	set(o, "files", number(t.files));
	set(o, "bytes", number(t.bytes));
	set(o, "directories", number(t.directories));
	set(o, "symlinks", number(t.links));
	set(o, "added", number(t.added));
	set(o, "replaced", number(t.replaced));
	set(o, "deleted", number(t.deleted));
	set(o, "left_out", number(t.left_out));
	set(o, "unchanged", number(r->scan.unchanged));
	for (size_t i = 0; r->packages && i < r->packages->count; i++) {
		json_t *p = json_object();

		set(p, "name", text(r->packages->packages[i].name));
		set(p, "version", text(r->packages->packages[i].version));
		append(packages, p);
	}
	set(o, "distribution_packages", packages);
	return o;
}

static json_t *left_out(const struct seq_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->rules->count; i++) {
		const struct seq_rule *rule = &r->rules->rules[i];
		json_t *o, *paths;

		if (!rule->hits)
			continue;
		o = json_object();
		paths = json_array();
		set(o, "pattern", text(rule->pattern));
		set(o, "why", text(rule->comment));
		set(o, "line", number(rule->line));
		set(o, "count", number(rule->hits));
		set(o, "bytes", number(rule->bytes));
		for (size_t n = 0; n < r->capture->count; n++)
			if (r->capture->entries[n].rule == (int)i &&
			    r->capture->entries[n].change != SEQ_PARENT)
				append(paths, text(r->capture->entries[n].path));
		set(o, "paths", paths);
		append(list, o);
	}
	return list;
}

static json_t *manifest(const struct pkg_manifest *m)
{
	json_t *o = json_object(), *commands = json_array(), *desktops = json_array(),
	       *configs = json_array(), *environment = json_array();

	set(o, "name", text(m->name));
	set(o, "version", text(m->version));
	set(o, "summary", text(m->summary));
	set(o, "default_command", text(m->default_command));
	for (size_t i = 0; i < m->command_count; i++) {
		json_t *c = json_object();

		set(c, "name", text(m->commands[i].name));
		set(c, "path", text(m->commands[i].path));
		append(commands, c);
	}
	for (size_t i = 0; i < m->desktop_file_count; i++)
		append(desktops, text(m->desktop_files[i]));
	for (size_t i = 0; i < m->config_count; i++) {
		json_t *c = json_object();

		set(c, "path", text(m->configs[i].path));
		set(c, "lens", text(m->configs[i].lens));
		append(configs, c);
	}
	for (size_t i = 0; i < m->env_count; i++) {
		json_t *v = json_object();

		set(v, "name", text(m->env[i].name));
		set(v, "value", text(m->env[i].value));
		append(environment, v);
	}
	set(o, "commands", commands);
	set(o, "desktop_files", desktops);
	set(o, "config_files", configs);
	set(o, "environment", environment);
	return o;
}

static json_t *launches(const struct seq_lesson *l)
{
	static const char *const ends[] = { "exited", "killed", "quiet", "timeout" };
	json_t *list = json_array();

	for (size_t i = 0; i < l->launch_count; i++) {
		json_t *o = json_object();

		set(o, "command", text(l->launches[i].command));
		set(o, "end", text(ends[l->launches[i].end]));
		set(o, "said", text(l->launches[i].last_words));
		set(o, "code", json_integer(l->launches[i].code));
		set(o, "ms", number(l->launches[i].ms));
		set(o, "touched_bytes", number(l->launches[i].touched_bytes));
		set(o, "touches", number(l->launches[i].touch_count));
		append(list, o);
	}
	return list;
}

static json_t *proposals(const struct seq_lesson *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->proposal_count; i++) {
		json_t *o = json_object();

		set(o, "path", text(l->proposals[i].path));
		set(o, "lens", text(l->proposals[i].lens));
		set(o, "taken", json_boolean(l->proposals[i].is_certain));
		append(list, o);
	}
	return list;
}

static json_t *package(const struct seq_report *r)
{
	char root[PKG_DIGEST_HEX];
	json_t *o = json_object();

	pkg_digest_hex(&r->written.root, root);
	set(o, "path", text(r->out_path));
	set(o, "bytes", number(r->written.file_len));
	set(o, "content_bytes", number(r->written.content_bytes));
	set(o, "chunks", number(r->written.chunks));
	set(o, "chunks_shared", number(r->written.chunks_shared));
	set(o, "feature_block_bytes", number(r->written.feature_block_len));
	set(o, "index_bytes", number(r->written.index_stored_len));
	set(o, "root", text(root));
	set(o, "signer", text(r->signer));
	return o;
}

int seq_report_json(const struct seq_report *r, struct buf *ret, struct err *e)
{
	json_t *o = json_object(), *effects = json_array();
	char *printed;
	int rc;

	for (size_t i = 0; i < r->effects->count; i++)
		append(effects, text(r->effects->notes[i]));
	set(o, "source", text(r->source));
	set(o, "installer_status", json_integer(r->installer_status));
	set(o, "taken", taken(r));
	set(o, "left_out", left_out(r));
	set(o, "not_virtualised", effects);
	set(o, "manifest", manifest(r->manifest));
	set(o, "launches", launches(r->lesson));
	set(o, "config_proposals", proposals(r->lesson));
	set(o, "package", package(r));
	set(o, "elapsed_ms", number(r->elapsed_ms));
	printed = json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(o);
	if (!printed)
		return err_set(e, ERR_NOMEM, "no memory for the report");
	rc = buf_add_str(ret, printed, e);
	if (rc == 0)
		rc = buf_add_str(ret, "\n", e);
	free(printed);
	return rc;
}
