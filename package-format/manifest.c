/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests: JSON <-> struct; see manifest.h for the limits and FORMAT.md for the members.
 *
 * What a manifest claims is used to build mounts and command lines, so names and paths are checked
 * here once, on the way in and on the way out. */
#include "package-format/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "base/path.h"

enum { STRING_MAX = 4096, LIST_MAX = 1024 };

static const char *const policy_names[] = { "private", "direct", "hidden" };

/* ---- freeing ------------------------------------------------------------------------------ */

static void strings_free(char **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		free(list[i]);
	free(list);
}

static void command_fini(struct pkg_command *c)
{
	free(c->name);
	free(c->path);
	for (char **a = c->args; a && *a; a++)
		free(*a);
	free(c->args);
}

void pkg_manifest_free(struct pkg_manifest *m)
{
	if (!m)
		return;
	free(m->name);
	free(m->version);
	free(m->summary);
	free(m->default_command);
	for (size_t i = 0; i < m->command_count; i++)
		command_fini(&m->commands[i]);
	for (size_t i = 0; i < m->config_count; i++) {
		free(m->configs[i].path);
		free(m->configs[i].lens);
		free(m->configs[i].defaults);
	}
	for (size_t i = 0; i < m->env_count; i++) {
		free(m->env[i].name);
		free(m->env[i].value);
	}
	for (size_t i = 0; i < m->rule_count; i++)
		free(m->rules[i].path);
	for (size_t i = 0; i < m->local_count; i++)
		free(m->locals[i].subtree);
	free(m->locals);
	free(m->commands);
	free(m->configs);
	free(m->env);
	free(m->rules);
	strings_free(m->desktop_files, m->desktop_file_count);
	strings_free(m->notes, m->note_count);
	free(m);
}

/* ---- checks that reading and writing share -------------------------------------------------- */

static bool is_token(const char *s, size_t len)
{
	static const char *const tokens[] = { "@home",  "@config",    "@data",   "@state",
					      "@cache", "@documents", "@runtime" };

	for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
		if (strlen(tokens[i]) == len && !memcmp(tokens[i], s, len))
			return true;
	return false;
}

/* Absolute or token path without "." and ".." components: it can be joined to a root as it is. */
static bool is_package_path(const char *path)
{
	size_t first = strcspn(path, "/");

	if (first ? !is_token(path, first) : *path != '/')
		return false;
	for (const char *p = path + first; *p;) {
		size_t len;

		p += *p == '/';
		len = strcspn(p, "/");
		if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += len;
	}
	return true;
}

static int check_path(const char *path, const char *member, struct err *e)
{
	if (path && !is_package_path(path))
		return err_set(e, ERR_FORMAT,
			       "manifest: %s: \"%.200s\" is neither absolute nor below a token", member,
			       path);
	return 0;
}

