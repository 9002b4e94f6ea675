/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL between any two system calls of a save, of the broker that takes it and of the program that writes
 * the file: afterwards there is the old file with the old keys or the new file with the new keys. A child is
 * stepped from one system call to the next (ptrace) and killed at the first stop, then at the second, and so
 * on until it gets to its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/broker.h"
#include "tests/unit/registry-shim/kill_steps.h"

static char top[64], db[100], run_dir[100], view[512], name[300], draft[700];
static struct err e;

static struct broker *open_broker(void)
{
	static const struct broker_declaration declared = { "/nowhere/app.ini", "ini", "", "f" };
	const struct broker_setup setup = {
		.declared = &declared, .count = 1, .package_name = "app", .package = "app 1"
	};
	struct broker *b = NULL;

	if (broker_open(db, run_dir, &b, &e) < 0 || broker_configure(b, &setup, &e) < 0)
		fail_msg("%s", e.msg);
	return b;
}

static void answer(struct broker *b, const char *type, const char *text)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT, reply = WIRE_OUT_INIT;
	auto_wire_in struct wire_in m = WIRE_IN_INIT;

	if (wire_put_str(&out, "type", type, &e) < 0 || wire_put_str(&out, "name", name, &e) < 0 ||
	    wire_parse(out.buf.data, out.buf.len, &m, &e) < 0)
		_exit(1);
	if (text) {
		m.fds[0] = memfd_create("text", MFD_CLOEXEC);
		m.nfds = 1;
		if (write(m.fds[0], text, strlen(text)) != (ssize_t)strlen(text))
			_exit(1);
	}
	if (broker_answer(b, 0, &m, &reply, &e) < 0)
		_exit(1);
}

static size_t text_of(unsigned value, char ret[64])
{
	return (size_t)sprintf(ret, "; a comment\n[s]\nA=%u\nB=%u\n", value, value);
}

static int set_up(void **state)
{
	auto_buf struct buf paths = BUF_INIT(4096);
	struct broker *b;
	char text[64];

	(void)state;
	strcpy(top, "/tmp/floe-kill-XXXXXX");
	assert_non_null(mkdtemp(top));
	sprintf(db, "%s/registry.db", top);
	sprintf(run_dir, "%s/run", top);
	assert_int_equal(path_make_dirs(run_dir, 0700, &e), 0);
	b = open_broker();
	assert_int_equal(fd_read_file(broker_run_fd(b), "paths", &paths, &e), 0);
	snprintf(name, sizeof(name), "%s", strchr(buf_text(&paths, &e), '\t') + 1);
	name[strcspn(name, "\t\n")] = 0;
	snprintf(view, sizeof(view), "%s/view/%s", run_dir, name);
	snprintf(draft, sizeof(draft), "%s/drafts/1.1.600.w-%s", run_dir, name);
	text_of(0, text);
	answer(b, "replace", text);
	broker_close(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return path_remove_tree(AT_FDCWD, top, &e);
}

/* ---- who is killed: everything behind SIGSTOP is stepped -------------------------------------- */

typedef void victim_fn(const char *text, size_t len);

static void broker_takes_descriptor(const char *text, size_t len)
{
	struct broker *b = open_broker();

	(void)len;
	(void)raise(SIGSTOP);
	answer(b, "replace", text);
}

static void write_all(int fd, const char *text, size_t len)
{
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) < 0)
		_exit(1);
}

static void broker_takes_view(const char *text, size_t len)
{
	struct broker *b = open_broker();

	write_all(open(view, O_WRONLY | O_TRUNC | O_CLOEXEC), text, len);
	(void)raise(SIGSTOP);
	answer(b, "commit", NULL);
}

/* What a program under the shim says when it has closed what it wrote. */
static void broker_takes_draft(const char *text, size_t len)
{
	struct broker *b = open_broker();

	write_all(open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), text, len);
	(void)raise(SIGSTOP);
	strcpy(name, strrchr(draft, '/') + 1);
	answer(b, "closed", NULL);
}

