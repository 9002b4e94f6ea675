/* SPDX-License-Identifier: Apache-2.0 */
/* floe env list and floe env show. Sizes are what the disk has given (blocks), of everything the environment
 * keeps. What runs in it is the holder's to say; without a holder nothing does. */
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cmd_env.h"
#include "launcher/engine.h"
#include "launcher/holder_list.h"
#include "launcher/json_output.h"
#include "launcher/table.h"
#include "streaming/source.h"

/* What the holder says about one environment. */
struct running {
	const char *name;
	uint64_t launches;
	bool is_active;
	char *engine, *engine_why; /* owned; NULL = not active */
};

static int count_row(void *arg, const struct wire_in *row, struct err *e)
{
	struct running *r = arg;

	if (wire_is(row, "kind", "launch") && wire_is(row, "env", r->name))
		r->launches++;
	if (wire_is(row, "kind", "environment") && wire_is(row, "name", r->name)) {
		r->is_active = true;
		free(r->engine);
		free(r->engine_why);
		r->engine = launch_row_text(row, "engine", e);
		r->engine_why = launch_row_text(row, "engine-why", e);
		if (!r->engine || !r->engine_why)
			return -1;
	}
	return 0;
}

static void running_fini(struct running *r)
{
	free(r->engine);
	free(r->engine_why);
}

/* A holder that does not answer well is said once, and nothing is known of what runs then. */
static void ask_running(const char *name, struct running *ret)
{
	static bool was_said;
	struct err e;

	*ret = (struct running){ .name = name };
	if (launch_holder_list(count_row, ret, NULL, &e) == 0)
		return;
	if (!was_said)
		log_note("what is running is not known: %s", e.msg);
	was_said = true;
}

struct usage {
	uint64_t bytes; /* of everything */
	uint64_t files; /* regular ones, written by applications */
};

static void close_walk(FTS **walk)
{
	if (*walk)
		(void)fts_close(*walk);
}

static int measure(const struct launch_environment *env, struct usage *ret, struct err *e)
{
	auto_free char *path = mem_strdup(env->dir, e);
	char *paths[] = { path, NULL };
	__attribute__((cleanup(close_walk))) FTS *walk = NULL;
	FTSENT *entry;

	*ret = (struct usage){ 0 };
	if (!path)
		return -1;
	walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV, NULL);
	if (!walk)
		return err_sys(e, errno, "%s", env->dir);
	while ((entry = fts_read(walk))) {
		if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
			continue;
		/* A file with several names is on the disk once; close enough is each its share. */
		if (entry->fts_statp->st_nlink > 1 && !S_ISDIR(entry->fts_statp->st_mode))
			ret->bytes +=
				(uint64_t)entry->fts_statp->st_blocks * 512 / entry->fts_statp->st_nlink;
		else
			ret->bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
		ret->files +=
			S_ISREG(entry->fts_statp->st_mode) && path_is_below(entry->fts_path, env->upper);
	}
	return 0;
}

static json_t *source_of(const struct launch_environment *env)
{
	struct err ignored;
	auto_free char *shown = stream_source_for_people(env->source, &ignored);

	return launch_json_bytes_or_null(shown);
}

/* "engine": what makes the union now, or would; null when that has to be found out first. */
static json_t *describe(const struct launch_environment *env, const struct usage *use,
			const struct running *run)
{
	struct launch_engine_choice next;
	bool is_known = launch_engine_guess(env, &next);
	const char *engine = run->engine ? run->engine : is_known ? launch_engine_name(next.engine) : NULL;
	const char *why = run->engine ? run->engine_why : is_known ? next.why : NULL;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:I, s:s?, s:o, s:o}",
			 "name", launch_json_bytes(env->name), "package", launch_json_bytes(env->package),
			 "version", launch_json_bytes(env->version), "root", launch_json_bytes(env->root),
			 "source", source_of(env), "directory", launch_json_bytes(env->dir), "created",
			 (json_int_t)env->created_s, "last_used", (json_int_t)env->used_s, "bytes",
			 (json_int_t)use->bytes, "files", (json_int_t)use->files, "active",
			 (int)run->is_active, "launches", (json_int_t)run->launches, "engine", engine,
			 "engine_why", launch_json_bytes_or_null(why), "engine_wanted",
			 launch_json_bytes(*env->engine ? env->engine : "auto"));
}

