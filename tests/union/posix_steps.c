/* SPDX-License-Identifier: Apache-2.0 */
/* See posix.h. */
#include "tests/union/posix.h"

const char *const kind_names[KINDS] = { "file", "fifo", "socket", "symlink", "directory" };
const char *const lower_objects[KINDS] = { "sub/a", "fifo", NULL, "link", "empty" };
static const mode_t types[KINDS] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFLNK, S_IFDIR };

void want_result(int line, const char *about, const char *call, long long result, int want)
{
	const char *got = result == -1 ? strerrorname_np(errno) : "success";
	bool is_met = want ? result == -1 && errno == want : result != -1;

	case_expect(is_met, "line %d, %s: %s: %s instead of %s", line, about, call, got ? got : "?",
		    want ? strerrorname_np(want) : "success");
}

void make_object(enum kind kind, const char *path)
{
	switch (kind) {
	case KIND_FILE:
		write_text(path, "content\n");
		break;
	case KIND_FIFO:
		OK(mkfifo(path, 0644));
		break;
	case KIND_SOCKET:
		OK(mknod(path, S_IFSOCK | 0644, 0));
		break;
	case KIND_SYMLINK:
		OK(symlink("nowhere", path));
		break;
	default:
		OK(mkdir(path, 0755));
		break;
	}
}

bool is_object(enum kind kind, const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == types[kind];
}

void remove_object(const char *path)
{
	struct stat st = stat_of(path);

	OK(S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path));
}
