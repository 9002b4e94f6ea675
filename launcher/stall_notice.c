/* SPDX-License-Identifier: Apache-2.0 */
/* See stall_notice.h. */
#include "launcher/stall_notice.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

/* A grandchild, so that nobody has to wait for it. */
static void notify_desktop(const char *line)
{
	pid_t pid;

	if (!getenv("DBUS_SESSION_BUS_ADDRESS"))
		return;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		if (fork() != 0)
			_exit(0);
		for (int fd = 0; fd <= 2; fd++)
			(void)dup2(null, fd);
		(void)execlp("notify-send", "notify-send", "--app-name=floe", "floe", line, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void say(const struct stall_notice *n, const char *line)
{
	if (n->say)
		n->say(line);
	else if (log_get_level() < LOG_NORMAL)
		return;
	else if (isatty(STDERR_FILENO))
		log_note("%s", line);
	else
		notify_desktop(line);
}

static uint64_t due_at(const struct stall_notice *n)
{
	uint64_t due = n->since_ms + STALL_NOTICE_AFTER_MS;

	return n->told_ms && due < n->told_ms + STALL_NOTICE_APART_MS ? n->told_ms + STALL_NOTICE_APART_MS
								      : due;
}

void stall_notice_news(struct stall_notice *n, bool is_stalled, const char *why, uint64_t now_ms,
		       int64_t now_s)
{
	char line[128];

	if (is_stalled == n->is_stalled)
		return;
	stall_notice_tick(n, now_ms);
	n->is_stalled = is_stalled;
	if (is_stalled) {
		n->since_ms = now_ms;
		n->since_s = now_s;
		(void)snprintf(n->why, sizeof(n->why), "%s", why);
	} else if (n->is_told) {
		n->is_told = false;
		(void)snprintf(line, sizeof(line), "the network is back after %llu s: going on",
			       (unsigned long long)((now_ms - n->since_ms) / 1000));
		say(n, line);
	}
}

void stall_notice_tick(struct stall_notice *n, uint64_t now_ms)
{
	char line[sizeof(n->why) + 128], clock[16] = "";
	time_t since = (time_t)n->since_s;
	struct tm tm;

	if (!n->is_stalled || n->is_told || now_ms < due_at(n))
		return;
	if (localtime_r(&since, &tm))
		(void)strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	(void)snprintf(line, sizeof(line),
		       "waiting for the network since %s: %s (Ctrl-C ends the application)", clock, n->why);
	n->is_told = true;
	n->told_ms = now_ms;
	say(n, line);
}

int stall_notice_due_ms(const struct stall_notice *n, uint64_t now_ms)
{
	if (!n->is_stalled || n->is_told)
		return -1;
	return due_at(n) > now_ms ? (int)(due_at(n) - now_ms) : 0;
}
