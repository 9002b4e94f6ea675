/* SPDX-License-Identifier: Apache-2.0 */
/* Policy files; see policy.h. */
#include "registry-shim/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/setting_line.h"

void reg_policy_fini(struct reg_policy *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->rules[i].package);
		free(p->rules[i].file);
		free(p->rules[i].key);
		free(p->rules[i].value);
		free(p->rules[i].where);
	}
	free(p->rules);
	*p = (struct reg_policy){ 0 };
}

/* ---- lines ---------------------------------------------------------------------------------- */

static int add_rule(struct reg_policy *p, struct reg_line *l, bool is_lock, const char *package,
		    const char *where, struct err *e)
{
	auto_free char *for_package = mem_strdup(package, e), *from = mem_strdup(where, e);

	if (!for_package || !from)
		return -1;
	if (p->count == REG_POLICY_RULES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d rules", REG_POLICY_RULES_MAX);
	if (p->count % 64 == 0) {
		struct reg_policy_rule *rules = mem_grow(p->rules, p->count + 64, sizeof(*rules), e);

		if (!rules)
			return -1;
		p->rules = rules;
	}
	p->rules[p->count++] =
		(struct reg_policy_rule){ is_lock,           mem_steal(for_package), mem_steal(l->file),
					  mem_steal(l->key), mem_steal(l->value),    mem_steal(from) };
	return 0;
}

/* "[package NAME]" */
static int take_section(const char *line, char **package, struct err *e)
{
	const char *name = line + strlen("[package "), *end = line + strcspn(line, "]");
	char *r;

	if (strncmp(line, "[package ", strlen("[package ")) != 0 || *end != ']' || end <= name ||
	    end[1 + strspn(end + 1, " \t\r")])
		return err_set(e, ERR_FORMAT, "a section is [package NAME]");
	r = mem_strndup(name, (size_t)(end - name), e);
	if (!r)
		return -1;
	free(*package);
	*package = r;
	return 0;
}

static int take_line(const char *line, const char *where, char **package, struct reg_policy *p, struct err *e)
{
	auto_reg_line l = { 0 };
	bool is_lock;

	if (*line == '[')
		return take_section(line, package, e);
	if (reg_line_parse(line, &l, e) < 0)
		return -1;
	if (!l.word)
		return 0;
	is_lock = !strcmp(l.word, "lock");
	if (!is_lock && strcmp(l.word, "default") != 0)
		return err_set(e, ERR_FORMAT, "\"%.80s\" is none of default, lock and [package NAME]",
			       l.word);
	if (!l.key)
		return err_set(e, ERR_FORMAT, "'%.200s' is no key: write FILE:SECTION/NAME or FILE:NAME",
			       l.file);
	if (!is_lock && !l.value)
		return err_set(e, ERR_FORMAT, "a default needs \"= VALUE\"");
	return add_rule(p, &l, is_lock, *package, where, e);
}

int reg_policy_parse(const char *text, const char *name, struct reg_policy *p, struct err *e)
{
	auto_free char *package = mem_strdup("*", e);
	size_t number = 0;

	while (package && *text) {
		size_t len = strcspn(text, "\n");
		auto_free char *line = mem_strndup(text, len, e);
		auto_free char *where = mem_printf(e, "%s:%zu", name, ++number);

		if (!line || !where)
			return -1;
		if (take_line(line, where, &package, p, e) < 0)
			return err_wrap(e, "%s", where);
		text += len + (text[len] == '\n');
	}
	return package ? 0 : -1;
}

/* ---- files ---------------------------------------------------------------------------------- */

int reg_policy_pack_file(const char *path, struct buf *packed, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REG_POLICY_TEXT_MAX);
	auto_reg_policy policy = { 0 };

	if (fd_read_file(AT_FDCWD, path, &text, e) < 0 || !buf_text(&text, e))
		return err_wrap(e, "policy");
	if (text.len && memchr(text.data, 0, text.len))
		return err_set(e, ERR_FORMAT, "policy: %s: a NUL byte: this is no text file", path);
	if (reg_policy_parse((const char *)text.data, path, &policy, e) < 0)
		return err_wrap(e, "policy");
	if (buf_add(packed, path, strlen(path) + 1, e) < 0 || buf_add(packed, text.data, text.len + 1, e) < 0)
		return err_wrap(e, "policy");
	return 0;
}

static int is_policy(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && dot != d->d_name && d->d_name[0] != '.' && !strcmp(dot, ".policy");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int reg_policy_pack_dir(const char *path, struct buf *packed, struct err *e)
{
	struct dirent **names = NULL;
	int count = scandir(path, &names, is_policy, by_name), r = 0;

	if (count < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "policy: %s", path);
	for (int i = 0; i < count; i++) {
		auto_free char *file = r == 0 ? path_join(path, names[i]->d_name, e) : NULL;

		if (r == 0)
			r = file ? reg_policy_pack_file(file, packed, e) : -1;
		free(names[i]);
	}
	free(names);
	return r;
}

int reg_policy_unpack(const char *packed, size_t len, struct reg_policy *ret, struct err *e)
{
	auto_reg_policy p = { 0 };
	const char *end;

	if (!len) {
		*ret = p;
		return 0;
	}
	end = packed + len;
	if (end[-1])
		return err_set(e, ERR_FORMAT, "the policy is cut off");
	while (packed < end) {
		const char *text = packed + strlen(packed) + 1;

		if (text >= end)
			return err_set(e, ERR_FORMAT, "the policy is cut off");
		if (reg_policy_parse(text, packed, &p, e) < 0)
			return -1;
		packed = text + strlen(text) + 1;
	}
	*ret = p;
	p = (struct reg_policy){ 0 };
	return 0;
}
