/* SPDX-License-Identifier: Apache-2.0 */
/* Environments on disk; see environment.h.
 *
 * Two locks. NAME/lock says whether somebody uses the environment. ENVS/.lock is held shared by whoever
 * builds or takes apart a hidden directory (".new-*", ".gone-*"), and tried exclusively by whoever cleans:
 * what is hidden while nobody works is a leftover.
 *
 * A reset exchanges the upper for an empty one in one step and removes the old one afterwards; the overlay's
 * work directory holds nothing between mounts. "Last used" is the modification time of NAME/lock. */
#include "launcher/environment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/environment_record.h"

enum { NAME_TRIES = 100, OPEN_TRIES = 16 };

static int open_envs(bool make, int *ret_fd, char **ret_path, struct err *e)
{
	auto_free char *data = path_data_dir(make, e);
	auto_free char *path = data ? path_join(data, "envs", e) : NULL;
	int fd;

	if (!path || (make && path_make_dirs(path, 0700, e) < 0))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	*ret_fd = fd;
	if (ret_path)
		*ret_path = mem_steal(path);
	return 0;
}

/* Says that hidden directories are being worked on until the descriptor is closed. */
static int lock_work(int envs_fd, int *ret, struct err *e)
{
	auto_fd int fd = openat(envs_fd, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc;

	if (fd < 0)
		return err_sys(e, errno, "lock of the environments");
	do
		rc = flock(fd, LOCK_SH);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return err_sys(e, errno, "lock of the environments");
	*ret = fd_steal(&fd);
	return 0;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* The lock of the directory that has the name now: 1, or 0 when it was replaced meanwhile. */
static int take_lock(struct launch_environment *env, enum launch_environment_use use, struct err *e)
{
	auto_free char *path = path_join(env->dir, "lock", e);
	auto_fd int fd = -1;
	struct stat held, named;

	if (!path)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_NOTFOUND, "no environment is called %s (see floe env list)", env->name);
	if (fd < 0)
		return err_sys(e, errno, "%s", path);
	while (flock(fd, (use == LAUNCH_ENV_EXCLUSIVE ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			return err_set(e, ERR_BUSY, "environment %s is in use; floe stop %s", env->name,
				       env->name);
		if (errno != EINTR)
			return err_sys(e, errno, "%s", path);
	}
	if (fstat(fd, &held) < 0)
		return err_sys(e, errno, "%s", path);
	if (stat(path, &named) < 0 || held.st_dev != named.st_dev || held.st_ino != named.st_ino)
		return 0;
	env->used_s = held.st_mtim.tv_sec;
	env->lock_fd = fd_steal(&fd);
	return 1;
}

static int make_subdirectory(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(e, errno, "%s", path);
	return 0;
}

static struct launch_environment *describe(const char *name, const char *envs, struct err *e)
{
	struct launch_environment *env = mem_alloc(1, sizeof(*env), e);

	if (!env)
		return NULL;
	env->lock_fd = -1;
	if (!(env->name = mem_strdup(name, e)) || !(env->dir = path_join(envs, name, e)) ||
	    !(env->upper = path_join(env->dir, "upper", e)) ||
	    !(env->work = path_join(env->dir, "work", e)) ||
	    !(env->registry = path_join(env->dir, "registry.db", e)) || !(env->package = mem_strdup("", e)) ||
	    !(env->version = mem_strdup("", e)) || !(env->root = mem_strdup("", e)) ||
	    !(env->source = mem_strdup("", e)) || !(env->engine = mem_strdup("", e))) {
		launch_environment_close(env);
		return NULL;
	}
	return env;
}

static int check_name(const char *name, struct err *e)
{
	if (path_is_plain_name(name))
		return 0;
	return err_set(e, ERR_USAGE,
		       "\"%s\" cannot be the name of an environment: 1 to 64 letters, digits and ._+@-",
		       name);
}

int launch_environment_open(const char *name, enum launch_environment_use use,
			    struct launch_environment **ret, struct err *e)
{
	auto_environment struct launch_environment *env = NULL;
	auto_free char *envs = NULL;
	auto_fd int envs_fd = -1;
	int locked = 0;

	if (check_name(name, e) < 0)
		return -1;
	if (open_envs(false, &envs_fd, &envs, e) < 0)
		return e->code == ERR_NOTFOUND
			       ? err_set(e, ERR_NOTFOUND, "no environment is called %s (see floe env list)",
					 name)
			       : -1;
	env = describe(name, envs, e);
	if (!env)
		return -1;
	for (int i = 0; i < OPEN_TRIES && locked == 0; i++)
		locked = take_lock(env, use, e);
	if (locked == 0)
		return err_set(e, ERR_BUSY, "environment %s is being replaced again and again", name);
	if (locked < 0 || launch_environment_record_read(env, e) < 0 ||
	    make_subdirectory(env->upper, 0755, e) < 0 || make_subdirectory(env->work, 0700, e) < 0)
		return -1;
	*ret = mem_steal(env);
	return 0;
}

static int fill_new(int fd, struct err *e)
{
	auto_fd int lock = -1;

	if (mkdirat(fd, "upper", 0700) < 0 || mkdirat(fd, "work", 0700) < 0)
		return err_sys(e, errno, "new environment");
	/* The upper is what the application sees as "/", whatever our umask is. */
	if (fchmodat(fd, "upper", 0755, 0) < 0)
		return err_sys(e, errno, "new environment");
	lock = openat(fd, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (lock < 0)
		return err_sys(e, errno, "new environment");
	return launch_environment_record_write(
		fd, &(struct launch_environment_record){ "", "", "", "", "", (int64_t)time(NULL) }, e);
}

/* A hidden directory that nobody else has: ".new-NAME-1" and so on. */
static int make_hidden(int envs_fd, const char *name, char **ret, int *ret_fd, struct err *e)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		auto_free char *hidden = mem_printf(e, ".new-%s-%ld-%d", name, (long)getpid(), i);
		int fd;

		if (!hidden)
			return -1;
		if (mkdirat(envs_fd, hidden, 0700) < 0) {
			if (errno == EEXIST)
				continue;
			return err_sys(e, errno, "new environment %s", name);
		}
		fd = openat(envs_fd, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, errno, "new environment %s", name);
		*ret = mem_steal(hidden);
		*ret_fd = fd;
		return 0;
	}
	return err_set(e, ERR_EXISTS, "too many leftovers of environment %s", name);
}

static int create(const char *name, bool *ret_is_new, struct err *e)
{
	auto_free char *hidden = NULL;
	auto_fd int envs_fd = -1, work = -1, fd = -1;
	struct err ignored;
	int sys;

	if (open_envs(true, &envs_fd, NULL, e) < 0 || lock_work(envs_fd, &work, e) < 0 ||
	    make_hidden(envs_fd, name, &hidden, &fd, e) < 0)
		return -1;
	if (fill_new(fd, e) < 0) {
		(void)!path_remove_tree(envs_fd, hidden, &ignored);
		return -1;
	}
	/* Onto what somebody else made meanwhile this fails, and theirs is as good. */
	if (renameat(envs_fd, hidden, envs_fd, name) == 0) {
		(void)fsync(envs_fd);
		*ret_is_new = true;
		return 0;
	}
	sys = errno;
	(void)!path_remove_tree(envs_fd, hidden, &ignored);
	if (sys == ENOTEMPTY || sys == EEXIST)
		return 0;
	return err_sys(e, sys, "new environment %s", name);
}

int launch_environment_make(const char *name, struct launch_environment **ret, struct err *e)
{
	bool is_new = false;

	for (int i = 0;; i++) {
		if (launch_environment_open(name, LAUNCH_ENV_SHARED, ret, e) == 0) {
			(*ret)->is_new = is_new;
			return 0;
		}
		if (e->code != ERR_NOTFOUND || i == OPEN_TRIES)
			return -1;
		if (create(name, &is_new, e) < 0)
			return -1;
	}
}

void launch_environment_close(struct launch_environment *env)
{
	if (!env)
		return;
	/* Explicitly: a child that is just being started may still have the descriptor. */
	if (env->lock_fd >= 0)
		(void)flock(env->lock_fd, LOCK_UN);
	fd_close(env->lock_fd);
	free(env->name);
	free(env->dir);
	free(env->upper);
	free(env->work);
	free(env->registry);
	free(env->package);
	free(env->version);
	free(env->root);
	free(env->source);
	free(env->engine);
	free(env);
}

/* ---- changing --------------------------------------------------------------------------- */

static int write_record(const struct launch_environment *env, const struct launch_environment_record *r,
			struct err *e)
{
	auto_fd int dir = open(env->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, errno, "%s", env->dir);
	return launch_environment_record_write(dir, r, e);
}

static int replace(char **field, const char *value, struct err *e)
{
	char *copy = mem_strdup(value, e);

	if (!copy)
		return -1;
	free(*field);
	*field = copy;
	return 0;
}

int launch_environment_note(struct launch_environment *env, const char *package, const char *version,
			    const char *root, const char *source, struct err *e)
{
	const struct launch_environment_record record = { package, version,     root,
							  source,  env->engine, env->created_s };
	char **const fields[] = { &env->package, &env->version, &env->root, &env->source };
	const char *const values[] = { package, version, root, source };
	bool differs = false;

	/* When it was last used is a hint for people; a disk that refuses it must not stop a launch. */
	if (futimens(env->lock_fd, NULL) == 0)
		env->used_s = (int64_t)time(NULL);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		differs |= strcmp(*fields[i], values[i]) != 0;
	if (!differs)
		return 0;
	if (write_record(env, &record, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (replace(fields[i], values[i], e) < 0)
			return -1;
	return 0;
}

int launch_environment_set_engine(struct launch_environment *env, const char *engine, struct err *e)
{
	const struct launch_environment_record record = { env->package, env->version, env->root,
							  env->source,  engine,       env->created_s };

	if (!strcmp(env->engine, engine))
		return 0;
	return write_record(env, &record, e) < 0 ? -1 : replace(&env->engine, engine, e);
}

/* The exchange is the one step that counts: before it nothing has changed, after it everything has. */
static int reset_files(int dir, struct err *e)
{
	if (path_remove_tree(dir, ".old-upper", e) < 0)
		return -1;
	if (mkdirat(dir, ".old-upper", 0700) < 0 || fchmodat(dir, ".old-upper", 0755, 0) < 0 ||
	    renameat2(dir, ".old-upper", dir, "upper", RENAME_EXCHANGE) < 0 || fsync(dir) < 0)
		return err_sys(e, errno, "empty the files");
	if (path_remove_tree(dir, ".old-upper", e) < 0 || path_remove_tree(dir, "work", e) < 0)
		return -1;
	if (mkdirat(dir, "work", 0700) < 0)
		return err_sys(e, errno, "work");
	return 0;
}

/* The database goes first: SQLite drops a log that has lost its database, but would replay the rest of a
 * database that has lost its log. */
static int reset_settings(int dir, struct err *e)
{
	static const char *const names[] = { "registry.db", "registry.db-wal", "registry.db-shm",
					     "registry.db-journal" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (unlinkat(dir, names[i], 0) < 0 && errno != ENOENT)
			return err_sys(e, errno, "%s", names[i]);
	if (fsync(dir) < 0)
		return err_sys(e, errno, "settings");
	return 0;
}

int launch_environment_reset(struct launch_environment *env, bool files, bool settings, struct err *e)
{
	auto_fd int dir = open(env->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_sys(e, errno, "%s", env->dir);
	if ((settings && reset_settings(dir, e) < 0) || (files && reset_files(dir, e) < 0))
		return err_wrap(e, "environment %s", env->name);
	return 0;
}

int launch_environment_remove(struct launch_environment *env, struct err *e)
{
	auto_environment struct launch_environment *held = env;
	auto_fd int envs_fd = -1, work = -1;

	if (open_envs(false, &envs_fd, NULL, e) < 0 || lock_work(envs_fd, &work, e) < 0)
		return -1;
	for (int i = 0; i < NAME_TRIES; i++) {
		auto_free char *gone = mem_printf(e, ".gone-%s-%ld-%d", held->name, (long)getpid(), i);

		if (!gone)
			return -1;
		if (renameat2(envs_fd, held->name, envs_fd, gone, RENAME_NOREPLACE) == 0) {
			(void)fsync(envs_fd);
			return path_remove_tree(envs_fd, gone, e);
		}
		if (errno != EEXIST)
			return err_sys(e, errno, "remove environment %s", held->name);
	}
	return err_set(e, ERR_EXISTS, "too many leftovers of environment %s", held->name);
}

/* ---- listing ---------------------------------------------------------------------------- */

static bool is_leftover(const char *name)
{
	return !strncmp(name, ".new-", 5) || !strncmp(name, ".gone-", 6);
}

static bool is_environment(int envs_fd, const char *name)
{
	struct stat st;

	return path_is_plain_name(name) && fstatat(envs_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* `text`: names, each with its NUL. */
static int names_of(const struct buf *text, size_t count, char ***ret, struct err *e)
{
	char **names = mem_alloc(1, (count + 1) * sizeof(*names) + text->len, e);
	char *p;

	if (!names)
		return -1;
	p = (char *)(names + count + 1);
	if (text->len)
		memcpy(p, text->data, text->len);
	for (size_t i = 0; i < count; i++, p += strlen(p) + 1)
		names[i] = p;
	qsort(names, count, sizeof(*names), compare_names);
	*ret = names;
	return 0;
}

int launch_environment_names(char ***ret, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(64 * 1024 * 1024);
	auto_fd int envs_fd = -1, lock = -1, fd = -1;
	auto_closedir DIR *d = NULL;
	struct err ignored;
	struct dirent *de;
	size_t count = 0;
	bool may_clean;

	if (open_envs(false, &envs_fd, NULL, e) < 0)
		return e->code == ERR_NOTFOUND ? names_of(&text, 0, ret, e) : -1;
	lock = openat(envs_fd, ".lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	may_clean = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0;
	fd = openat(envs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return err_sys(e, errno, "list of environments");
	fd = -1; /* the stream's now */
	while ((de = readdir(d))) {
		if (is_environment(envs_fd, de->d_name)) {
			if (buf_add(&text, de->d_name, strlen(de->d_name) + 1, e) < 0)
				return -1;
			count++;
		} else if (may_clean && is_leftover(de->d_name)) {
			(void)!path_remove_tree(envs_fd, de->d_name, &ignored);
		}
	}
	return names_of(&text, count, ret, e);
}
