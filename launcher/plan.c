/* SPDX-License-Identifier: Apache-2.0 */
/* Planning a launch; see plan.h. Where the defaults come from is in plan_defaults.c. */
#include "launcher/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "launcher/launch_info.h"
#include "launcher/paths_conf.h"
#include "launcher/plan_sockets.h"
#include "registry-shim/shim_paths.h"

extern char **environ;

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

/* Keeps it NULL-terminated. */
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

void launch_plan_fini(struct launch_plan *p)
{
	for (size_t i = 0; i < p->bind_count; i++) {
		free(p->binds[i].target);
		free(p->binds[i].source);
	}
	launch_rules_fini(&p->rules);
	free(p->binds);
	free_list(p->argv);
	free_list(p->envp);
	free(p->cwd);
	free(p->home);
	free_list(p->sockets);
	*p = (struct launch_plan){ 0 };
}

int launch_plan_rule(struct launch_plan *p, const char *path, enum launch_policy policy,
		     enum launch_rule_source source, struct err *e)
{
	struct launch_rule rule = { .path = (char *)path, .policy = policy, .source = source };

	return launch_rules_add(&p->rules, &rule, e);
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
		if (launch_plan_rule(p, path, policy, LAUNCH_RULE_PACKAGE, e) < 0)
			return -1;
	}
	return 0;
}

int launch_plan_files(struct launch_plan *p, struct err *e)
{
	auto_free char *config = path_config_dir(false, e);
	auto_free char *own = config ? path_join(config, "paths.conf", e) : NULL;

	if (!own || launch_paths_conf_read(LAUNCH_PATHS_CONF_SITE, LAUNCH_RULE_SITE, &p->rules, e) < 0)
		return -1;
	return launch_paths_conf_read(own, LAUNCH_RULE_USER, &p->rules, e);
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

static enum launch_policy policy_above(const struct launch_plan *p, const char *path)
{
	const struct launch_rule *above = launch_rules_ruling(&p->rules, path, true);

	return above ? above->policy : LAUNCH_PRIVATE;
}

/* 1 = goes on, 0 = passed over. */
static int check_there(const struct launch_rule *r, enum launch_policy above, struct stat *ret, struct err *e)
{
	if (stat(r->path, ret) == 0)
		return 1;
	*ret = (struct stat){ .st_mode = S_IFDIR };
	if (r->policy == LAUNCH_HIDDEN || (r->policy == LAUNCH_PRIVATE && above == LAUNCH_HIDDEN))
		return 1; /* the package may have it */
	if (r->source == LAUNCH_RULE_OPTION)
		return err_sys(e, errno, "%s", r->path);
	if (r->source != LAUNCH_RULE_DEFAULT)
		log_detail("%s: %s has no effect: %s: %s", launch_rule_origin(r),
			   launch_policy_word(r->policy), r->path, strerror(errno));
	return 0;
}

static int bind_of_rule(struct launch_plan *p, const struct launch_rule *r, struct err *e)
{
	enum launch_policy above = policy_above(p, r->path);
	struct launch_bind b = { .target = r->path, .make = true };
	struct stat st;
	int rc;

	/* What already is as the rule wants it needs no mount. */
	if (above == r->policy)
		return 0;
	rc = check_there(r, above, &st, e);
	if (rc <= 0)
		return rc;
	b.is_dir = S_ISDIR(st.st_mode);
	b.optional = r->source <= LAUNCH_RULE_PACKAGE;
	switch (r->policy) {
	case LAUNCH_PRIVATE:
		if (above == LAUNCH_HIDDEN) {
			b.make = false;
			b.optional = true;
		}
		break;
	case LAUNCH_HIDDEN:
		b.hide = true;
		b.make = false;
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

static int add_socket(struct launch_plan *p, const char *path, struct err *e)
{
	struct launch_bind b = { .target = (char *)path, .source = (char *)path, .optional = true };

	/* A rule for the socket itself, or what it lies in, has said all. */
	if (policy_above(p, path) != LAUNCH_PRIVATE)
		return 0;
	for (size_t i = 0; i < p->bind_count; i++)
		if (!strcmp(p->binds[i].target, path))
			return 0;
	return add_bind(p, &b, e);
}

static int note_socket(void *arg, const char *path, struct err *e)
{
	struct launch_plan *p = arg;

	return append(&p->sockets, &p->socket_count, path, e);
}

int launch_plan_find_sockets(struct launch_plan *p, struct err *e)
{
	return launch_plan_sockets(p->home, note_socket, p, e);
}

int launch_plan_resolve(struct launch_plan *p, struct err *e)
{
	if (launch_rules_settle(&p->rules, e) < 0)
		return -1;
	for (size_t i = 0; i < p->rules.count; i++)
		if (bind_of_rule(p, &p->rules.list[i], e) < 0)
			return -1;
	for (size_t i = 0; i < p->socket_count; i++)
		if (add_socket(p, p->sockets[i], e) < 0)
			return -1;
	if (p->bind_count)
		qsort(p->binds, p->bind_count, sizeof(*p->binds), by_target);
	return 0;
}

/* ---- program and variables ------------------------------------------------------------------- */

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

static void print_rules(const struct launch_plan *p, FILE *to)
{
	for (size_t i = 0; i < p->rules.count; i++) {
		const struct launch_rule *r = &p->rules.list[i];

		(void)fprintf(to, "%-9s %s  (%s%s%s)\n", launch_policy_word(r->policy), r->path,
			      launch_rule_origin(r), r->is_locked ? ", locked" : "",
			      access(r->path, F_OK) < 0 && errno == ENOENT ? "; not there" : "");
	}
	for (size_t i = 0; i < p->bind_count; i++)
		if (!p->binds[i].make && p->binds[i].source)
			(void)fprintf(to, "%-9s %s\n", "socket", p->binds[i].target);
}

void launch_plan_print(const struct launch_plan *p, FILE *to)
{
	print_rules(p, to);
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
