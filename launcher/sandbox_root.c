/* SPDX-License-Identifier: Apache-2.0 */
/* From the holder's union to one launch's root; see sandbox_root.h.
 *
 * Targets inside the union are opened without following symbolic links and mounted on by descriptor,
 * so that a link which the application left in its environment cannot send a mount elsewhere. */
#include "launcher/sandbox_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

static int open_inside(int tree, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, tree, *path == '/' ? path + 1 : path, &how, sizeof(how));
}

/* Flags of a mount that a remount in a user namespace must keep. */
static unsigned long kept_flags(const char *path)
{
	struct statvfs v;
	unsigned long flags = 0;

	if (statvfs(path, &v) < 0)
		return 0;
	if (v.f_flag & ST_NOEXEC)
		flags |= MS_NOEXEC;
	if (v.f_flag & ST_NOATIME)
		flags |= MS_NOATIME;
	if (v.f_flag & ST_RELATIME)
		flags |= MS_RELATIME;
	if (v.f_flag & ST_RDONLY)
		flags |= MS_RDONLY;
	return flags;
}

/* A directory stays writable until all that is shown inside it has its mount points: seal_hidden. */
static int hide(const char *where, bool is_dir, const struct launch_bind *b, struct err *e)
{
	if (is_dir) {
		if (mount("floe", where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4k") < 0)
			return err_sys(e, errno, "cannot hide %s", b->target);
		return 0;
	}
	if (mount("/dev/null", where, NULL, MS_BIND, NULL) < 0)
		return err_sys(e, errno, "cannot hide %s", b->target);
	return 0;
}

/* With what is mounted below it; Linux before 5.12 can do the top alone. */
static int make_read_only(int tree, const struct launch_bind *b, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
	char where[FD_PATH_LEN];
	/* A descriptor from before the mount names what lies below it: open again. */
	auto_fd int mounted = open_inside(tree, b->target, O_PATH);

	if (mounted >= 0 &&
	    mount_setattr(mounted, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == 0)
		return 0;
	fd_path(mounted, where);
	if (mounted < 0 || errno != ENOSYS || mount(NULL, where, NULL, flags | kept_flags(where), NULL) < 0)
		return err_sys(e, errno, "cannot make %s read-only", b->target);
	return 0;
}

/* In the union, for what the application has deleted there; in a hidden directory, where nothing is. */
static int make_target(int tree, const struct launch_bind *b, struct err *e)
{
	auto_free char *path = mem_strdup(b->target, e);
	auto_fd int at = -1;

	if (!path)
		return -1;
	for (char *p = path + 1, *name = p;; p++) {
		bool is_last = !*p;
		int next;

		if (*p && *p != '/')
			continue;
		*p = 0;
		next = open_inside(tree, path, O_PATH);
		if (next < 0 && errno == ENOENT && at >= 0 &&
		    (is_last && !b->is_dir ? mknodat(at, name, S_IFREG | 0600, 0)
					   : mkdirat(at, name, 0755)) == 0)
			next = open_inside(tree, path, O_PATH);
		if (next < 0)
			return err_sys(e, errno, "cannot make a mount point at %s", b->target);
		fd_close(at);
		at = next;
		if (is_last)
			return 0;
		*p = '/';
		name = p + 1;
	}
}

/* held: the union's own entry, opened before anything lay above it (-1 = use b->source); in return the hidden
 * directory, if it became one. */
static int apply_bind(int tree, const struct launch_bind *b, int *held, struct err *e)
{
	char where[FD_PATH_LEN], from[FD_PATH_LEN];
	struct stat st;
	auto_fd int target = open_inside(tree, b->target, O_PATH);
	const char *source = b->source;

	if (target < 0 && errno == ENOENT && b->make) {
		if (make_target(tree, b, e) < 0)
			return b->optional ? 0 : -1;
		target = open_inside(tree, b->target, O_PATH);
	}
	if (target < 0 || fstat(target, &st) < 0)
		return b->optional ? 0 : err_sys(e, errno, "%s", b->target);
	fd_path(target, where);
	if (b->hide) {
		if (hide(where, S_ISDIR(st.st_mode), b, e) < 0)
			return -1;
		if (S_ISDIR(st.st_mode))
			*held = open_inside(tree, b->target, O_PATH);
		return 0;
	}
	if (*held >= 0) {
		fd_path(*held, from);
		source = from;
	}
	if (mount(source, where, NULL, MS_BIND | MS_REC, NULL) < 0)
		return b->optional ? 0
				   : err_sys(e, errno, "cannot show %s at %s", b->source ? b->source : "it",
					     b->target);
	return b->read_only ? make_read_only(tree, b, e) : 0;
}

/* What the union itself shows where something else will lie above. */
static int open_union(int tree, const struct launch_bind *b, int *ret, struct err *e)
{
	int fd = open_inside(tree, b->target, O_PATH);

	if (fd < 0 && errno == ENOENT && b->make && make_target(tree, b, e) == 0)
		fd = open_inside(tree, b->target, O_PATH);
	if (fd < 0 && !b->optional)
		return err_sys(e, errno, "%s", b->target);
	*ret = fd;
	return 0;
}

static int seal_hidden(const struct launch_bind *b, int mounted, struct err *e)
{
	char where[FD_PATH_LEN];

	fd_path(mounted, where);
	if (mount(NULL, where, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
		return err_sys(e, errno, "cannot hide %s", b->target);
	return 0;
}

static int apply_binds(int tree, const struct launch_sandbox *s, struct err *e)
{
	auto_free int *held = mem_alloc(s->bind_count, sizeof(*held), e);
	int rc = 0;

	if (!held)
		return -1;
	for (size_t i = 0; i < s->bind_count; i++)
		held[i] = -1;
	for (size_t i = 0; rc == 0 && i < s->bind_count; i++)
		if (!s->binds[i].source && !s->binds[i].hide)
			rc = open_union(tree, &s->binds[i], &held[i], e);
	for (size_t i = 0; rc == 0 && i < s->bind_count; i++)
		if (s->binds[i].source || s->binds[i].hide || held[i] >= 0)
			rc = apply_bind(tree, &s->binds[i], &held[i], e);
	for (size_t i = 0; rc == 0 && i < s->bind_count; i++)
		if (s->binds[i].hide && held[i] >= 0)
			rc = seal_hidden(&s->binds[i], held[i], e);
	for (size_t i = 0; i < s->bind_count; i++)
		fd_close(held[i]);
	return rc;
}

static int bring_up_loopback(struct err *e)
{
	auto_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &req) < 0)
		return err_sys(e, errno, "cannot bring up the loopback interface");
	return 0;
}

/* Real root may turn the machine's knobs; what runs in here may only look at them. */
static int protect_knobs(const char *proc, struct err *e)
{
	static const char *const knobs[] = { "sys", "sysrq-trigger", "irq", "bus", "fs" };

	for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
		auto_free char *path = mem_printf(e, "%s/%s", proc, knobs[i]);

		if (!path)
			return -1;
		if (mount(path, path, NULL, MS_BIND, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			return err_sys(e, errno, "cannot protect /proc/%s", knobs[i]);
		}
		if (mount(NULL, path, NULL,
			  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
			return err_sys(e, errno, "cannot protect /proc/%s", knobs[i]);
	}
	return 0;
}

static int mount_proc(const char *tree, struct err *e)
{
	auto_free char *proc = mem_printf(e, "%s/proc", tree);

	if (!proc)
		return -1;
	if (mount("proc", proc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_sys(e, errno, "cannot mount /proc");
	return geteuid() == 0 ? protect_knobs(proc, e) : 0;
}

int launch_sandbox_root(const struct launch_sandbox *s, struct err *e)
{
	auto_fd int tree = open(s->tree, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (tree < 0)
		return err_sys(e, errno, "%s", s->tree);
	if (apply_binds(tree, s, e) < 0)
		return -1;
	if (mount_proc(s->tree, e) < 0)
		return -1;
	if (s->hostname && sethostname(s->hostname, strlen(s->hostname)) < 0)
		return err_sys(e, errno, "cannot set the host name");
	if (s->no_network && bring_up_loopback(e) < 0)
		return -1;
	/* The old root is stacked under the new one at the same place, then let go. */
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(e, errno, "cannot change the root directory");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, errno, "cannot let go of the host's root directory");
	if (chdir(s->cwd) < 0 && chdir("/") < 0)
		return err_sys(e, errno, "%s", s->cwd);
	return 0;
}
