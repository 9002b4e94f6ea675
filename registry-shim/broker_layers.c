/* SPDX-License-Identifier: Apache-2.0 */
/* A declared file's layers; see broker_layers.h. */
#include "registry-shim/broker_layers.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>

#include "base/fd.h"
#include "registry-shim/broker_view.h"
#include "registry-shim/setting_line.h"

/* ---- values of a layer ---------------------------------------------------------------------- */

struct values {
	struct reg_layer_value *list; /* borrows from the text, the document or the policy */
	size_t count;
};

static void values_fini(struct values *v)
{
	free(v->list);
}
#define auto_values __attribute__((cleanup(values_fini))) struct values

static int add(struct values *v, const char *key, const char *value, const char *origin, struct err *e)
{
	if (v->count % 256 == 0) {
		struct reg_layer_value *list = mem_grow(v->list, v->count + 256, sizeof(*list), e);

		if (!list)
			return -1;
		v->list = list;
	}
	v->list[v->count++] = (struct reg_layer_value){ key, value, origin };
	return 0;
}

/* The entries of the packed list that belong to `file`. */
static int pick_packed(const struct broker_setup *setup, const char *file, const char *origin,
		       struct values *ret, struct err *e)
{
	const char *at = setup->defaults, *end;

	if (!setup->defaults_len)
		return 0;
	end = at + setup->defaults_len;
	if (end[-1])
		return err_set(e, ERR_FORMAT, "the package's registry defaults are cut off");
	while (at < end) {
		const char *key = at + strlen(at) + 1, *value;

		value = key < end ? key + strlen(key) + 1 : end;
		if (value >= end)
			return err_set(e, ERR_FORMAT, "the package's registry defaults are cut off");
		if (!strcmp(at, file) && add(ret, reg_key_plain(key), value, origin, e) < 0)
			return -1;
		at = value + strlen(value) + 1;
	}
	return 0;
}

/* ---- texts ---------------------------------------------------------------------------------- */

/* A file's text and what the lens makes of it. */
struct source {
	struct buf text;
	const struct reg_lens *lens;
	struct reg_doc *doc; /* NULL = not understood, or no lens */
	struct err why;      /* it is not understood */
	char *origin;
	bool is_there;
};

static void source_fini(struct source *s)
{
	reg_doc_free(s->doc);
	buf_fini(&s->text);
	free(s->origin);
}
#define auto_source __attribute__((cleanup(source_fini))) struct source

/* fd -1 = there is none. */
static int source_read(struct source *s, int fd, struct err *e)
{
	if (fd < 0)
		return 0;
	if (view_read_fd(fd, &s->text, e) < 0 || !buf_text(&s->text, e))
		return e->code == ERR_NOMEM ? -1 : 0;
	s->is_there = true;
	if (s->lens && reg_doc_parse(s->lens, (const char *)s->text.data, s->text.len, &s->doc, e) < 0) {
		s->doc = NULL;
		s->why = *e;
		return e->code == ERR_NOMEM ? -1 : 0;
	}
	return 0;
}

enum { READING = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY };

static int open_in_package(const struct broker_layers *l, const char *path)
{
	return l->package_root < 0 || !*path ? -1 : view_open_in(l->package_root, path, READING);
}

static int open_host(const char *path)
{
	return open(path, READING);
}

static int read_package(const struct broker_layers *l, const struct broker_declaration *d, struct source *s,
			struct err *e)
{
	auto_fd int fd = open_in_package(l, d->defaults_path);

	if (fd < 0)
		fd = open_in_package(l, d->path);
	if (fd < 0 && l->package_root < 0 && *d->defaults_path)
		fd = open_host(d->defaults_path);
	s->origin = mem_printf(e, "%s %s", l->setup->package, *d->defaults_path ? d->defaults_path : d->path);
	return s->origin ? source_read(s, fd, e) : -1;
}

/* ---- package and host ----------------------------------------------------------------------- */

/* Whether a rule is about a key: its file, or one above, or the key itself, or a section above. */
static bool is_about(const struct broker_local *rule, const char *file, const char *key)
{
	size_t len = strlen(rule->subtree), file_len = strlen(file);
	const char *part;

	if (len <= file_len)
		return !strncmp(file, rule->subtree, len) &&
		       (len == file_len || file[len] == '/' || (len && file[len - 1] == '/'));
	if (strncmp(file, rule->subtree, file_len) != 0 || rule->subtree[file_len] != ':')
		return false;
	part = reg_key_plain(rule->subtree + file_len + 1);
	return !strncmp(key, part, strlen(part)) && strchr("/", key[strlen(part)]);
}

/* The rule for the deepest subtree that has the key; `fallback` when there is none. */
static bool is_local_merged(const struct broker_setup *setup, const char *file, const char *key,
			    bool fallback)
{
	size_t deepest = 0;

	for (size_t i = 0; i < setup->local_count; i++) {
		const struct broker_local *rule = &setup->local[i];
		size_t len = strlen(rule->subtree);

		if (!is_about(rule, file, key) || len < deepest)
			continue;
		deepest = len;
		fallback = rule->is_merged;
	}
	return fallback;
}

