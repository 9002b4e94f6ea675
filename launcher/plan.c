/* SPDX-License-Identifier: Apache-2.0 */
/* Planning a launch; see plan.h. Where the defaults come from is in plan_defaults.c. */
#include "launcher/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "launcher/launch_info.h"
#include "launcher/plan_sockets.h"
#include "registry-shim/shim_paths.h"

extern char **environ;

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void launch_plan_fini(struct launch_plan *p)
{
	for (size_t i = 0; i < p->rule_count; i++)
		free(p->rules[i].path);
	for (size_t i = 0; i < p->bind_count; i++) {
		free(p->binds[i].target);
		free(p->binds[i].source);
	}
	free(p->rules);
	free(p->binds);
	free_list(p->argv);
	free_list(p->envp);
	free(p->cwd);
	free(p->home);
	*p = (struct launch_plan){ 0 };
}

int launch_plan_rule(struct launch_plan *p, const char *path, enum launch_policy policy, bool is_default,
		     struct err *e)
{
	struct launch_rule *rules = mem_grow(p->rules, p->rule_count + 1, sizeof(*rules), e);
	char *absolute;

	if (!rules)
		return -1;
	p->rules = rules;
	absolute = path_absolute(path, e);
	if (!absolute)
		return -1;
	if (!strcmp(absolute, "/")) {
		free(absolute);
		return err_set(e, ERR_USAGE,
			       "/ as a whole can be neither shared nor hidden: name directories");
	}
	rules[p->rule_count++] =
		(struct launch_rule){ .path = absolute, .policy = policy, .is_default = is_default };
	return 0;
}

