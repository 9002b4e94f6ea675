/* SPDX-License-Identifier: Apache-2.0 */
/* Crash reports as files; see crash_report.h. What the dead process has left in its area is read as untrusted
 * bytes: counts are clamped, text is made printable. */
#include "launcher/crash_report.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"
#include "base/path.h"

enum { REPORT_MAX = 256 * 1024, NAMES_MAX = 1024 };

char *launch_crash_dir(struct err *e)
{
	auto_free char *state = path_state_dir(false, e);

	return state ? path_join(state, "crashes", e) : NULL;
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char *name_of_request(uint32_t what, char ret[24])
{
	static const char *const names[] = {
		[FUSE_LOOKUP] = "lookup",
		[FUSE_FORGET] = "forget",
		[FUSE_GETATTR] = "getattr",
		[FUSE_SETATTR] = "setattr",
		[FUSE_READLINK] = "readlink",
		[FUSE_SYMLINK] = "symlink",
		[FUSE_MKNOD] = "mknod",
		[FUSE_MKDIR] = "mkdir",
		[FUSE_UNLINK] = "unlink",
		[FUSE_RMDIR] = "rmdir",
		[FUSE_RENAME] = "rename",
		[FUSE_LINK] = "link",
		[FUSE_OPEN] = "open",
		[FUSE_READ] = "read",
		[FUSE_WRITE] = "write",
		[FUSE_STATFS] = "statfs",
		[FUSE_RELEASE] = "release",
		[FUSE_FSYNC] = "fsync",
		[FUSE_SETXATTR] = "setxattr",
		[FUSE_GETXATTR] = "getxattr",
		[FUSE_LISTXATTR] = "listxattr",
		[FUSE_REMOVEXATTR] = "removexattr",
		[FUSE_FLUSH] = "flush",
		[FUSE_INIT] = "init",
		[FUSE_OPENDIR] = "opendir",
		[FUSE_READDIR] = "readdir",
		[FUSE_RELEASEDIR] = "releasedir",
		[FUSE_FSYNCDIR] = "fsyncdir",
		[FUSE_GETLK] = "getlk",
		[FUSE_SETLK] = "setlk",
		[FUSE_SETLKW] = "setlkw",
		[FUSE_ACCESS] = "access",
		[FUSE_CREATE] = "create",
		[FUSE_INTERRUPT] = "interrupt",
		[FUSE_IOCTL] = "ioctl",
		[FUSE_POLL] = "poll",
		[FUSE_BATCH_FORGET] = "batch-forget",
		[FUSE_FALLOCATE] = "fallocate",
		[FUSE_READDIRPLUS] = "readdirplus",
		[FUSE_RENAME2] = "rename2",
		[FUSE_LSEEK] = "lseek",
		[FUSE_COPY_FILE_RANGE] = "copy-file-range",
	};

	if (what < ARRAY_LEN(names) && names[what])
		return names[what];
	if (what == CRASH_SETTINGS)
		return "settings";
	if (what == CRASH_CONTROL)
		return "control";
	(void)snprintf(ret, 24, "number %u", what);
	return ret;
}

static int print_age(struct buf *b, uint64_t now_ms, uint64_t then_ms, struct err *e)
{
	uint64_t ms = now_ms > then_ms ? now_ms - then_ms : 0;

	return buf_printf(b, e, "%llu.%03u s", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

static int print_requests(struct buf *b, const struct crash_area *a, uint64_t died_ms, struct err *e)
{
	char other[24];

	if (!a->next)
		return buf_add_str(b, "\nno requests were noted\n", e);
	if (buf_printf(b, e, "\nlast requests of %u, newest first:\n", a->next) < 0)
		return -1;
	for (uint32_t i = 1; i <= CRASH_REQUESTS && i <= a->next; i++) {
		const struct crash_request *r = &a->requests[(a->next - i) % CRASH_REQUESTS];

		if (buf_printf(b, e, "  %-16s node %-12llu thread %-8u ", name_of_request(r->what, other),
			       (unsigned long long)r->node, r->thread) < 0 ||
		    print_age(b, died_ms, r->at_ms, e) < 0 || buf_add_str(b, " before\n", e) < 0)
			return -1;
	}
	return 0;
}

/* "FILE+0xOFFSET" of an address, from a line of the mappings; nothing when it is in none. */
static int print_place(struct buf *b, const char *maps, uint64_t address, struct err *e)
{
	for (const char *line = maps; line && *line;) {
		unsigned long long start, end, off;
		int path = 0;
		const char *next = strchr(line, '\n');

		if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &start, &end, &off, &path) == 3 && path &&
		    address >= start && address < end)
			return buf_printf(b, e, " %.*s+0x%llx", (int)strcspn(line + path, "\n"), line + path,
					  address - start + off);
		line = next ? next + 1 : NULL;
	}
	return 0;
}

static int print_stack(struct buf *b, const struct crash_area *a, const char *maps, struct err *e)
{
	uint32_t count = a->frame_count < CRASH_FRAMES ? a->frame_count : CRASH_FRAMES;

	if (buf_printf(b, e, "\nstack of thread %u (%.16s)%s:\n", a->thread, a->thread_name,
		       a->progress == 2 ? "" : ", not whole") < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (buf_printf(b, e, "  #%-2u 0x%012llx", i, (unsigned long long)a->frames[i]) < 0 ||
		    print_place(b, maps, a->frames[i], e) < 0 || buf_add_str(b, "\n", e) < 0)
			return -1;
	return buf_printf(b, e, "  (addr2line -fe FILE OFFSET names the lines)\n\ncode:\n%s", maps);
}

static void make_printable(char *text, size_t len, bool keep_lines)
{
	for (size_t i = 0; i < len && text[i]; i++)
		if (!isprint((unsigned char)text[i]) && !(keep_lines && text[i] == '\n'))
			text[i] = '?';
}

/* False when there is none that makes sense. */
static bool read_area(int fd, struct crash_area *ret)
{
	struct err ignored;

	if (fd < 0 || fd_pread_exact(fd, ret, sizeof(*ret), 0, &ignored) < 0)
		return false;
	if (ret->maps_len >= sizeof(ret->maps))
		ret->maps_len = sizeof(ret->maps) - 1;
	ret->maps[ret->maps_len] = 0;
	ret->thread_name[sizeof(ret->thread_name) - 1] = 0;
	make_printable(ret->thread_name, sizeof(ret->thread_name), false);
	make_printable(ret->maps, ret->maps_len, true);
	return true;
}

static const char *explain(const struct launch_crash *c, const struct crash_area *a, char ret[96])
{
	*ret = 0;
	if (c->signal == SIGKILL)
		return ", perhaps for lack of memory: the kernel's log knows";
	if (!a || !a->progress)
		return "";
	if (a->sender == c->pid)
		return ", by itself";
	if (a->sender)
		(void)snprintf(ret, 96, ", sent by process %d", a->sender);
	else
		(void)snprintf(ret, 96, ", code %d, at address 0x%llx", a->code,
			       (unsigned long long)a->address);
	return ret;
}

int launch_crash_print(const struct launch_crash *c, time_t now, struct buf *ret, struct err *e)
{
	auto_free struct crash_area *a = mem_alloc(1, sizeof(*a), e);
	const char *abbreviation = sigabbrev_np(c->signal);
	char when[32], why[96];
	bool has_area;
	struct tm tm;
	uint64_t died_ms;

	if (!a)
		return -1;
	has_area = read_area(c->area, a);
	died_ms = has_area && a->progress && a->died_ms ? a->died_ms : c->ended_ms;
	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	if (buf_printf(ret, e, "program   %s\nversion   " FLOE_VERSION "\ndied      %s\nprocess   %d\n",
		       c->program, when, (int)c->pid) < 0 ||
	    buf_printf(ret, e, "signal    %d (SIG%s%s)\n", c->signal, abbreviation ? abbreviation : "?",
		       explain(c, has_area ? a : NULL, why)) < 0)
		return -1;
	if (has_area && (buf_add_str(ret, "ran for   ", e) < 0 ||
			 print_age(ret, died_ms, a->head.started_ms, e) < 0 || buf_add_str(ret, "\n", e) < 0))
		return -1;
	if (c->serves && buf_printf(ret, e, "served   %s\n", c->serves) < 0)
		return -1;
	if (!has_area)
		return buf_add_str(ret, "\nit has left nothing\n", e);
	if (print_requests(ret, a, died_ms, e) < 0)
		return -1;
	if (!a->progress)
		return buf_add_str(ret, "\nthis signal leaves no stack\n", e);
	return print_stack(ret, a, a->maps, e);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct found {
	char name[256];
	time_t at;
};

/* Ours: floe-x-20260102T030405Z-123.txt. */
static bool is_report(const char *name)
{
	size_t len = strlen(name);

	return !strncmp(name, "floe-", 5) && len > 9 && !strcmp(name + len - 4, ".txt");
}

static bool is_of(const char *name, const char *program)
{
	size_t len = strlen(program);

	return !strncmp(name, program, len) && name[len] == '-' && isdigit((unsigned char)name[len + 1]);
}

static int by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? 1 : -1;
	return strcmp(y->name, x->name);
}

/* Newest first. */
static int list_reports(int dir, struct found **ret, size_t *ret_count, struct err *e)
{
	auto_free struct found *list = mem_alloc(NAMES_MAX, sizeof(*list), e);
	int again = list ? openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	DIR *d = again >= 0 ? fdopendir(again) : NULL;
	struct dirent *de;
	struct stat st;
	size_t count = 0;

	if (!list)
		return -1;
	if (!d) {
		fd_close(again);
		return err_sys(e, errno, "crash reports");
	}
	while (count < NAMES_MAX && (de = readdir(d)))
		if (is_report(de->d_name) && fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode)) {
			(void)snprintf(list[count].name, sizeof(list[count].name), "%s", de->d_name);
			list[count++].at = st.st_mtime;
		}
	(void)closedir(d);
	qsort(list, count, sizeof(*list), by_age);
	*ret = mem_steal(list);
	*ret_count = count;
	return 0;
}

static bool has_recent(const struct found *list, size_t count, const char *program, time_t now)
{
	for (size_t i = 0; i < count; i++) {
		time_t apart = list[i].at < now ? now - list[i].at : list[i].at - now;

		if (is_of(list[i].name, program) && apart < LAUNCH_CRASH_APART_S)
			return true;
	}
	return false;
}

int launch_crash_write(const struct launch_crash *c, const char *dir, time_t now, struct err *e)
{
	auto_buf struct buf text = BUF_INIT(REPORT_MAX);
	auto_free struct found *list = NULL;
	auto_free char *name = NULL;
	auto_fd int fd = -1;
	char when[32];
	struct tm tm;
	size_t count;

	if (path_make_dirs(dir, 0700, e) < 0)
		return -1;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(e, errno, "%s", dir);
	if (list_reports(fd, &list, &count, e) < 0)
		return -1;
	if (has_recent(list, count, c->program, now))
		return err_set(e, ERR_BUSY, "there is a recent report on %s", c->program);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	name = mem_printf(e, "%s-%s-%d.txt", c->program, when, (int)c->pid);
	if (!name || launch_crash_print(c, now, &text, e) < 0 ||
	    fd_write_file(fd, name, text.data, text.len, 0600, e) < 0)
		return -1;
	for (size_t i = LAUNCH_CRASHES_MAX - 1; i < count; i++)
		(void)unlinkat(fd, list[i].name, 0);
	return 0;
}

int launch_crash_summarise(const char *dir, time_t since, struct launch_crash_summary *ret, struct err *e)
{
	auto_free struct found *list = NULL;
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t count;

	*ret = (struct launch_crash_summary){ 0 };
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "%s", dir);
	if (list_reports(fd, &list, &count, e) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		ret->count += list[i].at >= since;
	if (count) {
		ret->newest = list[0].at;
		(void)snprintf(ret->name, sizeof(ret->name), "%s", list[0].name);
	}
	return 0;
}