static bool may_merge(const struct broker_setup *setup, bool fallback)
{
	for (size_t i = 0; i < setup->local_count; i++)
		fallback |= setup->local[i].is_merged;
	return fallback;
}

/* Is any of the host's settings in the file to count? */
static bool is_host_wanted(const struct broker_setup *setup, const char *file, bool fallback)
{
	size_t len = strlen(file);

	for (size_t i = 0; i < setup->local_count; i++) {
		const struct broker_local *rule = &setup->local[i];

		if (rule->is_merged && !strncmp(rule->subtree, file, len) && rule->subtree[len] == ':')
			return true;
	}
	return is_local_merged(setup, file, "", fallback);
}

static int set_package(const struct broker_layers *l, const char *file, struct source *s, struct reg_hive *h,
		       bool *ret_any, struct err *e)
{
	auto_values values = { 0 };
	const char *key, *value;

	if (pick_packed(l->setup, file, s->origin, &values, e) < 0)
		return -1;
	if (s->doc && values.count == 0)
		for (size_t pos = 0; reg_doc_next(s->doc, &pos, &key, &value);)
			if (add(&values, key, value, s->origin, e) < 0)
				return -1;
	*ret_any = s->is_there || values.count > 0;
	return reg_hive_set_layer(h, file, REG_PACKAGE, values.list, values.count, e);
}

/* The host's settings where they count; its text is the template when the package has none. */
static int set_local(const struct broker_layers *l, const struct broker_declaration *d, const char *file,
		     bool has_package, struct source *package, struct reg_hive *h, char **ret_note,
		     struct err *e)
{
	auto_source host = { .text = BUF_INIT(REG_TEXT_MAX), .lens = package->lens };
	auto_values values = { 0 };
	struct source *text = package->is_there ? package : &host;
	const char *key, *value;
	enum reg_text_kind kind;
	bool is_whole = true;

	if (may_merge(l->setup, !has_package)) {
		auto_fd int fd = open_host(d->path);

		if (source_read(&host, fd, e) < 0)
			return -1;
	}
	if (host.doc)
		for (size_t pos = 0; reg_doc_next(host.doc, &pos, &key, &value);) {
			if (!is_local_merged(l->setup, file, key, !has_package))
				is_whole = false;
			else if (add(&values, key, value, d->path, e) < 0)
				return -1;
		}
	if (reg_hive_set_layer(h, file, REG_LOCAL, values.list, values.count, e) < 0)
		return -1;
	/* Of a text that does not count as a whole nothing shines through: no comments, no empty sections. */
	if (!host.doc)
		is_whole = is_local_merged(l->setup, file, "", !has_package);
	if (host.is_there && host.lens && !host.doc && (text != &host || !is_whole) &&
	    is_host_wanted(l->setup, file, !has_package)) {
		*ret_note = mem_printf(e, "the host's own file does not count: %s", host.why.msg);
		if (!*ret_note)
			return -1;
	}
	host.is_there &= is_whole;
	kind = text->doc ? REG_TEXT_KEYS : REG_TEXT_OPAQUE;
	return reg_hive_set_default_text(h, file, text->is_there ? (const char *)text->text.data : NULL,
					 text->text.len, kind, e);
}

/* ---- policy --------------------------------------------------------------------------------- */

static int set_site(const struct broker_layers *l, const char *file, bool is_lock, struct reg_hive *h,
		    struct err *e)
{
	auto_values values = { 0 };

	for (size_t i = 0; i < l->policy.count; i++) {
		const struct reg_policy_rule *r = &l->policy.rules[i];
		size_t at = 0;

		if (r->is_lock != is_lock || strcmp(r->file, file) != 0 ||
		    fnmatch(r->package, l->setup->package_name, 0) != 0)
			continue;
		while (at < values.count && strcmp(values.list[at].key, r->key) != 0)
			at++;
		if (at == values.count && add(&values, r->key, r->value, r->where, e) < 0)
			return -1;
		values.list[at] = (struct reg_layer_value){ r->key, r->value, r->where };
	}
	return reg_hive_set_layer(h, file, is_lock ? REG_SITE_LOCK : REG_SITE, values.list, values.count, e);
}

int broker_layers_set(const struct broker_layers *l, const struct broker_declaration *d, const char *file,
		      const struct reg_lens *lens, struct reg_hive *h, char **ret_note, struct err *e)
{
	auto_source package = { .text = BUF_INIT(REG_TEXT_MAX), .lens = lens };
	auto_free char *note = NULL;
	bool has_package = false;

	if (read_package(l, d, &package, e) < 0 || set_package(l, file, &package, h, &has_package, e) < 0 ||
	    set_local(l, d, file, has_package, &package, h, &note, e) < 0 ||
	    set_site(l, file, false, h, e) < 0 || set_site(l, file, true, h, e) < 0)
		return -1;
	*ret_note = mem_steal(note);
	return 0;
}
