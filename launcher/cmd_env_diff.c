/* SPDX-License-Identifier: Apache-2.0 */
/* floe env diff: what an environment changes of what lies below it. The package is opened without asking for
 * trust (nothing of it is run) and, when it came from the network, without the network: what is not in the
 * cache then counts as modified. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "launcher/cache_settings.h"
#include "launcher/cmd_env.h"
#include "launcher/json_output.h"
#include "launcher/lower_view.h"
#include "launcher/sandbox.h"
#include "launcher/table.h"
#include "registry-shim/broker_rendered.h"
#include "registry-shim/hive.h"
#include "streaming/source.h"
#include "vfs/upper.h"

struct diff {
	json_t *changes; /* NULL: lines */
	const char *upper;
};

static const struct {
	const char *letter, *word;
} kinds[] = {
	[VFS_ADDED] = { "A", "added" },
	[VFS_MODIFIED] = { "M", "modified" },
	[VFS_METADATA] = { "m", "metadata" },
	[VFS_DELETED] = { "D", "deleted" },
};

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	default:
		return "special";
	}
}

/* Settings that lie there for programs without the shim: told of as settings. */
static bool is_rendered(const struct diff *d, const struct vfs_change *c)
{
	struct err ignored;
	auto_free char *path = S_ISREG(c->st.st_mode) ? path_join(d->upper, c->path, &ignored) : NULL;

	return path && lgetxattr(path, REG_RENDERED_MARK, NULL, 0) > 0;
}

static int note_change(void *arg, const struct vfs_change *c, struct err *e)
{
	struct diff *d = arg;
	auto_free char *path = NULL;
	json_t *entry;

	if (is_rendered(d, c))
		return 0;
	if (!d->changes) {
		path = launch_table_escape(c->path, e);
		if (!path)
			return -1;
		(void)printf("%s %s%s\n", kinds[c->kind].letter, path, S_ISDIR(c->st.st_mode) ? "/" : "");
		return 0;
	}
	entry = json_pack("{s:s, s:o, s:s, s:I, s:I}", "change", kinds[c->kind].word, "path",
			  launch_json_bytes(c->path), "type", type_of(c->st.st_mode), "size",
			  (json_int_t)(S_ISDIR(c->st.st_mode) ? 0 : c->st.st_size), "mode",
			  (json_int_t)(c->st.st_mode & 07777));
	if (!entry || json_array_append_new(d->changes, entry) < 0)
		return err_set(e, ERR_NOMEM, "not enough memory");
	return 0;
}

/* ---- the package ------------------------------------------------------------------------ */

static bool is_url(const char *source)
{
	return strstr(source, "://") != NULL;
}

static void open_package(const struct launch_environment *env, struct stream_cache **ret_cache,
			 struct stream_package **ret)
{
	struct stream_package_opt opt = { .offline = is_url(env->source), .no_prefetch = true };
	auto_free char *cache_dir = NULL, *shown = NULL;
	char root[PKG_DIGEST_HEX];
	struct err note, e;

	if (!*env->source)
		return;
	cache_dir = path_cache_dir(false, &e);
	if (cache_dir && access(cache_dir, W_OK) == 0 && launch_cache_open(ret_cache, &note, &e) == 0)
		opt.cache = *ret_cache;
	if (stream_package_open(env->source, &opt, ret, &e) < 0) {
		log_note("compared with the host only, because the package cannot be opened: %s", e.msg);
		return;
	}
	pkg_digest_hex(&stream_package_header(*ret)->root, root);
	shown = stream_source_for_people(env->source, &e);
	if (*env->root && strcmp(root, env->root) != 0)
		log_note("%s has changed since the last launch: compared with what it is now",
			 shown ? shown : "the package");
}

/* ---- settings --------------------------------------------------------------------------- */

static int count_setting(void *arg, const struct reg_setting *s, struct err *e)
{
	(void)s;
	(void)e;
	++*(size_t *)arg;
	return 0;
}

/* -1 when there are none or they cannot be read (said). */
static long count_settings(const struct launch_environment *env)
{
	struct reg_hive *hive = NULL;
	size_t count = 0;
	struct err e;

	if (access(env->registry, F_OK) < 0)
		return -1;
	if (reg_hive_open(env->registry, &hive, &e) < 0 ||
	    reg_hive_each(hive, NULL, REG_EACH_CHANGED, count_setting, &count, &e) < 0) {
		log_note("the settings cannot be read: %s", e.msg);
		reg_hive_close(hive);
		return -1;
	}
	reg_hive_close(hive);
	return (long)count;
}

/* ---- the verb --------------------------------------------------------------------------- */

static int walk(const struct launch_environment *env, struct stream_package *package, struct diff *d,
		struct err *e)
{
	auto_free char *home = path_home(e);
	auto_fd int upper = open(env->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct launch_lower_view below = { .package = package, .home = home };

	if (!home)
		return -1;
	if (upper < 0)
		return err_sys(e, errno, "%s", env->upper);
	d->upper = env->upper;
	return vfs_upper_walk(upper, launch_lower_view_ask, &below, note_change, d, e);
}

static int diff_opened(const struct launch_environment *env, json_t *all, struct err *e)
{
	struct diff d = { .changes = all ? json_array() : NULL };
	struct stream_package *package = NULL;
	struct stream_cache *cache = NULL;
	long settings;
	int rc;

	open_package(env, &cache, &package);
	rc = walk(env, package, &d, e);
	settings = rc == 0 ? count_settings(env) : -1;
	if (rc == 0 && all)
		rc = json_array_append_new(all, json_pack("{s:o, s:b, s:O, s:I}", "environment",
							  launch_json_bytes(env->name), "package_compared",
							  package != NULL, "changes", d.changes,
							  "settings_changed",
							  (json_int_t)(settings < 0 ? 0 : settings))) < 0
			     ? err_set(e, ERR_NOMEM, "not enough memory")
			     : 0;
	else if (rc == 0 && settings >= 0)
		(void)printf("settings: %ld changed; see floe registry diff --env %s\n", settings, env->name);
	json_decref(d.changes);
	stream_package_close(package);
	stream_cache_close(cache);
	return rc;
}

static int diff_one(const char *name, json_t *all)
{
	auto_environment struct launch_environment *env = NULL;
	struct err e;

	if (launch_environment_open(name, LAUNCH_ENV_SHARED, &env, &e) < 0 || diff_opened(env, all, &e) < 0) {
		log_error("%s", e.msg);
		return err_exit_status(&e);
	}
	return 0;
}

int cmd_env_diff(const struct cmd_env_opt *opt, char **names)
{
	json_t *all = opt->json ? json_array() : NULL;
	int status = 0, one;
	struct err e;

	/* In a user namespace of our own we may read what the application closed to its owner (mode 000).
	 * Where there are none, such a directory is an error. Before any thread exists. */
	if (geteuid() != 0 && launch_namespaces_make(geteuid(), getegid(), &e) < 0)
		log_detail("%s", e.msg);
	for (char **name = names; *name; name++) {
		if (!opt->json && names[1])
			(void)printf("%s%s:\n", name == names ? "" : "\n", *name);
		if ((one = diff_one(*name, all)))
			status = one;
	}
	if (opt->json && launch_json_print(all) != 0)
		return 125;
	return status;
}
