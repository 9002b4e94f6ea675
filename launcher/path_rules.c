/* SPDX-License-Identifier: Apache-2.0 */
/* Path rules; see path_rules.h. Only launch_rules_add looks at the disk, to follow symbolic links. */
#include "launcher/path_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

enum { RULES_MAX = 4096, LOCK_OF_USER = 10, LOCK_OF_SITE = 20 };

static const char *const policy_words[] = {
	[LAUNCH_PRIVATE] = "private",
	[LAUNCH_DIRECT] = "direct",
	[LAUNCH_DIRECT_READ_ONLY] = "read-only",
	[LAUNCH_HIDDEN] = "hidden",
};

const char *launch_policy_word(enum launch_policy policy)
{
	return policy_words[policy];
}

bool launch_policy_of_word(const char *word, enum launch_policy *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(policy_words); i++)
		if (!strcmp(word, policy_words[i])) {
			*ret = (enum launch_policy)i;
			return true;
		}
	return false;
}

const char *launch_rule_origin(const struct launch_rule *rule)
{
	if (rule->where)
		return rule->where;
	switch (rule->source) {
	case LAUNCH_RULE_DEFAULT:
		return "default";
	case LAUNCH_RULE_PACKAGE:
		return "package";
	case LAUNCH_RULE_SITE:
		return "site";
	case LAUNCH_RULE_USER:
		return "user";
	case LAUNCH_RULE_OPTION:
		return "command line";
	}
	return "";
}

static void rule_fini(struct launch_rule *rule)
{
	free(rule->path);
	free(rule->where);
}

void launch_rules_fini(struct launch_rules *r)
{
	for (size_t i = 0; i < r->count; i++)
		rule_fini(&r->list[i]);
	free(r->list);
	*r = (struct launch_rules){ 0 };
}

/* ---- adding ---------------------------------------------------------------------------------- */

static int check_place(const struct launch_rule *rule, const char *path, struct err *e)
{
	static const char *const fixed[] = { "/proc", "/sys", "/dev", "/run", "/.floe" };
	bool is_medium = path_is_below(path, "/run/media") && strcmp(path, "/run/media") != 0;

	if (!strcmp(path, "/"))
		return err_set(e, ERR_USAGE,
			       "%s: / as a whole can be neither shared nor hidden: name directories",
			       launch_rule_origin(rule));
	if (is_medium && rule->policy != LAUNCH_PRIVATE)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (path_is_below(path, fixed[i]))
			return err_set(
				e, ERR_USAGE,
				"%s: %s cannot be %s: what applications see in %s is not a matter of rules",
				launch_rule_origin(rule), path, launch_policy_word(rule->policy), fixed[i]);
	return 0;
}

/* Follows the links of what exists; the rest is appended as it is. */
static char *follow_links(const char *path, struct err *e)
{
	auto_free char *head = mem_strdup(path, e);
	size_t len = head ? strlen(head) : 0;

	while (head && len > 1) {
		auto_free char *real = realpath(head, NULL);

		if (real)
			return path_join(real, path + len + (path[len] == '/'), e);
		while (len > 1 && head[len - 1] != '/')
			len--;
		while (len > 1 && head[len - 1] == '/')
			len--;
		head[len] = 0;
	}
	return head ? mem_strdup(path, e) : NULL;
}

static int make_rule(const struct launch_rule *from, struct launch_rule *ret, struct err *e)
{
	auto_free char *absolute = path_absolute(from->path, e);

	*ret = *from;
	ret->where = NULL;
	if (!absolute || check_place(from, absolute, e) < 0)
		return -1;
	ret->path = follow_links(absolute, e);
	if (!ret->path)
		return -1;
	if (strcmp(ret->path, absolute) != 0 && check_place(from, ret->path, e) < 0) {
		free(ret->path);
		return err_wrap(e, "%s leads out of reach", absolute);
	}
	if (from->where) {
		ret->where = mem_strdup(from->where, e);
		if (!ret->where) {
			free(ret->path);
			return -1;
		}
	}
	return 0;
}

