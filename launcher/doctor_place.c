/* SPDX-License-Identifier: Apache-2.0 */
/* Where floe keeps its things, and whether all of it is there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"
#include "launcher/doctor.h"
#include "launcher/holder_list.h"
#include "package-format/key.h"

#define FREE_FEW (UINT64_C(256) << 20)

enum { DESCRIPTORS_FEW = 256 };

/* By doing it: permissions, quotas and read-only mounts all count. */
static int try_writing(const char *dir, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s/.doctor-XXXXXX", dir);
	auto_fd int fd = -1;

	if (!path)
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "cannot write in %s", dir);
	(void)unlink(path);
	return fd_write_all(fd, "floe", 4, e);
}

static void look_at_directory(struct doctor_report *r, const char *subject, const char *advice,
			      char *(*find)(bool make, struct err *e))
{
	struct err e;
	auto_free char *dir = find(true, &e);
	struct statvfs fs;
	char room[32];
	uint64_t bytes;

	if (!dir || try_writing(dir, &e) < 0) {
		doctor_add(r, DOCTOR_FAIL, subject, advice, "%s", e.msg);
		return;
	}
	if (statvfs(dir, &fs) < 0) {
		doctor_add(r, DOCTOR_OK, subject, NULL, "%s", dir);
		return;
	}
	bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	bytes_human(bytes, room);
	if (bytes < FREE_FEW)
		doctor_add(r, DOCTOR_WARN, subject, "make room, or floe cache gc", "%s: only %s free", dir,
			   room);
	else
		doctor_add(r, DOCTOR_OK, subject, NULL, "%s, %s free", dir, room);
}

static void look_at_runtime(struct doctor_report *r)
{
	struct err e;
	auto_free char *dir = path_runtime_dir(true, &e);

	if (dir)
		doctor_add(r, DOCTOR_OK, "runtime directory", NULL, "%s", dir);
	else
		doctor_add(r, DOCTOR_FAIL, "runtime directory",
			   "set XDG_RUNTIME_DIR to a private directory (mode 0700) that is yours", "%s",
			   e.msg);
}

static void look_at_limits(struct doctor_report *r)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < DESCRIPTORS_FEW)
		doctor_add(r, DOCTOR_WARN, "open files", "raise it: ulimit -n 1024", "only %llu at once",
			   (unsigned long long)limit.rlim_cur);
	else
		doctor_add(r, DOCTOR_OK, "open files", NULL, "%llu at once",
			   (unsigned long long)limit.rlim_cur);
}

static int count_row(void *arg, const struct wire_in *row, struct err *e)
{
	(void)e;
	*(size_t *)arg += wire_is(row, "kind", "launch");
	return 0;
}

static void look_at_holder(struct doctor_report *r)
{
	size_t launches = 0;
	pid_t holder;
	struct err e;

	if (launch_holder_list(count_row, &launches, &holder, &e) < 0)
		doctor_add(r, DOCTOR_WARN, "holder", "floe stop --all, then try again", "%s", e.msg);
	else if (holder == 0)
		doctor_add(r, DOCTOR_OK, "holder", NULL, "not running; it is started when it is needed");
	else
		doctor_add(r, DOCTOR_OK, "holder", NULL, "running (process %ld, %zu launches)", (long)holder,
			   launches);
}

static void look_at_installation(struct doctor_report *r)
{
	static const struct {
		const char *file;
		int mode;
	} parts[] = {
		{ "bin/floe", X_OK },
		{ "libexec/floe/floe-holder", X_OK },
		{ "libexec/floe/floe-package-server", X_OK },
		{ "libexec/floe/floe-environment-server", X_OK },
		{ "libexec/floe/floe-union-server", X_OK },
		{ "libexec/floe/floe-augeas", X_OK },
		{ "lib/floe/libfloe-shim.so", R_OK },
		{ "share/floe/config.rules", R_OK },
		{ "share/floe/junk.rules", R_OK },
	};
	const char *missing = NULL;
	size_t count = 0;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		auto_free char *path = path_of_install(parts[i].file, &e);

		if (path && access(path, parts[i].mode) == 0)
			continue;
		missing = parts[i].file;
		count++;
	}
	if (count)
		doctor_add(r, DOCTOR_FAIL, "installation", "install floe again",
			   "%zu of its files are missing, %s among them", count, missing);
	else
		doctor_add(r, DOCTOR_OK, "installation", NULL, "complete");
}

static void look_at_keys(struct doctor_report *r)
{
	struct err e;
	auto_free char *config = path_config_dir(false, &e);
	auto_free struct pkg_trust_entry *keys = NULL;
	size_t count = 0, own = 0, revoked = 0;

	if (!config || pkg_trust_list(config, &keys, &count, &e) < 0) {
		doctor_add(r, DOCTOR_WARN, "keys", "see floe key list", "%s", e.msg);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		own += keys[i].state == PKG_KEY_OWN;
		revoked += keys[i].state == PKG_KEY_REVOKED;
	}
	if (count == 0)
		doctor_add(r, DOCTOR_OK, "keys", NULL,
			   "none yet: floe sequence makes one, floe key trust takes others");
	else
		doctor_add(r, DOCTOR_OK, "keys", NULL, "%zu own, %zu trusted, %zu revoked", own,
			   count - own - revoked, revoked);
}

void doctor_look_at_place(struct doctor_report *r)
{
	look_at_runtime(r);
	look_at_directory(r, "data directory", "set XDG_DATA_HOME to a directory that is yours",
			  path_data_dir);
	look_at_directory(r, "cache directory", "set XDG_CACHE_HOME to a directory that is yours",
			  path_cache_dir);
	look_at_directory(r, "configuration directory", "set XDG_CONFIG_HOME to a directory that is yours",
			  path_config_dir);
	look_at_limits(r);
	look_at_holder(r);
	look_at_installation(r);
	look_at_keys(r);
}
