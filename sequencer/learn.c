/* SPDX-License-Identifier: Apache-2.0 */
/* The launch phase; see learn.h.
 *
 * A child makes the namespaces and watches the launch; it hands back one `account` and the touches in a
 * file of the workspace. The launch is over when the command exits, when it has been QUIET_MS without a
 * first touch and without computing after at least SETTLE_MS, or when its time is up. */
#include "sequencer/learn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sync.h"
#include "sequencer/busy.h"
#include "sequencer/child.h"
#include "sequencer/desktop.h"
#include "sequencer/learn_touches.h"
#include "sequencer/propose.h"
#include "sequencer/stage.h"

enum {
	SETTLE_MS = 2000,
	QUIET_MS = 4000,
	POLL_MS = 100,
	ASK_MS = 500,
	GRACE_MS = 2000,
};

struct account {
	bool failed;
	struct err err;
	enum seq_launch_end end;
	int code;
	uint64_t ms;
	char last_words[512];
};

void seq_lesson_fini(struct seq_lesson *l)
{
	for (size_t i = 0; i < l->launch_count; i++)
		free(l->launches[i].command);
	for (size_t i = 0; i < l->proposal_count; i++)
		free(l->proposals[i].path);
	free(l->launches);
	free(l->proposals);
	free(l->touches);
	*l = (struct seq_lesson){ 0 };
}

/* ---- watching, in the child -------------------------------------------------------------------- */

/* Keeps the last of what the command prints; its terminal must be read or it would stand still. */
static void drain(const struct seq_stage *st, struct account *a)
{
	char block[4096];
	ssize_t n;

	while ((n = read(st->terminal, block, sizeof(block))) > 0) {
		size_t keep = (size_t)n < sizeof(a->last_words) - 1 ? (size_t)n : sizeof(a->last_words) - 1;
		size_t have = strlen(a->last_words), room = sizeof(a->last_words) - 1;
		const char *tail = block + (size_t)n - keep;

		if (have + keep > room) {
			size_t drop = have + keep - room;

			memmove(a->last_words, a->last_words + drop, have - drop + 1);
			have -= drop;
		}
		for (size_t i = 0; i < keep; i++)
			a->last_words[have + i] = tail[i] ? tail[i] : ' ';
		a->last_words[have + keep] = 0;
	}
}

static int fetch_touches(const struct seq_stage *st, struct buf *ret, struct err *e)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;
	auto_fd int fd = -1;

	if (seq_server_ask(&st->package, "touches", &m, e) < 0)
		return -1;
	fd = wire_steal_fd(&m, 0);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_set(e, ERR_FORMAT, "the package server sent no touches");
	return fd_read_to_end(fd, ret, e);
}

/* What was asked of the package; grows with every first touch. A server of the whole union counts that by
 * itself: much else is asked of it. */
static int count_work(const struct seq_stage *st, uint64_t *ret, struct err *e)
{
	auto_wire_in struct wire_in m = WIRE_IN_INIT;

	if (seq_server_ask(&st->package, "stats", &m, e) < 0)
		return -1;
	*ret = wire_u64_or(&m, "noted", wire_u64_or(&m, "bytes-read", 0) + wire_u64_or(&m, "operations", 0));
	return 0;
}

static bool has_ended(struct seq_stage *st, struct account *a)
{
	int status;

	if (waitpid(st->player, &status, WNOHANG) != st->player)
		return false;
	st->player = 0;
	a->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	a->end = a->code > 128 ? SEQ_LAUNCH_KILLED : SEQ_LAUNCH_EXITED;
	if (a->code > 128)
		a->code -= 128;
	return true;
}

static void wait_a_moment(const struct seq_stage *st, struct account *a, int ms)
{
	struct pollfd p = { .fd = st->terminal, .events = POLLIN };
	uint64_t until_ms = sync_now_ms() + (uint64_t)ms;

	for (;;) {
		uint64_t now_ms = sync_now_ms();

		if (now_ms >= until_ms)
			return;
		/* A hung-up terminal is always ready: then only time is waited for. */
		if (poll(&p, p.revents & (POLLHUP | POLLERR) ? 0 : 1, (int)(until_ms - now_ms)) > 0)
			drain(st, a);
	}
}

/* Asks the command to leave, as closing its terminal would, then insists. */
static void end_kindly(struct seq_stage *st, struct account *a)
{
	enum seq_launch_end end = a->end;
	static const int signals[] = { SIGHUP, SIGTERM };

	for (size_t i = 0; i < ARRAY_LEN(signals) && st->player; i++) {
		(void)kill(st->player, signals[i]);
		for (int ms = 0; ms < GRACE_MS / 2 && st->player; ms += POLL_MS) {
			wait_a_moment(st, a, POLL_MS);
			if (has_ended(st, a))
				break;
		}
	}
	a->end = end;
	a->code = 0;
}

struct activity {
	uint64_t work, busy_ms, asked_ms, last_ms;
};

/* Whether something has happened since we asked last: a first touch, or a fifth of a processor used. */
static int ask(const struct seq_stage *st, struct activity *t, uint64_t now_ms, struct err *e)
{
	uint64_t busy_ms, work;

	if (now_ms - t->asked_ms < ASK_MS)
		return 0;
	if (count_work(st, &work, e) < 0)
		return -1;
	busy_ms = seq_busy_ms(st->player);
	if (work != t->work || (busy_ms > t->busy_ms && busy_ms - t->busy_ms > (now_ms - t->asked_ms) / 5))
		t->last_ms = now_ms;
	t->work = work;
	t->busy_ms = busy_ms;
	t->asked_ms = now_ms;
	return 0;
}

