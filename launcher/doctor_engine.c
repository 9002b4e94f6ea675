/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine will make the unions of environments, and what keeps the other from it. The trial is made
 * afresh, and what it says is remembered for the launches to come. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "launcher/doctor.h"
#include "launcher/engine_probe.h"
#include "vfs/union.h"

/* Of those that one meets; "" for others. */
static const char *file_system_name(const char *dir)
{
	static const struct {
		unsigned long type;
		const char *name;
	} known[] = {
		{ 0xef53, "ext4" },         { 0x58465342, "xfs" },       { 0x9123683e, "btrfs" },
		{ 0x01021994, "tmpfs" },    { 0x794c7630, "overlayfs" }, { 0x65735546, "FUSE" },
		{ 0x6969, "NFS" },          { 0x2fc12fc1, "ZFS" },       { 0xf2f52010, "f2fs" },
		{ 0xff534d42, "CIFS" },     { 0xfe534d42, "SMB" },       { 0x01021997, "9p" },
		{ 0xca451a4e, "bcachefs" }, { 0xf15f, "eCryptfs" },      { 0x4d44, "FAT" },
	};
	struct statfs fs;

	if (statfs(dir, &fs) < 0)
		return "";
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (((unsigned long)fs.f_type & 0xffffffffUL) == known[i].type)
			return known[i].name;
	return "";
}

/* Either engine keeps its notes in them. */
static int try_attributes(const char *dir, struct err *e)
{
	auto_free char *path = mem_printf(e, "%s/.doctor-XXXXXX", dir);
	auto_fd int fd = path ? mkostemp(path, O_CLOEXEC) : -1;

	if (!path)
		return -1;
	if (fd < 0)
		return err_sys(e, errno, "cannot write in %s", dir);
	(void)unlink(path);
	if (fsetxattr(fd, "user.floe.doctor", "y", 1, 0) < 0)
		return err_sys(e, errno, "no user attributes (user.*)");
	return 0;
}

static void say_remembered(bool was_known, const struct launch_probe *before, bool works, char *ret,
			   size_t cap)
{
	(void)snprintf(ret, cap, "tried now; %s",
		       !was_known               ? "nothing was remembered"
		       : before->works == works ? "remembered as well"
						: "this replaces what was remembered");
}

void doctor_look_at_engines(struct doctor_report *r)
{
	struct err e, no_attributes;
	auto_free char *data = path_data_dir(true, &e);
	struct launch_probe before, now = { 0 };
	const char *fs;
	char how[64];
	bool was_known;

	if (!data) {
		doctor_add(r, DOCTOR_WARN, "overlay engine", NULL, "not tried: %s", e.msg);
		return;
	}
	fs = file_system_name(data);
	was_known = launch_probe_recall(data, &before);
	now.works = doctor_try_in_child(vfs_union_probe, data, &e) == 0;
	if (!now.works)
		(void)snprintf(now.why, sizeof(now.why), "%.255s", e.msg);
	launch_probe_remember(data, &now);
	say_remembered(was_known, &before, now.works, how, sizeof(how));
	if (now.works)
		doctor_add(r, DOCTOR_OK, "overlay engine", NULL, "works on the file system of %s%s%s (%s)",
			   data, *fs ? ", " : "", fs, how);
	else
		doctor_add(
			r, DOCTOR_WARN, "overlay engine",
			"the fuse engine is used instead; for writes at native speed set XDG_DATA_HOME to a "
			"directory on ext4, xfs, btrfs or tmpfs",
			"not on the file system of %s%s%s: %s (%s)", data, *fs ? ", " : "", fs, now.why, how);
	if (try_attributes(data, &no_attributes) < 0)
		doctor_add(
			r, now.works ? DOCTOR_WARN : DOCTOR_FAIL, "fuse engine",
			"set XDG_DATA_HOME to a directory on a file system with user attributes: ext4, xfs, "
			"btrfs, or tmpfs from Linux 6.6 on",
			"cannot keep environments in %s: %s", data, no_attributes.msg);
	else
		doctor_add(r, DOCTOR_OK, "fuse engine", NULL,
			   "works (needs /dev/fuse and FUSE mounts, see above)");
	doctor_add(r, DOCTOR_OK, "engine of environments", NULL, "%s, unless --engine says otherwise%s",
		   now.works ? "overlay" : "fuse",
		   now.works ? "; fuse for those that hold what overlayfs cannot show" : "");
}
