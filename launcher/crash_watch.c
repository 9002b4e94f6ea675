/* SPDX-License-Identifier: Apache-2.0 */
/* Who is watched for crashes, and the processes that write the reports; see crash_report.h.
 *
 * A report on a server is written by a fork of the holder, one on the holder itself by a new start of its
 * program, which the dying one makes with system calls that a signal handler may use. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/fd.h"
#include "base/sync.h"
#include "launcher/crash_report.h"

enum { SERVES_MAX = 2048 };

struct watched {
	struct watched *next;
	pid_t pid;
	char *program, *serves;
	int area;
};

static struct watched *all;

static void forget(struct watched *w)
{
	free(w->program);
	free(w->serves);
	fd_close(w->area);
	free(w);
}

void launch_crash_watch(pid_t pid, const char *const argv[], int area)
{
	auto_buf struct buf serves = BUF_INIT(SERVES_MAX);
	struct err ignored;
	struct watched *w = mem_alloc(1, sizeof(*w), &ignored);

	if (!w) {
		fd_close(area);
		return;
	}
	for (size_t i = 1; argv[i]; i++)
		if (buf_printf(&serves, &ignored, " %s", argv[i]) < 0)
			break;
	for (size_t i = 0; i < serves.len; i++)
		if ((unsigned char)serves.data[i] < ' ')
			serves.data[i] = '?';
	w->pid = pid;
	w->area = area;
	w->program = mem_strdup(argv[0], &ignored);
	w->serves = mem_strndup(serves.data ? (const char *)serves.data : "", serves.len, &ignored);
	w->next = all;
	all = w;
}

/* Signals that end a server in peace: a session's end, an administrator. */
static bool is_crash(int signal_no)
{
	return signal_no != SIGTERM && signal_no != SIGHUP && signal_no != SIGINT;
}

static int write_report(const struct launch_crash *c)
{
	struct err ignored;
	auto_free char *dir = launch_crash_dir(&ignored);

	return dir && launch_crash_write(c, dir, time(NULL), &ignored) == 0 ? 0 : 125;
}

/* Nothing of the holder's stays open in it, however slow the disk is. */
static void write_in_child(const struct launch_crash *c)
{
	struct launch_crash own = *c;

	if (fork() != 0)
		return;
	if (own.area >= 0 && own.area != CRASH_FD)
		own.area = dup2(own.area, CRASH_FD);
	(void)close_range(3, CRASH_FD - 1, 0);
	(void)close_range(CRASH_FD + 1, ~0U, 0);
	_exit(write_report(&own));
}

void launch_crash_reaped(pid_t pid, int status)
{
	struct watched **at = &all, *w;

	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return;
	*at = w->next;
	if (WIFSIGNALED(status) && is_crash(WTERMSIG(status)) && w->program)
		write_in_child(&(struct launch_crash){ .program = w->program,
						       .serves = w->serves,
						       .pid = pid,
						       .signal = WTERMSIG(status),
						       .ended_ms = sync_now_ms(),
						       .area = w->area });
	forget(w);
}

/* ---- ourselves ------------------------------------------------------------------------------- */

static int own_area = -1;
static char own_pid[16];
static const char *own_argv[4];

/* In the signal handler. */
static void start_reporter(void)
{
	static const char *const no_env[] = { NULL };
	long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid != 0)
		return;
	if (dup2(own_area, CRASH_FD) == CRASH_FD)
		(void)execve("/proc/self/exe", (char *const *)own_argv,
			     environ ? environ : (char *const *)no_env);
	_exit(127);
}

void launch_crash_watch_self(const char *program)
{
	int area = crash_area_make();
	int kept = area >= 0 ? fcntl(area, F_DUPFD_CLOEXEC, area) : -1;

	if (kept < 0) {
		fd_close(area);
		return;
	}
	crash_adopt(area);
	own_area = kept;
	(void)snprintf(own_pid, sizeof(own_pid), "%d", (int)getpid());
	own_argv[0] = program;
	own_argv[1] = "--crash-report";
	own_argv[2] = own_pid;
	crash_listen(start_reporter);
}

int launch_crash_of_parent(const char *program, const char *pid)
{
	struct launch_crash c = { .program = program,
				  .pid = (pid_t)strtol(pid, NULL, 10),
				  .ended_ms = sync_now_ms(),
				  .area = CRASH_FD };
	int32_t signal_no = 0;
	struct err ignored;

	if (fd_pread_exact(CRASH_FD, &signal_no, sizeof(signal_no), offsetof(struct crash_area, signal),
			   &ignored) < 0)
		return 125;
	c.signal = signal_no;
	return write_report(&c);
}
