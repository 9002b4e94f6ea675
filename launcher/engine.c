/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing an engine; see engine.h. */
#include "launcher/engine.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "launcher/engine_probe.h"
#include "vfs/cow_upper.h"

static const char *const names[] = {
	[LAUNCH_ENGINE_AUTO] = "auto",
	[LAUNCH_ENGINE_OVERLAY] = "overlay",
	[LAUNCH_ENGINE_FUSE] = "fuse",
};

const char *launch_engine_name(enum launch_engine engine)
{
	return names[engine];
}

int launch_engine_parse(const char *text, enum launch_engine *ret, struct err *e)
{
	if (!*text) {
		*ret = LAUNCH_ENGINE_AUTO;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(text, names[i])) {
			*ret = (enum launch_engine)i;
			return 0;
		}
	return err_set(e, ERR_USAGE, "\"%s\" is no engine: give auto, overlay or fuse", text);
}

/* In words, what an upper holds that overlayfs cannot show. */
static void say_features(unsigned features, char *ret, size_t cap)
{
	static const struct {
		unsigned feature;
		const char *words;
	} all[] = {
		{ COW_FEATURE_REDIRECT, "renamed directories" },
		{ COW_FEATURE_LINKS, "hard links" },
		{ COW_FEATURE_LAZY, "files that are copied only in part" },
		{ COW_FEATURE_OWNER, "owners" },
	};
	size_t len = 0;

	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (features & all[i].feature && len < cap)
			len += (size_t)snprintf(ret + len, cap - len, "%s%s", len ? ", " : "", all[i].words);
}

static int choose_by_wish(enum launch_engine wanted, struct launch_engine_choice *ret)
{
	if (wanted == LAUNCH_ENGINE_AUTO)
		return 0;
	ret->engine = wanted;
	(void)snprintf(ret->why, sizeof(ret->why), "asked for");
	return 1;
}

/* What the environment itself decides: 1, or 0 when it depends on the machine. */
static int choose_by_environment(const struct launch_environment *env, enum launch_engine wanted,
				 struct launch_engine_choice *ret, struct err *e)
{
	char words[160];
	unsigned features;

	if (wanted == LAUNCH_ENGINE_FUSE)
		return choose_by_wish(wanted, ret);
	if (cow_upper_features(env->upper, &features, e) < 0)
		return err_wrap(e, "environment %s", env->name);
	say_features(features, words, sizeof(words));
	if (features && wanted == LAUNCH_ENGINE_OVERLAY)
		return err_set(
			e, ERR_UNSUPPORTED,
			"environment %s holds what only the fuse engine can show (%s): use it "
			"(--engine fuse, or auto), or empty the environment (floe env reset --files %s)",
			env->name, words, env->name);
	if (features) {
		ret->engine = LAUNCH_ENGINE_FUSE;
		(void)snprintf(ret->why, sizeof(ret->why), "it holds what overlayfs cannot show: %s", words);
		return 1;
	}
	return choose_by_wish(wanted, ret);
}

int launch_engine_check(const struct launch_environment *env, enum launch_engine wanted, struct err *e)
{
	struct launch_engine_choice ignored;

	return choose_by_environment(env, wanted, &ignored, e) < 0 ? -1 : 0;
}

static void choose_from_probe(const struct launch_probe *p, struct launch_engine_choice *ret)
{
	ret->engine = p->works ? LAUNCH_ENGINE_OVERLAY : LAUNCH_ENGINE_FUSE;
	if (p->works)
		(void)snprintf(ret->why, sizeof(ret->why), "overlayfs works on its file system");
	else
		(void)snprintf(ret->why, sizeof(ret->why), "overlayfs does not work: %s", p->why);
}

static void choose_by_probe(const char *dir, struct launch_engine_choice *ret)
{
	struct launch_probe probe;

	if (!launch_probe_recall(dir, &probe))
		launch_probe_try(dir, &probe);
	choose_from_probe(&probe, ret);
}

void launch_engine_choose_in(const char *dir, enum launch_engine wanted, struct launch_engine_choice *ret)
{
	*ret = (struct launch_engine_choice){ 0 };
	if (!choose_by_wish(wanted, ret))
		choose_by_probe(dir, ret);
}

int launch_engine_choose(const struct launch_environment *env, enum launch_engine wanted,
			 struct launch_engine_choice *ret, struct err *e)
{
	struct launch_engine_choice choice = { 0 };
	int rc = choose_by_environment(env, wanted, &choice, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		choose_by_probe(env->dir, &choice);
	*ret = choice;
	return 0;
}

bool launch_engine_guess(const struct launch_environment *env, struct launch_engine_choice *ret)
{
	struct launch_probe probe;
	enum launch_engine wanted;
	struct err ignored;
	int rc;

	if (launch_engine_parse(env->engine, &wanted, &ignored) < 0)
		return false;
	rc = choose_by_environment(env, wanted, ret, &ignored);
	if (rc == 0 && launch_probe_recall(env->dir, &probe)) {
		choose_from_probe(&probe, ret);
		rc = 1;
	}
	return rc > 0;
}