/* What no rule can change, and what is nobody's to say. */
static int check_rule_path(const char *path, struct err *e)
{
	static const char *const fixed[] = { "/proc", "/sys", "/dev", "/run", "/.floe", "@runtime" };
	size_t len = strlen(path);

	if (check_path(path, "paths", e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		size_t fixed_len = strlen(fixed[i]);

		if (len == strspn(path, "/") ||
		    (!strncmp(path, fixed[i], fixed_len) && (!path[fixed_len] || path[fixed_len] == '/')))
			return err_set(e, ERR_FORMAT, "manifest: paths: no rule can be made for \"%.200s\"",
				       path);
	}
	return 0;
}

/* A path, and perhaps a ':' and the beginning of a key. */
static int check_subtree(const char *subtree, struct err *e)
{
	const char *colon = strchr(subtree, ':');
	auto_free char *path = mem_strndup(subtree, colon ? (size_t)(colon - subtree) : strlen(subtree), e);

	if (!path)
		return -1;
	return check_path(path, "local_settings", e);
}

static int check(const struct pkg_manifest *m, struct err *e)
{
	if (!m->name || !path_is_plain_name(m->name))
		return err_set(e, ERR_FORMAT, "manifest: name: not a plain name");
	for (size_t i = 0; i < m->command_count; i++) {
		const struct pkg_command *c = &m->commands[i];

		if (!*c->name || strchr(c->name, '/') || *c->name == '-')
			return err_set(e, ERR_FORMAT, "manifest: commands: \"%.80s\" is not a command name",
				       c->name);
		if (check_path(c->path, "commands", e) < 0)
			return -1;
	}
	for (size_t i = 0; i < m->config_count; i++)
		if (check_path(m->configs[i].path, "config_files", e) < 0 ||
		    check_path(m->configs[i].defaults, "config_files", e) < 0)
			return -1;
	for (size_t i = 0; i < m->env_count; i++)
		if (!*m->env[i].name || strchr(m->env[i].name, '='))
			return err_set(e, ERR_FORMAT, "manifest: environment: \"%.80s\" is not a variable",
				       m->env[i].name);
	for (size_t i = 0; i < m->rule_count; i++) {
		if (check_rule_path(m->rules[i].path, e) < 0)
			return -1;
		if ((size_t)m->rules[i].policy >= ARRAY_LEN(policy_names))
			return err_set(e, ERR_USAGE, "manifest: paths: no such policy");
	}
	for (size_t i = 0; i < m->local_count; i++)
		if (check_subtree(m->locals[i].subtree, e) < 0)
			return -1;
	for (size_t i = 0; i < m->desktop_file_count; i++)
		if (check_path(m->desktop_files[i], "desktop_files", e) < 0)
			return -1;
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int wrong_type(const char *member, const char *wanted, struct err *e)
{
	return err_set(e, ERR_FORMAT, "manifest: %s must be %s", member, wanted);
}

/* A missing or null member leaves NULL, which is an error when it is needed. */
static int take_string(const json_t *object, const char *member, bool is_needed, char **ret, struct err *e)
{
	const json_t *v = json_object_get(object, member);

	if (!v || json_is_null(v))
		return is_needed ? err_set(e, ERR_FORMAT, "manifest: %s is missing", member) : 0;
	if (!json_is_string(v))
		return wrong_type(member, "a string", e);
	if (json_string_length(v) > STRING_MAX)
		return err_set(e, ERR_LIMIT, "manifest: %s is too long", member);
	*ret = mem_strdup(json_string_value(v), e);
	return *ret ? 0 : -1;
}

/* A missing member is an empty list. *ret is borrowed from `object`. */
static int take_list(const json_t *object, const char *member, const json_t **ret, size_t *ret_count,
		     struct err *e)
{
	const json_t *v = json_object_get(object, member);

	*ret = NULL;
	*ret_count = 0;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return wrong_type(member, "a list", e);
	if (json_array_size(v) > LIST_MAX)
		return err_set(e, ERR_LIMIT, "manifest: %s has more than %d entries", member, LIST_MAX);
	*ret = v;
	*ret_count = json_array_size(v);
	return 0;
}

/* Room for one more than `count`, zeroed, so that lists of strings are NULL-terminated as well. */
static int take_strings(const json_t *object, const char *member, char ***ret, size_t *ret_count,
			struct err *e)
{
	const json_t *list;
	size_t count;

	if (take_list(object, member, &list, &count, e) < 0)
		return -1;
	if (!count)
		return 0;
	*ret = mem_alloc(count + 1, sizeof(char *), e);
	if (!*ret)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_string(v))
			return wrong_type(member, "a list of strings", e);
		if (json_string_length(v) > STRING_MAX)
			return err_set(e, ERR_LIMIT, "manifest: %s: an entry is too long", member);
		(*ret)[i] = mem_strdup(json_string_value(v), e);
		if (!(*ret)[i])
			return -1;
		*ret_count = i + 1;
	}
	return 0;
}

static int read_command(const json_t *v, void *slot, struct err *e)
{
	struct pkg_command *c = slot;
	size_t count = 0;

	if (take_string(v, "name", true, &c->name, e) < 0 || take_string(v, "path", true, &c->path, e) < 0)
		return -1;
	return take_strings(v, "args", &c->args, &count, e);
}

static int read_config(const json_t *v, void *slot, struct err *e)
{
	struct pkg_config_file *c = slot;

	if (take_string(v, "path", true, &c->path, e) < 0 || take_string(v, "lens", true, &c->lens, e) < 0)
		return -1;
	return take_string(v, "defaults", false, &c->defaults, e);
}

