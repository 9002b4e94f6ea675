/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest's fields on their way to a launch; see launch_info.h. */
#include "launcher/launch_info.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"

/* ---- tokens ---------------------------------------------------------------------------------- */

struct token {
	const char *name, *variable, *below_home; /* below_home NULL: no default */
};

static const struct token tokens[] = {
	{ "@home", "HOME", "" },
	{ "@config", "XDG_CONFIG_HOME", ".config" },
	{ "@data", "XDG_DATA_HOME", ".local/share" },
	{ "@state", "XDG_STATE_HOME", ".local/state" },
	{ "@cache", "XDG_CACHE_HOME", ".cache" },
	{ "@documents", "XDG_DOCUMENTS_DIR", "Documents" },
	{ "@runtime", "XDG_RUNTIME_DIR", NULL },
};

static char *token_dir(const struct token *t, struct err *e)
{
	const char *value = getenv(t->variable);
	auto_free char *home = NULL;

	if (value && *value == '/')
		return path_absolute(value, e);
	if (!t->below_home)
		return mem_printf(e, "/run/user/%u", (unsigned)getuid());
	home = path_home(e);
	return home ? path_join(home, t->below_home, e) : NULL;
}

char *launch_token_resolve(const char *path, struct err *e)
{
	if (*path == '/')
		return path_absolute(path, e);
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		size_t len = strlen(tokens[i].name);
		auto_free char *dir = NULL, *joined = NULL;
		char *all;

		if (strncmp(path, tokens[i].name, len) || (path[len] && path[len] != '/'))
			continue;
		dir = token_dir(&tokens[i], e);
		joined = dir ? path_join(dir, path + len + (path[len] == '/'), e) : NULL;
		all = joined ? path_absolute(joined, e) : NULL;
		if (all && !path_is_below(all, dir)) {
			free(all);
			(void)err_set(e, ERR_FORMAT, "%s leaves its directory", path);
			return NULL;
		}
		return all;
	}
	(void)err_set(e, ERR_FORMAT, "%s is neither an absolute path nor one below a known directory", path);
	return NULL;
}

/* ---- putting --------------------------------------------------------------------------------- */

static int add_text(struct buf *b, const char *text, struct err *e)
{
	return buf_add(b, text, strlen(text) + 1, e);
}

static int put_command(const struct pkg_command *c, struct wire_out *out, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX);

	if (add_text(&b, c->name, e) < 0 || add_text(&b, c->path, e) < 0)
		return -1;
	for (char **arg = c->args; arg && *arg; arg++)
		if (add_text(&b, *arg, e) < 0)
			return -1;
	return wire_put(out, "command", b.data, b.len, e);
}

static int put_config(const struct pkg_config_file *c, struct wire_out *out, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX);
	auto_free char *path = launch_token_resolve(c->path, e);

	if (!path || add_text(&b, path, e) < 0 || add_text(&b, c->lens, e) < 0 ||
	    add_text(&b, c->defaults ? c->defaults : "", e) < 0 ||
	    wire_put(out, "config", b.data, b.len, e) < 0)
		return -1;
	return wire_put_str(out, "key", c->path + (*c->path == '@'), e);
}

static int put_local(const struct pkg_local_rule *r, struct wire_out *out, struct err *e)
{
	auto_buf struct buf b = BUF_INIT(WIRE_MAX);

	if (add_text(&b, r->is_merged ? "merge" : "override", e) < 0 ||
	    add_text(&b, r->subtree + (*r->subtree == '@'), e) < 0)
		return -1;
	return wire_put(out, "local", b.data, b.len, e);
}

static int put_rule(const struct pkg_path_rule *r, struct wire_out *out, struct err *e)
{
	static const char *const word[] = {
		[PKG_PRIVATE] = "private", [PKG_DIRECT] = "direct", [PKG_HIDDEN] = "hidden"
	};
	auto_buf struct buf b = BUF_INIT(WIRE_MAX);
	auto_free char *path = launch_token_resolve(r->path, e);

	if (!path || add_text(&b, word[r->policy], e) < 0 || add_text(&b, path, e) < 0)
		return -1;
	return wire_put(out, "rule", b.data, b.len, e);
}

