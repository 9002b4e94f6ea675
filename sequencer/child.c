/* SPDX-License-Identifier: Apache-2.0 */
/* Children; see child.h. */
#include "sequencer/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { CANCEL_POLL_MS = 200 };

int seq_child_fork(struct seq_child *ret, struct err *e)
{
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_sys(e, errno, "pipe");
	(void)fflush(NULL); /* or the child would print it once more */
	pid = fork();
	if (pid < 0) {
		fd_close(report[0]);
		fd_close(report[1]);
		return err_sys(e, errno, "fork");
	}
	fd_close(report[pid == 0 ? 0 : 1]);
	*ret = (struct seq_child){ .pid = pid, .report = report[pid == 0 ? 1 : 0] };
	return pid == 0;
}

_Noreturn void seq_child_report(const struct seq_child *c, const void *account, size_t len)
{
	struct err ignored;

	_exit(fd_write_all(c->report, account, len, &ignored) < 0 ? 1 : 0);
}

int seq_child_wait(struct seq_child *c, void *account, size_t len, const volatile bool *cancel, struct err *e)
{
	bool told = false;
	int got;

	for (;;) {
		struct pollfd p = { .fd = c->report, .events = POLLIN };
		int n = poll(&p, 1, CANCEL_POLL_MS);

		if (n > 0)
			break;
		if (!told && cancel && *cancel) {
			(void)kill(c->pid, SIGTERM);
			told = true;
		}
	}
	got = fd_read_exact(c->report, account, len, e);
	fd_close(c->report);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got < 0 && cancel && *cancel)
		return err_set(e, ERR_INTERRUPTED, "interrupted");
	return got < 0 ? err_set(e, ERR_IO, "floe's child process was killed") : 0;
}
