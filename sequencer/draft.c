/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest in the making; see draft.h. */
#include "sequencer/draft.h"

#include <stdint.h>
#include <string.h>

struct pkg_manifest *seq_draft_new(struct err *e)
{
	return mem_alloc(1, sizeof(struct pkg_manifest), e);
}

/* Well-formed as RFC 3629 has it: shortest forms only, no surrogates, nothing past U+10FFFF. */
bool seq_text_is_utf8(const char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (const uint8_t *p = (const uint8_t *)s; *p;) {
		unsigned n = *p < 0x80             ? 1
			     : (*p & 0xe0) == 0xc0 ? 2
			     : (*p & 0xf0) == 0xe0 ? 3
			     : (*p & 0xf8) == 0xf0 ? 4
						   : 0;
		uint32_t c = n == 1 ? *p : *p & (0x7fU >> n);

		if (!n)
			return false;
		for (unsigned i = 1; i < n; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i] & 0x3fU);
		}
		if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		p += n;
	}
	return true;
}

static bool fits(const char *s)
{
	return strlen(s) < SEQ_DRAFT_STRING_MAX && seq_text_is_utf8(s);
}

int seq_draft_set(char **field, const char *value, struct err *e)
{
	char *copy = mem_strdup(value, e);

	if (!copy)
		return -1;
	free(*field);
	*field = copy;
	return 0;
}

/* Room for one more element; lists are short, so that they grow one by one. */
static void *grow(void *list, size_t count, size_t size, struct err *e)
{
	void *grown = mem_grow(list, count + 1, size, e);

	if (grown)
		memset((char *)grown + count * size, 0, size);
	return grown;
}

const struct pkg_command *seq_draft_find(const struct pkg_manifest *m, const char *name)
{
	for (size_t i = 0; i < m->command_count; i++)
		if (!strcmp(m->commands[i].name, name))
			return &m->commands[i];
	return NULL;
}

int seq_draft_command(struct pkg_manifest *m, const char *name, const char *path, bool *ret_added,
		      struct err *e)
{
	struct pkg_command *list;

	*ret_added = false;
	if (m->command_count == SEQ_DRAFT_LIST_MAX || !fits(name) || !fits(path) || !*name || *name == '-' ||
	    strchr(name, '/') || seq_draft_find(m, name))
		return 0;
	list = grow(m->commands, m->command_count, sizeof(*list), e);
	if (!list)
		return -1;
	m->commands = list;
	list += m->command_count++;
	list->name = mem_strdup(name, e);
	list->path = list->name ? mem_strdup(path, e) : NULL;
	if (!list->path) {
		free(list->name);
		m->command_count--;
		return -1;
	}
	*ret_added = true;
	return 0;
}

bool seq_draft_has_config(const struct pkg_manifest *m, const char *path)
{
	for (size_t i = 0; i < m->config_count; i++)
		if (!strcmp(m->configs[i].path, path))
			return true;
	return false;
}

int seq_draft_config(struct pkg_manifest *m, const char *path, const char *lens, const char *defaults,
		     struct err *e)
{
	struct pkg_config_file *list;

	if (m->config_count == SEQ_DRAFT_LIST_MAX || !fits(path) || seq_draft_has_config(m, path))
		return 0;
	list = grow(m->configs, m->config_count, sizeof(*list), e);
	if (!list)
		return -1;
	m->configs = list;
	list += m->config_count;
	list->path = mem_strdup(path, e);
	list->lens = list->path ? mem_strdup(lens, e) : NULL;
	list->defaults = list->lens && defaults ? mem_strdup(defaults, e) : NULL;
	if (!list->lens || (defaults && !list->defaults)) {
		free(list->path);
		free(list->lens);
		return -1;
	}
	m->config_count++;
	return 0;
}

int seq_draft_env(struct pkg_manifest *m, const char *name, const char *value, struct err *e)
{
	struct pkg_env_var *list;

	for (size_t i = 0; i < m->env_count; i++)
		if (!strcmp(m->env[i].name, name))
			return seq_draft_set(&m->env[i].value, value, e);
	if (m->env_count == SEQ_DRAFT_LIST_MAX || !fits(name) || !fits(value))
		return 0;
	list = grow(m->env, m->env_count, sizeof(*list), e);
	if (!list)
		return -1;
	m->env = list;
	list += m->env_count;
	list->name = mem_strdup(name, e);
	list->value = list->name ? mem_strdup(value, e) : NULL;
	if (!list->value) {
		free(list->name);
		return -1;
	}
	m->env_count++;
	return 0;
}

int seq_draft_path_rule(struct pkg_manifest *m, const char *policy, const char *path, struct err *e)
{
	static const char *const words[] = {
		[PKG_PRIVATE] = "private", [PKG_DIRECT] = "direct", [PKG_HIDDEN] = "hidden"
	};
	struct pkg_path_rule *list;
	size_t i = 0;

	while (i < ARRAY_LEN(words) && strcmp(policy, words[i]) != 0)
		i++;
	if (i == ARRAY_LEN(words))
		return err_set(e, ERR_USAGE, "%.80s: a policy is private, direct or hidden", policy);
	if (m->rule_count == SEQ_DRAFT_LIST_MAX || !fits(path))
		return 0;
	list = grow(m->rules, m->rule_count, sizeof(*list), e);
	if (!list)
		return -1;
	m->rules = list;
	list += m->rule_count;
	list->policy = (enum pkg_policy)i;
	list->path = mem_strdup(path, e);
	if (!list->path)
		return -1;
	m->rule_count++;
	return 0;
}

int seq_draft_local_rule(struct pkg_manifest *m, const char *rule, const char *subtree, struct err *e)
{
	bool is_merged = !strcmp(rule, "merge");
	struct pkg_local_rule *list;

	if (!is_merged && strcmp(rule, "override") != 0)
		return err_set(e, ERR_USAGE, "%.80s: a rule for the host's settings is merge or override",
			       rule);
	if (m->local_count == SEQ_DRAFT_LIST_MAX || !fits(subtree))
		return 0;
	list = grow(m->locals, m->local_count, sizeof(*list), e);
	if (!list)
		return -1;
	m->locals = list;
	list += m->local_count;
	list->is_merged = is_merged;
	list->subtree = mem_strdup(subtree, e);
	if (!list->subtree)
		return -1;
	m->local_count++;
	return 0;
}

static int add_string(char ***list, size_t *count, const char *s, struct err *e)
{
	char **grown;

	if (*count == SEQ_DRAFT_LIST_MAX || !fits(s))
		return 0;
	grown = grow(*list, *count, sizeof(*grown), e);
	if (!grown)
		return -1;
	*list = grown;
	grown[*count] = mem_strdup(s, e);
	if (!grown[*count])
		return -1;
	(*count)++;
	return 0;
}

int seq_draft_desktop(struct pkg_manifest *m, const char *path, struct err *e)
{
	return add_string(&m->desktop_files, &m->desktop_file_count, path, e);
}

int seq_draft_note(struct pkg_manifest *m, const char *note, struct err *e)
{
	return add_string(&m->notes, &m->note_count, note, e);
}