static int read_env(const json_t *v, void *slot, struct err *e)
{
	struct pkg_env_var *c = slot;

	if (take_string(v, "name", true, &c->name, e) < 0)
		return -1;
	return take_string(v, "value", true, &c->value, e);
}

static int read_local(const json_t *v, void *slot, struct err *e)
{
	struct pkg_local_rule *r = slot;
	auto_free char *rule = NULL;

	if (take_string(v, "subtree", true, &r->subtree, e) < 0 || take_string(v, "rule", true, &rule, e) < 0)
		return -1;
	r->is_merged = !strcmp(rule, "merge-local");
	if (r->is_merged || !strcmp(rule, "override-local"))
		return 0;
	return err_set(e, ERR_FORMAT, "manifest: local_settings: rule must be merge-local or override-local");
}

static int read_rule(const json_t *v, void *slot, struct err *e)
{
	struct pkg_path_rule *c = slot;
	auto_free char *policy = NULL;

	if (take_string(v, "path", true, &c->path, e) < 0 || take_string(v, "policy", true, &policy, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(policy_names); i++)
		if (!strcmp(policy, policy_names[i])) {
			c->policy = (enum pkg_policy)i;
			return 0;
		}
	return err_set(e, ERR_FORMAT, "manifest: paths: policy must be private, direct or hidden");
}

/* A list of objects. A slot is counted before it is filled, so that a half-filled one is freed. */
static int take_objects(const json_t *object, const char *member, size_t size,
			int (*read)(const json_t *, void *, struct err *), void **ret, size_t *ret_count,
			struct err *e)
{
	const json_t *list;
	size_t count;

	if (take_list(object, member, &list, &count, e) < 0)
		return -1;
	if (!count)
		return 0;
	*ret = mem_alloc(count, size, e);
	if (!*ret)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_object(v))
			return wrong_type(member, "a list of objects", e);
		*ret_count = i + 1;
		if (read(v, (char *)*ret + i * size, e) < 0)
			return -1;
	}
	return 0;
}

static int read_manifest(const json_t *v, struct pkg_manifest *m, struct err *e)
{
	if (!json_is_object(v))
		return err_set(e, ERR_FORMAT, "manifest: not an object");
	if (take_string(v, "name", true, &m->name, e) < 0 ||
	    take_string(v, "version", false, &m->version, e) < 0 ||
	    take_string(v, "summary", false, &m->summary, e) < 0 ||
	    take_string(v, "default_command", false, &m->default_command, e) < 0 ||
	    take_objects(v, "commands", sizeof(*m->commands), read_command, (void **)&m->commands,
			 &m->command_count, e) < 0 ||
	    take_objects(v, "config_files", sizeof(*m->configs), read_config, (void **)&m->configs,
			 &m->config_count, e) < 0 ||
	    take_objects(v, "environment", sizeof(*m->env), read_env, (void **)&m->env, &m->env_count, e) <
		    0 ||
	    take_objects(v, "paths", sizeof(*m->rules), read_rule, (void **)&m->rules, &m->rule_count, e) <
		    0 ||
	    take_objects(v, "local_settings", sizeof(*m->locals), read_local, (void **)&m->locals,
			 &m->local_count, e) < 0 ||
	    take_strings(v, "desktop_files", &m->desktop_files, &m->desktop_file_count, e) < 0 ||
	    take_strings(v, "notes", &m->notes, &m->note_count, e) < 0)
		return -1;
	if (!m->version) {
		m->version = mem_strdup("", e);
		if (!m->version)
			return -1;
	}
	return check(m, e);
}