static int watch(struct seq_stage *st, const struct seq_learn *l, struct account *a, struct err *e)
{
	uint64_t start_ms = sync_now_ms();
	uint64_t max_ms = (uint64_t)(l->seconds_max ? l->seconds_max : 30) * 1000;
	struct activity t = { .asked_ms = start_ms, .last_ms = start_ms };

	while (!has_ended(st, a)) {
		uint64_t now_ms = sync_now_ms();

		if (l->cancel && *l->cancel)
			return err_set(e, ERR_INTERRUPTED, "interrupted");
		a->end = now_ms - start_ms >= max_ms ? SEQ_LAUNCH_TIMEOUT : SEQ_LAUNCH_QUIET;
		a->ms = now_ms - start_ms;
		if (a->end == SEQ_LAUNCH_TIMEOUT ||
		    (now_ms - start_ms >= SETTLE_MS && now_ms - t.last_ms >= QUIET_MS)) {
			end_kindly(st, a);
			return 0;
		}
		wait_a_moment(st, a, POLL_MS);
		if (ask(st, &t, now_ms, e) < 0)
			return -1;
	}
	a->ms = sync_now_ms() - start_ms;
	drain(st, a);
	return 0;
}

static int perform(const struct seq_learn *l, const char *run, char *const *argv, struct account *a,
		   struct err *e)
{
	auto_buf struct buf touches = BUF_INIT(SEQ_TOUCHES_BYTES_MAX);
	auto_free char *path = path_join(run, "touches", e);
	const struct seq_stage_opt opt = { .workspace = l->workspace,
					   .run = run,
					   .package = l->package,
					   .root = l->root,
					   .engine = l->engine };
	struct seq_stage st;
	int rc = path ? seq_stage_open(&opt, &st, e) : -1;

	if (!path)
		return -1;
	if (rc == 0)
		rc = seq_stage_play(&st, l->manifest, argv, e);
	if (rc == 0)
		rc = watch(&st, l, a, e);
	if (rc == 0)
		rc = fetch_touches(&st, &touches, e);
	if (rc == 0)
		rc = fd_write_file(AT_FDCWD, path, touches.len ? (const void *)touches.data : "", touches.len,
				   0600, e);
	seq_stage_close(&st);
	return rc;
}

/* ---- in the parent ------------------------------------------------------------------------------ */

static int perform_in_child(const struct seq_learn *l, const char *run, char *const *argv,
			    struct account *ret, struct err *e)
{
	struct seq_child child;
	int is_child = seq_child_fork(&child, e);

	if (is_child < 0)
		return -1;
	if (is_child) {
		struct account a = { 0 };

		a.failed = perform(l, run, argv, &a, &a.err) < 0;
		seq_child_report(&child, &a, sizeof(a));
	}
	if (seq_child_wait(&child, ret, sizeof(*ret), l->cancel, e) < 0)
		return -1;
	if (ret->failed) {
		*e = ret->err;
		return -1;
	}
	return 0;
}

/* argv of the command, its first word turned into the path of a command of that name. */
static int make_argv(const struct seq_learn *l, const char *command, char ***ret_words, char **ret_program,
		     struct err *e)
{
	auto_free char *home = NULL;

	if (seq_words_split(command, ret_words, e) < 0)
		return -1;
	if (!(*ret_words)[0])
		return err_set(e, ERR_USAGE, "--launch: empty command");
	for (size_t i = 0; i < l->manifest->command_count; i++) {
		const struct pkg_command *c = &l->manifest->commands[i];

		if (strcmp(c->name, (*ret_words)[0]))
			continue;
		if (strncmp(c->path, "@home/", 6)) {
			*ret_program = mem_strdup(c->path, e);
		} else {
			home = path_home(e);
			*ret_program = home ? path_join(home, c->path + 6, e) : NULL;
		}
		if (!*ret_program)
			return -1;
		(*ret_words)[0] = *ret_program;
		return 0;
	}
	return 0;
}

static int tell_of(struct seq_lesson *l, const char *command, const struct account *a,
		   struct seq_learned **ret, struct err *e)
{
	struct seq_learned *grown = mem_grow(l->launches, l->launch_count + 1, sizeof(*grown), e);

	if (!grown)
		return -1;
	l->launches = grown;
	grown += l->launch_count;
	*grown = (struct seq_learned){ .end = a->end, .code = a->code, .ms = a->ms };
	(void)snprintf(grown->last_words, sizeof(grown->last_words), "%s", a->last_words);
	for (char *p = grown->last_words; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = ' ';
	grown->command = mem_strdup(command, e);
	if (!grown->command)
		return -1;
	l->launch_count++;
	*ret = grown;
	return 0;
}

int seq_learn_launch(const struct seq_learn *l, const char *command, struct seq_lesson *ret, struct err *e)
{
	auto_free char *name = mem_printf(e, "launch-%zu", ret->launch_count);
	auto_free char *run = name ? seq_workspace_subdir(l->workspace, name, e) : NULL;
	auto_free char **words = NULL;
	auto_free char *program = NULL, *upper = NULL, *touches = NULL;
	struct seq_learned *one;
	struct account a = { 0 };
	struct err ignored;
	int rc;

	if (!run || make_argv(l, command, &words, &program, e) < 0)
		return -1;
	if (perform_in_child(l, run, words, &a, e) < 0)
		return err_wrap(e, "--launch %s", command);
	upper = path_join(run, "upper", e);
	touches = path_join(run, "touches", e);
	if (!upper || !touches || tell_of(ret, command, &a, &one, e) < 0 ||
	    seq_learn_touches(touches, one, ret, e) < 0)
		return -1;
	rc = seq_propose_upper(upper, l->cancel, ret, e);
	if (!l->workspace->keep && path_remove_tree(AT_FDCWD, run, &ignored) < 0)
		return rc; /* goes with the workspace */
	return rc;
}