int launch_rules_add(struct launch_rules *r, const struct launch_rule *rule, struct err *e)
{
	struct launch_rule *more;

	if (r->count >= RULES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d path rules", RULES_MAX);
	more = mem_grow(r->list, r->count + 1, sizeof(*more), e);
	if (!more)
		return -1;
	r->list = more;
	if (make_rule(rule, &more[r->count], e) < 0) {
		if (e->code != ERR_USAGE || rule->source > LAUNCH_RULE_PACKAGE)
			return -1;
		log_detail("%s", e->msg);
		return 0;
	}
	r->count++;
	return 0;
}

/* ---- settling -------------------------------------------------------------------------------- */

static int strength(const struct launch_rule *rule)
{
	if (!rule->is_locked)
		return (int)rule->source;
	return (int)rule->source + (rule->source == LAUNCH_RULE_SITE ? LOCK_OF_SITE : LOCK_OF_USER);
}

struct entry {
	struct launch_rule rule;
	size_t order;                         /* in which it was added */
	const struct launch_rule *lock;       /* above it, that forbids it */
	const struct launch_rule *dropped_by; /* NULL = kept */
};

/* The strongest of a path first, of equals the later one. */
static int by_path(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;
	int c = strcmp(a->rule.path, b->rule.path);

	if (c)
		return c;
	if (strength(&a->rule) != strength(&b->rule))
		return strength(&b->rule) - strength(&a->rule);
	return a->order < b->order ? 1 : -1;
}

/* Lets the locks of one source work on what no stronger lock has dropped. */
static void apply_locks(struct entry *list, size_t count, enum launch_rule_source source)
{
	for (size_t i = 0; i < count; i++) {
		const struct launch_rule *lock = &list[i].rule;

		if (!lock->is_locked || lock->source != source || list[i].lock)
			continue;
		for (size_t k = 0; k < count; k++)
			if (!list[k].lock && list[k].rule.source != source &&
			    strength(lock) > strength(&list[k].rule) &&
			    path_is_below(list[k].rule.path, lock->path))
				list[k].lock = lock;
	}
}

static void drop_overruled(struct entry *list, size_t count)
{
	const struct launch_rule *kept = NULL;

	apply_locks(list, count, LAUNCH_RULE_SITE);
	apply_locks(list, count, LAUNCH_RULE_USER);
	for (size_t i = 0; i < count; i++) {
		if (list[i].lock)
			list[i].dropped_by = list[i].lock;
		else if (kept && !strcmp(kept->path, list[i].rule.path))
			list[i].dropped_by = kept;
		else
			kept = &list[i].rule;
	}
}

static void keep_rest(struct launch_rules *r, const struct entry *list, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!list[i].dropped_by)
			r->list[kept++] = list[i].rule;
	r->count = kept;
}

/* What the command line asked for and a lock forbids. */
static int check_refused(const struct launch_rules *r, const struct entry *list, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const struct launch_rule *asked = &list[i].rule, *now;

		if (!list[i].lock || asked->source != LAUNCH_RULE_OPTION)
			continue;
		now = launch_rules_ruling(r, asked->path, false);
		if (now && now->policy != asked->policy)
			return err_set(e, ERR_TRUST, "%s cannot be %s: %s locks %s, which is %s", asked->path,
				       launch_policy_word(asked->policy), launch_rule_origin(list[i].lock),
				       list[i].lock->path, launch_policy_word(now->policy));
	}
	return 0;
}

static void tell_dropped(const struct entry *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].dropped_by)
			log_detail("%s: %s (%s) gives way to %s (%s)", list[i].rule.path,
				   launch_policy_word(list[i].rule.policy), launch_rule_origin(&list[i].rule),
				   launch_policy_word(list[i].dropped_by->policy),
				   launch_rule_origin(list[i].dropped_by));
}

int launch_rules_settle(struct launch_rules *r, struct err *e)
{
	size_t count = r->count;
	auto_free struct entry *list = mem_alloc(count, sizeof(*list), e);
	int rc;

	if (!list)
		return -1;
	for (size_t i = 0; i < count; i++)
		list[i] = (struct entry){ .rule = r->list[i], .order = i };
	if (count)
		qsort(list, count, sizeof(*list), by_path);
	drop_overruled(list, count);
	keep_rest(r, list, count);
	rc = check_refused(r, list, count, e);
	tell_dropped(list, count);
	for (size_t i = 0; i < count; i++)
		if (list[i].dropped_by)
			rule_fini(&list[i].rule);
	return rc;
}

const struct launch_rule *launch_rules_ruling(const struct launch_rules *r, const char *path, bool above)
{
	const struct launch_rule *best = NULL;

	for (size_t i = 0; i < r->count; i++)
		if (path_is_below(path, r->list[i].path) && !(above && !strcmp(path, r->list[i].path)) &&
		    (!best || strlen(r->list[i].path) > strlen(best->path)))
			best = &r->list[i];
	return best;
}