int pkg_manifest_parse(const char *json, size_t len, struct pkg_manifest **ret, struct err *e)
{
	struct pkg_manifest *m;
	json_error_t why;
	json_t *v;
	int rc;

	if (len > PKG_MANIFEST_MAX)
		return err_set(e, ERR_LIMIT, "manifest: longer than %d bytes", PKG_MANIFEST_MAX);
	v = json_loadb(json, len, JSON_REJECT_DUPLICATES, &why);
	if (!v)
		return err_set(e, ERR_FORMAT, "manifest: line %d: %s", why.line, why.text);
	m = mem_alloc(1, sizeof(*m), e);
	rc = m ? read_manifest(v, m, e) : -1;
	json_decref(v);
	if (rc < 0) {
		pkg_manifest_free(m);
		return -1;
	}
	*ret = m;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The _new functions of jansson steal the value and accept NULL, so one check per object does. */
static int put_string(json_t *object, const char *member, const char *value)
{
	return value ? json_object_set_new(object, member, json_string(value)) : 0;
}

static json_t *strings_of(char *const *list, size_t count)
{
	json_t *v = json_array();

	for (size_t i = 0; v && i < count; i++)
		if (json_array_append_new(v, json_string(list[i])) < 0) {
			json_decref(v);
			return NULL;
		}
	return v;
}

static json_t *command_of(const struct pkg_manifest *m, size_t i)
{
	const struct pkg_command *c = &m->commands[i];
	json_t *v = json_object();
	size_t argc = 0;

	while (c->args && c->args[argc])
		argc++;
	if (put_string(v, "name", c->name) < 0 || put_string(v, "path", c->path) < 0 ||
	    (argc && json_object_set_new(v, "args", strings_of(c->args, argc)) < 0)) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *config_of(const struct pkg_manifest *m, size_t i)
{
	const struct pkg_config_file *c = &m->configs[i];
	json_t *v = json_object();

	if (put_string(v, "path", c->path) < 0 || put_string(v, "lens", c->lens) < 0 ||
	    put_string(v, "defaults", c->defaults) < 0) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *env_of(const struct pkg_manifest *m, size_t i)
{
	json_t *v = json_object();

	if (put_string(v, "name", m->env[i].name) < 0 || put_string(v, "value", m->env[i].value) < 0) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *local_of(const struct pkg_manifest *m, size_t i)
{
	json_t *v = json_object();

	if (put_string(v, "subtree", m->locals[i].subtree) < 0 ||
	    put_string(v, "rule", m->locals[i].is_merged ? "merge-local" : "override-local") < 0) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static json_t *rule_of(const struct pkg_manifest *m, size_t i)
{
	json_t *v = json_object();

	if (put_string(v, "path", m->rules[i].path) < 0 ||
	    put_string(v, "policy", policy_names[m->rules[i].policy]) < 0) {
		json_decref(v);
		return NULL;
	}
	return v;
}

static int put_list(json_t *object, const char *member, const struct pkg_manifest *m, size_t count,
		    json_t *(*one)(const struct pkg_manifest *, size_t))
{
	json_t *v;

	if (!count)
		return 0;
	v = json_array();
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(v, one(m, i)) < 0) {
			json_decref(v);
			return -1;
		}
	return json_object_set_new(object, member, v);
}

static int put_all(json_t *v, const struct pkg_manifest *m)
{
	if (put_string(v, "name", m->name) < 0 || put_string(v, "version", m->version) < 0 ||
	    put_string(v, "summary", m->summary) < 0 ||
	    put_string(v, "default_command", m->default_command) < 0 ||
	    put_list(v, "commands", m, m->command_count, command_of) < 0 ||
	    put_list(v, "config_files", m, m->config_count, config_of) < 0 ||
	    put_list(v, "environment", m, m->env_count, env_of) < 0 ||
	    put_list(v, "local_settings", m, m->local_count, local_of) < 0 ||
	    put_list(v, "paths", m, m->rule_count, rule_of) < 0)
		return -1;
	if (m->desktop_file_count &&
	    json_object_set_new(v, "desktop_files", strings_of(m->desktop_files, m->desktop_file_count)) < 0)
		return -1;
	return m->note_count ? json_object_set_new(v, "notes", strings_of(m->notes, m->note_count)) : 0;
}

int pkg_manifest_print(const struct pkg_manifest *m, struct buf *ret, struct err *e)
{
	auto_free char *text = NULL;
	json_t *v;
	int rc;

	if (check(m, e) < 0)
		return -1;
	v = json_object();
	rc = v ? put_all(v, m) : -1;
	if (rc == 0)
		text = json_dumps(v, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(v);
	if (!text)
		return err_set(e, ERR_FORMAT, "manifest: a string is not UTF-8");
	if (strlen(text) + 1 > PKG_MANIFEST_MAX)
		return err_set(e, ERR_LIMIT, "manifest: longer than %d bytes", PKG_MANIFEST_MAX);
	if (buf_add_str(ret, text, e) < 0)
		return -1;
	return buf_add_str(ret, "\n", e);
}