static void broker_harvests(const char *text, size_t len)
{
	struct broker *b = open_broker();
	struct reg_saved saved;

	write_all(open(view, O_WRONLY | O_TRUNC | O_CLOEXEC), text, len);
	(void)raise(SIGSTOP);
	if (broker_harvest(b, true, &saved, &e) < 0)
		_exit(1);
}

static void broker_starts(const char *text, size_t len)
{
	write_all(open(view, O_WRONLY | O_TRUNC | O_CLOEXEC), text, len);
	(void)raise(SIGSTOP);
	broker_close(open_broker());
}

/* The program empties the file and writes it. */
static void program_writes(const char *text, size_t len)
{
	(void)raise(SIGSTOP);
	write_all(open(view, O_WRONLY | O_TRUNC | O_CLOEXEC), text, len);
}

static void program_renames(const char *text, size_t len)
{
	char tmp[sizeof(view) + 8];

	(void)raise(SIGSTOP);
	sprintf(tmp, "%s.tmp", view);
	write_all(open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), text, len);
	if (rename(tmp, view) < 0)
		_exit(1);
}

/* ---- stepping ------------------------------------------------------------------------------- */

/* Lets the child make `steps` stops at system calls and kills it there; false when it came to its end. */
static bool kill_after(pid_t child, unsigned steps)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	return kill_at_step(child, steps);
}

static unsigned get(struct reg_hive *h, const char *key)
{
	enum reg_layer layer;
	char *value = NULL;
	unsigned r;

	if (reg_hive_get(h, "f", key, &value, &layer, &e) < 0)
		fail_msg("%s", e.msg);
	r = (unsigned)atoi(value);
	free(value);
	return r;
}

/* What the next broker makes of it: the file and the keys have one value, which is returned. */
static unsigned look(void)
{
	auto_buf struct buf got = BUF_INIT(4096);
	struct broker *b = open_broker();
	struct reg_hive *h = NULL;
	struct reg_saved saved;
	unsigned value;
	char want[64];

	assert_int_equal(broker_harvest(b, true, &saved, &e), 0);
	broker_close(b);
	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	value = get(h, "s/A");
	assert_int_equal(get(h, "s/B"), value);
	reg_hive_close(h);
	text_of(value, want);
	if (fd_read_file(AT_FDCWD, view, &got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_text(&got, &e), want);
	return value;
}

/* `always_new`: the file is new before the first step, and must not get lost. */
static void sweep(victim_fn *victim, bool always_new)
{
	unsigned value = 0, steps = 0;
	bool was_killed = true;

	for (; was_killed; steps++) {
		char text[64];
		size_t len = text_of(value + 1, text);
		pid_t child = fork();
		unsigned now;

		if (child == 0) {
			if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
				_exit(1);
			victim(text, len);
			_exit(0);
		}
		was_killed = kill_after(child, steps);
		if (rename(draft, view) < 0) /* what the shim does when nobody answers */
			assert_int_equal(access(draft, F_OK), -1);
		now = look();
		if (now != value + 1 && (now != value || always_new || !was_killed))
			fail_msg("killed after %u steps: %u became %u", steps, value, now);
		value = now;
	}
	print_message("%u steps\n", steps - 1);
	assert_true(value > 0 && steps > 3);
}

static void test_broker_takes_descriptor(void **state)
{
	(void)state;
	sweep(broker_takes_descriptor, false);
}

static void test_broker_takes_draft(void **state)
{
	(void)state;
	sweep(broker_takes_draft, true);
}

static void test_broker_takes_view(void **state)
{
	(void)state;
	sweep(broker_takes_view, true);
}

static void test_broker_harvests(void **state)
{
	(void)state;
	sweep(broker_harvests, true);
}

static void test_broker_starts(void **state)
{
	(void)state;
	sweep(broker_starts, true);
}

static void test_program_writes(void **state)
{
	(void)state;
	sweep(program_writes, false);
}

static void test_program_renames(void **state)
{
	(void)state;
	sweep(program_renames, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_broker_takes_descriptor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broker_takes_draft, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broker_takes_view, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broker_harvests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broker_starts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_program_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_program_renames, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