static int add_row(struct launch_table *t, const struct launch_environment *env, const struct usage *use,
		   const struct running *run, struct err *e)
{
	char size[32], when[32];

	bytes_human(use->bytes, size);
	launch_table_time(env->used_s, when);
	if (launch_table_add(t, env->name, e) < 0 || launch_table_add(t, env->package, e) < 0 ||
	    launch_table_add(t, env->version, e) < 0 || launch_table_add(t, size, e) < 0 ||
	    launch_table_add(t, when, e) < 0)
		return -1;
	return run->launches ? launch_table_addf(t, e, "%llu", (unsigned long long)run->launches)
			     : launch_table_add(t, "-", e);
}

static int list_one(const char *name, struct launch_table *t, json_t *all, struct err *e)
{
	auto_environment struct launch_environment *env = NULL;
	struct running run = { 0 };
	struct usage use;
	int rc;

	if (launch_environment_open(name, LAUNCH_ENV_SHARED, &env, e) < 0 || measure(env, &use, e) < 0)
		return -1;
	ask_running(name, &run);
	if (all)
		rc = json_array_append_new(all, describe(env, &use, &run)) < 0
			     ? err_set(e, ERR_NOMEM, "not enough memory")
			     : 0;
	else
		rc = add_row(t, env, &use, &run, e);
	running_fini(&run);
	return rc;
}

int cmd_env_list(const struct cmd_env_opt *opt)
{
	static const char *const heads[] = { "NAME", "PACKAGE", "VERSION", ">SIZE", "LAST USED", ">RUNNING" };
	auto_launch_table struct launch_table t = LAUNCH_TABLE_INIT(heads);
	json_t *all = opt->json ? json_array() : NULL;
	auto_free char **names = NULL;
	struct err e;

	if (launch_environment_names(&names, &e) < 0) {
		json_decref(all);
		log_error("%s", e.msg);
		return err_exit_status(&e);
	}
	for (char **name = names; *name; name++)
		if (list_one(*name, &t, all, &e) < 0 && e.code != ERR_NOTFOUND)
			log_note("environment %s is left out: %s", *name, e.msg);
	if (opt->json)
		return launch_json_print(all);
	if (t.count)
		launch_table_print(&t);
	else
		log_note("there are no environments yet; floe run makes them");
	return 0;
}

static void print_engine(const struct launch_environment *env, const struct running *run)
{
	struct launch_engine_choice next;
	bool is_known = launch_engine_guess(env, &next);

	(void)printf("engine:     %s", *env->engine ? env->engine : "auto");
	if (run->engine)
		(void)printf(", now %s: %s\n", run->engine, run->engine_why);
	else if (is_known)
		(void)printf(", next %s: %s\n", launch_engine_name(next.engine), next.why);
	else
		(void)printf(", the next launch finds out which\n");
}

static void print_details(const struct launch_environment *env, const struct usage *use,
			  const struct running *run)
{
	struct err ignored;
	auto_free char *source = stream_source_for_people(env->source, &ignored);
	char size[32], used[32], created[32];

	bytes_human(use->bytes, size);
	launch_table_time(env->used_s, used);
	launch_table_time(env->created_s, created);
	(void)printf("name:       %s\n", env->name);
	(void)printf("package:    %s%s%s\n", *env->package ? env->package : "(none run yet)",
		     *env->version ? " " : "", env->version);
	if (source && *source)
		(void)printf("source:     %s\n", source);
	if (*env->root)
		(void)printf("root:       %s\n", env->root);
	(void)printf("made:       %s\nlast used:  %s\n", created, used);
	(void)printf("size:       %s, %llu files\n", size, (unsigned long long)use->files);
	(void)printf("files:      %s\nsettings:   %s\n", env->upper, env->registry);
	print_engine(env, run);
	if (run->is_active)
		(void)printf("running:    %llu\n", (unsigned long long)run->launches);
	else
		(void)printf("running:    nothing\n");
}

static int show_one(const char *name, json_t *all, bool is_first)
{
	auto_environment struct launch_environment *env = NULL;
	struct running run = { 0 };
	struct usage use;
	struct err e;

	if (launch_environment_open(name, LAUNCH_ENV_SHARED, &env, &e) < 0 || measure(env, &use, &e) < 0) {
		log_error("%s", e.msg);
		return err_exit_status(&e);
	}
	ask_running(name, &run);
	if (all) {
		(void)json_array_append_new(all, describe(env, &use, &run));
	} else {
		if (!is_first)
			(void)putchar('\n');
		print_details(env, &use, &run);
	}
	running_fini(&run);
	return 0;
}

int cmd_env_show(const struct cmd_env_opt *opt, char **names)
{
	json_t *all = opt->json ? json_array() : NULL;
	int status = 0, one;

	for (char **name = names; *name; name++)
		if ((one = show_one(*name, all, name == names)))
			status = one;
	if (opt->json && launch_json_print(all) != 0)
		return 125;
	return status;
}
