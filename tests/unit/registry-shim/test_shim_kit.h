/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim's tests stand on: a broker as the holder starts it, and programs with the shim in them.
 * Without namespaces: the shim's test build takes its directory from FLOE_SHIM_TEST_RUN. */
#ifndef FLOE_TEST_SHIM_KIT_H
#define FLOE_TEST_SHIM_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/wire.h"
#include "registry-shim/hive.h"

/* ---- for programs with the shim in them ------------------------------------------------------ */

static char helper_text[64];

static void helper_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(1);
}
#define CHECK(x) helper_check((x), #x)

static inline void helper_write(int fd)
{
	CHECK(write(fd, helper_text, strlen(helper_text)) == (ssize_t)strlen(helper_text));
}

/* ---- the test's own --------------------------------------------------------------------------- */

static char self[4096], shim[5000], server[5000];

static char top[64], db[128], run_dir[80], home[128], file[160], other[160];
static int control = -1;
static pid_t broker;

/* ---- the holder's part ---------------------------------------------------------------------- */

static void start_broker(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	broker = fork();
	if (broker == 0) {
		if (dup2(pair[1], 3) < 0)
			_exit(1);
		(void)fcntl(3, F_SETFD, 0);
		execl(server, server, "--registry", db, "--run", run_dir, (char *)NULL);
		_exit(1);
	}
	close(pair[1]);
	control = pair[0];
}

static void leave_broker(void)
{
	int status;

	close(control);
	assert_int_equal(waitpid(broker, &status, 0), broker);
	assert_int_equal(status, 0);
}

static uint64_t ask(struct wire_out *m, const char *want)
{
	struct wire_in reply = WIRE_IN_INIT;
	struct err e;
	uint64_t changes;

	assert_int_equal(wire_send(control, m, &e), 0);
	assert_int_equal(wire_recv(control, &reply, &e), 1);
	if (wire_error(&reply, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(wire_is(&reply, "type", want));
	changes = wire_u64_or(&reply, "changes", 0);
	wire_in_fini(&reply);
	wire_out_fini(m);
	return changes;
}

static void add_config(struct wire_out *m, const char *path, const char *lens, const char *defaults,
		       const char *key)
{
	char packed[1024];
	size_t len = 0;
	struct err e;

	len += (size_t)sprintf(packed + len, "%s", path) + 1;
	len += (size_t)sprintf(packed + len, "%s", lens) + 1;
	len += (size_t)sprintf(packed + len, "%s", defaults) + 1;
	assert_int_equal(wire_put(m, "config", packed, len, &e), 0);
	assert_int_equal(wire_put_str(m, "key", key, &e), 0);
}

/* `packed`: registry defaults, or NULL */
static void configure_with(const char *defaults_path, const char *packed, size_t packed_len)
{
	struct wire_out m = WIRE_OUT_INIT;
	struct err e;
	int fd = -1;

	assert_int_equal(wire_put_str(&m, "type", "configure", &e), 0);
	assert_int_equal(wire_put_str(&m, "name", "app", &e), 0);
	assert_int_equal(wire_put_str(&m, "version", "1", &e), 0);
	assert_int_equal(wire_put_u64(&m, "has-defaults", packed != NULL, &e), 0);
	add_config(&m, file, "ini", defaults_path, "config/app/ini");
	add_config(&m, other, "nothing", "", "home/.otherrc");
	if (packed) {
		fd = memfd_create("defaults", MFD_CLOEXEC);
		assert_int_equal(write(fd, packed, packed_len), (ssize_t)packed_len);
		assert_int_equal(wire_put_fd(&m, fd, &e), 0);
	}
	(void)ask(&m, "ready");
	fd_close(fd);
}

static void configure(void)
{
	configure_with("", NULL, 0);
}

/* `is_idle`: no program runs. */
static uint64_t harvest_when(bool is_idle)
{
	struct wire_out m = WIRE_OUT_INIT;
	struct err e;

	assert_int_equal(wire_put_str(&m, "type", "harvest", &e), 0);
	assert_int_equal(wire_put_u64(&m, "is-idle", is_idle, &e), 0);
	return ask(&m, "harvested");
}

static inline uint64_t harvest(void)
{
	return harvest_when(false);
}

/* ---- fixtures ------------------------------------------------------------------------------- */

static int setup_bare(void **state)
{
	struct err e;

	(void)state;
	strcpy(top, "/tmp/floe-shim-XXXXXX");
	assert_non_null(mkdtemp(top));
	sprintf(db, "%s/registry.db", top);
	sprintf(run_dir, "%s/run", top);
	sprintf(home, "%s/home", top);
	sprintf(file, "%s/.config/app/settings.ini", home);
	sprintf(other, "%s/.otherrc", home);
	assert_int_equal(mkdir(run_dir, 0700), 0);
	{
		char dir[200];

		sprintf(dir, "%s/.config/app", home);
		assert_int_equal(path_make_dirs(dir, 0700, &e), 0);
	}
	start_broker();
	return 0;
}

static int setup(void **state)
{
	setup_bare(state);
	configure();
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	leave_broker();
	return path_remove_tree(AT_FDCWD, top, &e);
}

static void enter_shim(void)
{
	setenv("LD_PRELOAD", shim, 1);
	setenv("FLOE_SHIM_TEST_RUN", run_dir, 1);
	setenv("HOME", home, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0",
	       1); /* this program may have one: the shim is first */
	if (chdir(home) < 0)
		_exit(1);
}

static int helper(const char *what, const char *path)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		enter_shim();
		execl(self, self, "helper", what, path, (char *)NULL);
		_exit(98);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A shell under the shim runs a command; what it printed, in static storage. */
static const char *sh(const char *command)
{
	static char out[4096];
	ssize_t n, len = 0;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		enter_shim();
		if (dup2(fds[1], 1) < 0)
			_exit(1);
		close(fds[0]);
		close(fds[1]);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(98);
	}
	close(fds[1]);
	while ((n = read(fds[0], out + len, sizeof(out) - 1 - (size_t)len)) > 0)
		len += n;
	out[len] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status)
		fail_msg("%s: status %d: %s", command, status, out);
	return out;
}

