/* SPDX-License-Identifier: Apache-2.0 */
/* What launches teach: touches merged over launches, configuration files proposed, processor time counted. */
#include "tests/unit/sequencer/fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "base/sync.h"
#include "sequencer/busy.h"
#include "sequencer/learn_config.h"
#include "sequencer/learn_touches.h"

static void write_touches(const char *name, const struct pkg_touch *t, size_t count, size_t extra)
{
	FILE *f = fopen(in_scratch(name), "w");

	assert_non_null(f);
	for (size_t i = 0; i < count; i++) {
		struct le64 raw[3] = { le64_of(t[i].ino), le64_of(t[i].off), le64_of(t[i].len) };

		assert_int_equal(fwrite(raw, sizeof(raw), 1, f), 1);
	}
	for (size_t i = 0; i < extra; i++)
		assert_int_equal(fputc(1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static void touches_keep_their_first_order(void **state)
{
	static const struct pkg_touch first[] = { { 9, 0, 100 }, { 3, 4096, 10 }, { 9, 0, 50 } };
	static const struct pkg_touch second[] = { { 1, 0, 5 }, { 3, 4096, 20 }, { 0, 0, 7 }, { 4, 0, 0 } };
	auto_lesson struct seq_lesson l = { 0 };
	struct seq_learned one = { 0 };
	struct err e;

	(void)state;
	write_touches("a", first, ARRAY_LEN(first), 0);
	write_touches("b", second, ARRAY_LEN(second), 23); /* and a torn one */
	assert_int_equal(seq_learn_touches(in_scratch("a"), &one, &l, &e), 0);
	assert_int_equal(one.touch_count, 3);
	assert_int_equal(one.touched_bytes, 160);
	assert_int_equal(seq_learn_touches(in_scratch("b"), &one, &l, &e), 0);
	assert_int_equal(l.touch_count, 3);
	assert_int_equal(l.touches[0].ino, 9);
	assert_int_equal(l.touches[0].len, 100);
	assert_int_equal(l.touches[1].ino, 3);
	assert_int_equal(l.touches[1].len, 20);
	assert_int_equal(l.touches[2].ino, 1);
	assert_int_equal(seq_learn_touches(in_scratch("missing"), &one, &l, &e), -1);
}

static const struct seq_proposal *find_proposal(const struct seq_lesson *l, const char *path)
{
	for (size_t i = 0; i < l->proposal_count; i++)
		if (!strcmp(l->proposals[i].path, path))
			return &l->proposals[i];
	return NULL;
}

static void settings_are_proposed(void **state)
{
	auto_lesson struct seq_lesson l = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(setenv("HOME", "/floe-test-home", 1), 0);
	put_file("upper/floe-test-home/.config/x/ini", "[a]\nb=c\n", 0644);
	put_file("upper/floe-test-home/.config/x/flat", "b=c\nd=e\n", 0644);
	put_file("upper/floe-test-home/.config/x/prose", "this is not a settings file\nat all\n", 0644);
	put_file("upper/floe-test-home/.config/x/state.json", "[a]\nb=c\n", 0644);
	put_file("upper/floe-test-home/.cache/x/ini", "[a]\nb=c\n", 0644);
	put_file("upper/floe-test-home/.xrc", "[a]\nb=c\n", 0644);
	put_file("upper/etc/x", "[a]\nb=c\n", 0644);
	for (int i = 0; i < 2; i++) /* each path once */
		assert_int_equal(seq_learn_config(in_scratch("upper"), NULL, &l, &e), 0);
	assert_non_null(find_proposal(&l, "@config/x/ini"));
	assert_true(find_proposal(&l, "@config/x/ini")->is_certain);
	assert_non_null(find_proposal(&l, "@home/.xrc"));
	assert_false(find_proposal(&l, "@home/.xrc")->is_certain);
	if (find_proposal(&l, "@config/x/flat"))
		assert_false(find_proposal(&l, "@config/x/flat")->is_certain);
	assert_null(find_proposal(&l, "@config/x/prose"));
	assert_null(find_proposal(&l, "@config/x/state.json"));
	assert_true(l.proposal_count <= 3);
}

/* A grandchild's work counts, a stranger's does not. */
static void busy_families_are_seen(void **state)
{
	uint64_t until_ms = sync_now_ms() + 10000;
	pid_t family = fork(), idle;

	(void)state;
	if (family == 0) {
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				;
		}
		for (;;)
			pause();
	}
	idle = fork();
	if (idle == 0)
		for (;;)
			pause();
	while (seq_busy_ms(family) < 100 && sync_now_ms() < until_ms)
		usleep(20 * 1000);
	assert_true(seq_busy_ms(family) >= 100);
	assert_true(seq_busy_ms(idle) < 50);
	assert_int_equal(seq_busy_ms(0x7ffffff0), 0);
	assert_int_equal(kill(family, SIGKILL), 0);
	assert_int_equal(kill(idle, SIGKILL), 0);
	assert_int_equal(waitpid(family, NULL, 0), family);
	assert_int_equal(waitpid(idle, NULL, 0), idle);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_scratch, remove_scratch)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(touches_keep_their_first_order),
		TEST(settings_are_proposed),
		TEST(busy_families_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