int launch_plan_package(struct launch_plan *p, const struct wire_in *package, struct err *e)
{
	struct wire_field f;
	size_t pos = 0;

	while (wire_next(package, &pos, &f)) {
		const char *word = (const char *)f.value, *path;
		size_t word_len;
		enum launch_policy policy = LAUNCH_PRIVATE;

		if (f.name_len != 4 || memcmp(f.name, "rule", 4))
			continue;
		if (f.len < 2 || word[f.len - 1] != 0)
			return err_set(e, ERR_FORMAT, "malformed path rule in the package's description");
		word_len = strlen(word);
		path = word + word_len + 1;
		if (word_len + 1 >= f.len)
			return err_set(e, ERR_FORMAT, "malformed path rule in the package's description");
		if (!strcmp(word, "direct"))
			policy = LAUNCH_DIRECT;
		else if (!strcmp(word, "hidden"))
			policy = LAUNCH_HIDDEN;
		if (launch_plan_rule(p, path, policy, true, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- rules to binds -------------------------------------------------------------------------- */

static int add_bind(struct launch_plan *p, const struct launch_bind *b, struct err *e)
{
	struct launch_bind *binds = mem_grow(p->binds, p->bind_count + 1, sizeof(*binds), e);
	struct launch_bind copy = *b;

	if (!binds)
		return -1;
	p->binds = binds;
	copy.target = mem_strdup(b->target, e);
	copy.source = b->source && copy.target ? mem_strdup(b->source, e) : NULL;
	if (!copy.target || (b->source && !copy.source)) {
		free(copy.target);
		return -1;
	}
	binds[p->bind_count++] = copy;
	return 0;
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct launch_bind *)a)->target, ((const struct launch_bind *)b)->target);
}

/* The rule that decides over `path`'s parents: NULL = private by default. */
static const struct launch_rule *ruling_above(const struct launch_plan *p, const struct launch_rule *rule)
{
	const struct launch_rule *best = NULL;

	for (size_t i = 0; i < p->rule_count; i++) {
		const struct launch_rule *r = &p->rules[i];

		if (!strcmp(r->path, rule->path) || !path_is_below(rule->path, r->path))
			continue;
		if (!best || strlen(r->path) >= strlen(best->path))
			best = r;
	}
	return best;
}

static bool is_overruled(const struct launch_plan *p, size_t idx)
{
	for (size_t i = idx + 1; i < p->rule_count; i++)
		if (!strcmp(p->rules[i].path, p->rules[idx].path))
			return true;
	return false;
}

static int bind_of_rule(struct launch_plan *p, const struct launch_rule *r, struct err *e)
{
	const struct launch_rule *above = ruling_above(p, r);
	struct launch_bind b = { .target = r->path, .optional = r->is_default };
	struct stat st;

	/* What already is as the rule wants it needs no mount. */
	if ((above ? above->policy : LAUNCH_PRIVATE) == r->policy)
		return 0;
	if (r->policy != LAUNCH_HIDDEN && stat(r->path, &st) < 0)
		return r->is_default ? 0 : err_sys(e, errno, "%s", r->path);
	switch (r->policy) {
	case LAUNCH_PRIVATE:
		break;
	case LAUNCH_HIDDEN:
		b.hide = true;
		b.optional = true; /* what is not there needs no hiding */
		break;
	case LAUNCH_DIRECT:
	case LAUNCH_DIRECT_READ_ONLY:
		b.source = r->path;
		b.read_only = r->policy == LAUNCH_DIRECT_READ_ONLY;
		break;
	}
	return add_bind(p, &b, e);
}

static int add_socket(void *arg, const char *path, struct err *e)
{
	struct launch_plan *p = arg;
	struct launch_rule as_rule = { .path = (char *)path };
	const struct launch_rule *above = ruling_above(p, &as_rule);
	struct launch_bind b = { .target = (char *)path, .source = (char *)path, .optional = true };

	if (above && above->policy != LAUNCH_PRIVATE)
		return 0;
	return add_bind(p, &b, e);
}

int launch_plan_resolve(struct launch_plan *p, struct err *e)
{
	for (size_t i = 0; i < p->rule_count; i++)
		if (!is_overruled(p, i) && bind_of_rule(p, &p->rules[i], e) < 0)
			return -1;
	if (launch_plan_sockets(p->home, add_socket, p, e) < 0)
		return -1;
	if (p->bind_count)
		qsort(p->binds, p->bind_count, sizeof(*p->binds), by_target);
	return 0;
}

/* ---- program and variables ------------------------------------------------------------------- */

static int append(char ***list, size_t *count, const char *text, struct err *e)
{
	char **more = mem_grow(*list, *count + 2, sizeof(*more), e);

	if (!more)
		return -1;
	*list = more;
	more[*count] = mem_strdup(text, e);
	if (!more[*count])
		return -1;
	more[++*count] = NULL;
	return 0;
}

int launch_plan_command(struct launch_plan *p, const struct wire_in *package, const char *name,
			char *const *args, struct err *e)
{
	struct launch_command c = { 0 };
	size_t count = 0;
	int rc;

	if (name && strchr(name, '/')) {
		rc = append(&p->argv, &count, name, e);
	} else {
		if (launch_info_command(package, name, &c, e) < 0)
			return -1;
		rc = append(&p->argv, &count, c.path, e);
		for (char **arg = c.args; rc == 0 && *arg; arg++)
			rc = append(&p->argv, &count, *arg, e);
		launch_command_fini(&c);
	}
	for (; rc == 0 && *args; args++)
		rc = append(&p->argv, &count, *args, e);
	return rc;
}

static bool same_variable(const char *a, const char *b)
{
	size_t len = strcspn(b, "=");

	return !strncmp(a, b, len + 1);
}

static int set_variable(struct launch_plan *p, size_t *count, const char *pair, struct err *e)
{
	for (char **v = p->envp; v && *v; v++)
		if (same_variable(*v, pair)) {
			char *copy = mem_strdup(pair, e);

			if (!copy)
				return -1;
			free(*v);
			*v = copy;
			return 0;
		}
	return append(&p->envp, count, pair, e);
}

int launch_plan_environment(struct launch_plan *p, const struct wire_in *package, const char *env_name,
			    bool with_shim, struct err *e)
{
	auto_free char *mark = mem_printf(e, "FLOE_ENVIRONMENT=%s", env_name);
	const char *preload = getenv("LD_PRELOAD");
	struct wire_field f;
	size_t pos = 0, count = 0;
	int rc = mark ? 0 : -1;

	for (char **v = environ; rc == 0 && *v; v++)
		rc = append(&p->envp, &count, *v, e);
	while (rc == 0 && wire_next(package, &pos, &f)) {
		auto_free char *pair = NULL;

		if (f.name_len != 3 || memcmp(f.name, "env", 3) || !memchr(f.value, '=', f.len))
			continue;
		pair = mem_strndup((const char *)f.value, f.len, e);
		rc = pair ? set_variable(p, &count, pair, e) : -1;
	}
	if (rc == 0)
		rc = set_variable(p, &count, mark, e);
	if (rc == 0 && with_shim) {
		auto_free char *pair = mem_printf(e, "LD_PRELOAD=%s%s%s", REG_SHIM_LIBRARY,
						  preload && *preload ? ":" : "", preload ? preload : "");

		rc = pair ? set_variable(p, &count, pair, e) : -1;
	}
	return rc;
}

void launch_plan_print(const struct launch_plan *p, FILE *to)
{
	for (size_t i = 0; i < p->bind_count; i++) {
		const struct launch_bind *b = &p->binds[i];

		(void)fprintf(to, "%-9s %s\n",
			      b->hide        ? "hidden"
			      : !b->source   ? "private"
			      : b->read_only ? "read-only"
					     : "direct",
			      b->target);
	}
	for (char **v = p->envp; v && *v; v++) {
		bool is_inherited = false;

		for (char **had = environ; *had; had++)
			is_inherited |= !strcmp(*had, *v);
		if (!is_inherited)
			(void)fprintf(to, "%-9s %s\n", "variable", *v);
	}
	(void)fprintf(to, "%-9s %s\n%-9s", "directory", p->cwd, "program");
	for (char **arg = p->argv; arg && *arg; arg++)
		(void)fprintf(to, " %s", *arg);
	(void)fputc('\n', to);
}