static void assert_key(const char *name, const char *key, const char *value)
{
	struct reg_hive *h = NULL;
	enum reg_layer layer;
	char *got = NULL;
	struct err e;

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	if (reg_hive_get(h, name, key, &got, &layer, &e) < 0 && value)
		fail_msg("%s", e.msg);
	if (value)
		assert_string_equal(got, value);
	else if (got)
		fail_msg("%s is %s", key, got);
	free(got);
	reg_hive_close(h);
}

static void assert_ini(const char *key, const char *value)
{
	assert_key("config/app/ini", key, value);
}

/* What the file shows. */
static inline void read_view(struct buf *ret)
{
	struct err e;
	char path[500];
	const char *name = sh("head -1 \"$FLOE_SHIM_TEST_RUN/paths\" | cut -f2 | tr -d '\\n'");

	snprintf(path, sizeof(path), "%s/view/%s", run_dir, name);
	if (fd_read_file(AT_FDCWD, path, ret, &e) < 0)
		fail_msg("%s", e.msg);
}

/* Nothing is left over; a child of the killed one may take a moment to end. */
static inline void harvest_all(void)
{
	const char *list = "ls -A \"$FLOE_SHIM_TEST_RUN/drafts\"";

	do
		(void)harvest_when(true);
	while (*sh(list));
}

/* Where this program, the shim and the server are; false when something is missing. */
static bool find_programs(void)
{
	char *slash;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return false;
	strcpy(shim, self);
	slash = strrchr(shim, '/');
	strcpy(slash, "/libfloe-shim-test.so");
	sprintf(server, "%.*s/../libexec/floe/floe-environment-server", (int)(slash - shim), self);
	if (access(shim, R_OK) == 0 && access(server, X_OK) == 0)
		return true;
	printf("%s or the server is not built\n", shim);
	return false;
}

#endif