int launch_info_put(const struct pkg_manifest *m, struct wire_out *out, struct err *e)
{
	if (wire_put_str(out, "name", m->name, e) < 0 || wire_put_str(out, "version", m->version, e) < 0)
		return -1;
	if (m->default_command && wire_put_str(out, "default-command", m->default_command, e) < 0)
		return -1;
	for (size_t i = 0; i < m->command_count; i++)
		if (put_command(&m->commands[i], out, e) < 0)
			return -1;
	for (size_t i = 0; i < m->env_count; i++) {
		auto_free char *pair = mem_printf(e, "%s=%s", m->env[i].name, m->env[i].value);

		if (!pair || wire_put_str(out, "env", pair, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < m->config_count; i++)
		if (put_config(&m->configs[i], out, e) < 0)
			return -1;
	for (size_t i = 0; i < m->local_count; i++)
		if (put_local(&m->locals[i], out, e) < 0)
			return -1;
	for (size_t i = 0; i < m->rule_count; i++)
		if (put_rule(&m->rules[i], out, e) < 0)
			return -1;
	return 0;
}

/* ---- taking ---------------------------------------------------------------------------------- */

void launch_command_fini(struct launch_command *c)
{
	free(c->name);
	free(c->path);
	for (char **arg = c->args; arg && *arg; arg++)
		free(*arg);
	free(c->args);
	*c = (struct launch_command){ 0 };
}

/* The next NUL-terminated piece of a field; NULL at its end. */
static const char *piece(const struct wire_field *f, size_t *pos)
{
	const char *start = (const char *)f->value + *pos;
	const char *end = *pos < f->len ? memchr(start, 0, f->len - *pos) : NULL;

	if (!end)
		return NULL;
	*pos += (size_t)(end - start) + 1;
	return start;
}

static int take_command(const struct wire_field *f, struct launch_command *ret, struct err *e)
{
	struct launch_command c = { 0 };
	size_t pos = 0, count = 0;
	const char *name = piece(f, &pos), *path = piece(f, &pos), *arg;

	if (!name || !path)
		return err_set(e, ERR_FORMAT, "malformed command in the package's description");
	c.name = mem_strdup(name, e);
	c.path = mem_strdup(path, e);
	c.args = mem_alloc(f->len + 1, sizeof(*c.args), e); /* no more pieces than bytes */
	while (c.name && c.path && c.args && (arg = piece(f, &pos))) {
		c.args[count] = mem_strdup(arg, e);
		if (!c.args[count++])
			break;
	}
	if (!c.name || !c.path || !c.args || (count && !c.args[count - 1])) {
		launch_command_fini(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

static int no_such_command(const struct wire_in *m, const char *name, struct err *e)
{
	auto_buf struct buf names = BUF_INIT(240);
	struct wire_field f;
	struct err ignored;
	size_t pos = 0;

	while (wire_next(m, &pos, &f)) {
		size_t at = 0;
		const char *have;

		if (f.name_len != 7 || memcmp(f.name, "command", 7))
			continue;
		have = piece(&f, &at);
		if (have && buf_printf(&names, &ignored, "%s%s", names.len ? ", " : "", have) < 0)
			break;
	}
	if (!names.len)
		return err_set(e, ERR_NOTFOUND,
			       "the package has no commands: name a program with --command /PATH");
	return err_set(e, ERR_NOTFOUND, "%s: no such command in the package (there %s: %s)", name,
		       memchr(names.data, ',', names.len) ? "are" : "is", buf_text(&names, &ignored));
}

int launch_info_command(const struct wire_in *m, const char *name, struct launch_command *ret, struct err *e)
{
	auto_free char *fallback = NULL;
	struct wire_field f;
	struct err ignored;
	size_t pos = 0;

	if (!name && wire_find(m, "default-command", &f)) {
		fallback = wire_str(m, "default-command", &ignored);
		name = fallback;
	}
	while (wire_next(m, &pos, &f)) {
		size_t at = 0;
		const char *have;

		if (f.name_len != 7 || memcmp(f.name, "command", 7))
			continue;
		have = piece(&f, &at);
		if (have && (!name || !strcmp(have, name)))
			return take_command(&f, ret, e);
	}
	return no_such_command(m, name ? name : "(default)", e);
}
