/* SPDX-License-Identifier: Apache-2.0 */
/* What a case finds in its directory. "bottom" and "top" are two layers, top over bottom; "merged" is what
 * they look like together, for the plain directory.
 *
 *   file (0644), exe (0755, a program: cat), suid (6755), data (200,001 bytes), sparse (1 MiB, 4 KiB of it
 * data) hard1 hard2 sub/hard3 (one file), link -> file, dangling, dirlink -> sub, fifo sub/{a,b,c},
 * sub/deep/{x,y/z}, empty/, sgid/ (2775), sticky/ (1777), attrs (user.one, user.two), acl,
 * acldir/{old,olddir/} special/{link1,link2} and special/{fifo1,fifo2} (one symbolic link, one FIFO)
 *   names/{.wh.low, bytes that are no UTF-8, KIT_LONG_NAME}
 *   merged/{low1,low2,both} of the bottom, merged/{top1,both,dir} of the top
 *   fileoverdir, diroverfile/in: of the top, over something of the other kind */
#include <ftw.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "tests/union/case.h"

const struct timespec kit_time = { 1111111111, 123456789 };

uint8_t kit_byte(size_t off)
{
	return (uint8_t)((off * 2654435761U) >> 13);
}

static int at; /* the directory being filled */

static void file_at(const char *path, const char *text, mode_t mode)
{
	int fd = OK(openat(at, path, O_WRONLY | O_CREAT | O_EXCL, 0600));

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	OK(fchmod(fd, mode));
	OK(close(fd));
}

static void dir_at(const char *path, mode_t mode)
{
	OK(mkdirat(at, path, 0700));
	OK(fchmodat(at, path, mode, 0));
}

static void data_at(const char *path)
{
	uint8_t *bytes = malloc(KIT_DATA_SIZE);
	int fd = OK(openat(at, path, O_WRONLY | O_CREAT | O_EXCL, 0644));

	CHECK(bytes);
	for (size_t i = 0; i < KIT_DATA_SIZE; i++)
		bytes[i] = kit_byte(i);
	CHECK(write(fd, bytes, KIT_DATA_SIZE) == KIT_DATA_SIZE);
	free(bytes);
	OK(close(fd));
}

static void sparse_at(const char *path)
{
	uint8_t block[4096];
	int fd = OK(openat(at, path, O_WRONLY | O_CREAT | O_EXCL, 0644));

	memset(block, 'S', sizeof(block));
	OK(ftruncate(fd, KIT_SPARSE_SIZE));
	CHECK(pwrite(fd, block, sizeof(block), KIT_SPARSE_AT) == sizeof(block));
	OK(close(fd));
}

static void exe_at(const char *path)
{
	char buf[65536];
	ssize_t n;
	int in = OK(open("/bin/cat", O_RDONLY));
	int out = OK(openat(at, path, O_WRONLY | O_CREAT | O_EXCL, 0755));

	while ((n = OK(read(in, buf, sizeof(buf)))) > 0)
		CHECK(write(out, buf, (size_t)n) == n);
	OK(fchmod(out, 0755));
	OK(close(in));
	OK(close(out));
}

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

/* u::rw- u:12345:r-- g::r-- m::rw- o::---; of directories with x. File systems without ACLs do without. */
static void acl_at(const char *path, const char *attr, uint16_t x)
{
	struct {
		uint32_t version;
		struct acl_entry entries[5];
	} acl = { 2,
		  { { 1, (uint16_t)(6 | x), ~0U },
		    { 2, (uint16_t)(4 | x), geteuid() },
		    { 4, (uint16_t)(4 | x), ~0U },
		    { 16, (uint16_t)(6 | x), ~0U },
		    { 32, 0, ~0U } } };
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", at, path);
	if (setxattr(full, attr, &acl, sizeof(acl), 0) < 0 && errno != EOPNOTSUPP)
		FAIL("%s: %s: %s", path, attr, strerror(errno));
}

static void attrs_at(const char *path)
{
	char full[PATH_MAX];

	(void)snprintf(full, sizeof(full), "/proc/self/fd/%d/%s", at, path);
	OK(setxattr(full, "user.one", "first", 5, 0));
	OK(setxattr(full, "user.two", "", 0, 0));
}

static void make_bottom(bool is_all)
{
	file_at("file", "lower file\n", 0644);
	exe_at("exe");
	file_at("suid", "set-user-ID\n", 0755);
	OK(fchmodat(at, "suid", 06755, 0));
	data_at("data");
	sparse_at("sparse");
	dir_at("sub", 0755);
	file_at("hard1", "hard\n", 0644);
	OK(linkat(at, "hard1", at, "hard2", 0));
	OK(linkat(at, "hard1", at, "sub/hard3", 0));
	OK(symlinkat("file", at, "link"));
	OK(symlinkat("nowhere", at, "dangling"));
	OK(symlinkat("sub", at, "dirlink"));
	OK(mkfifoat(at, "fifo", 0644));
	dir_at("special", 0755);
	OK(symlinkat("../file", at, "special/link1"));
	OK(linkat(at, "special/link1", at, "special/link2", 0));
	OK(mkfifoat(at, "special/fifo1", 0644));
	OK(linkat(at, "special/fifo1", at, "special/fifo2", 0));
	file_at("sub/a", "a\n", 0644);
	file_at("sub/b", "b\n", 0600);
	file_at("sub/c", "c\n", 0444);
	dir_at("sub/deep", 0755);
	file_at("sub/deep/x", "x\n", 0644);
	dir_at("sub/deep/y", 0750);
	file_at("sub/deep/y/z", "z\n", 0644);
	dir_at("empty", 0755);
	dir_at("sgid", 02775);
	dir_at("sticky", 01777);
	file_at("attrs", "attributes\n", 0644);
	attrs_at("attrs");
	file_at("acl", "access list\n", 0640);
	acl_at("acl", "system.posix_acl_access", 0);
	dir_at("acldir", 0750);
	file_at("acldir/old", "old\n", 0640);
	dir_at("acldir/olddir", 0750);
	acl_at("acldir", "system.posix_acl_default", 1);
	dir_at("merged", 0755);
	file_at("merged/low1", "low1\n", 0644);
	file_at("merged/low2", "low2\n", 0644);
	dir_at("names", 0755);
	file_at("names/.wh.low", "white\n", 0644);
	file_at("names/" KIT_BYTES_NAME, "bytes\n", 0644);
	file_at("names/" KIT_LONG_NAME, "long\n", 0644);
	if (is_all)
		return;
	file_at("merged/both", "bottom\n", 0644);
	dir_at("fileoverdir", 0755);
	file_at("fileoverdir/hidden", "hidden\n", 0644);
	file_at("diroverfile", "hidden\n", 0644);
}

static void make_top(bool is_all)
{
	if (!is_all)
		dir_at("merged", 0755);
	file_at("merged/top1", "top1\n", 0644);
	file_at("merged/both", "top\n", 0644);
	dir_at("merged/dir", 0755);
	file_at("merged/dir/in", "in\n", 0644);
	file_at("fileoverdir", "file over dir\n", 0644);
	dir_at("diroverfile", 0755);
	file_at("diroverfile/in", "dir over file\n", 0644);
}

static int set_time(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	struct timespec t[2] = { kit_time, kit_time };

	(void)st, (void)type, (void)ftw;
	OK(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW));
	return 0;
}

void kit_make(const char *dir, enum kit_layer layer)
{
	mode_t mask = umask(0);

	at = OK(open(dir, O_RDONLY | O_DIRECTORY));
	OK(fchmod(at, 0755));
	if (layer != KIT_TOP)
		make_bottom(layer == KIT_MERGED);
	if (layer != KIT_BOTTOM)
		make_top(layer == KIT_MERGED);
	OK(nftw(dir, set_time, 16, FTW_DEPTH | FTW_PHYS));
	OK(close(at));
	(void)umask(mask);
}
