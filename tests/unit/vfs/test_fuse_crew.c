/* SPDX-License-Identifier: Apache-2.0 */
/* Who serves when: requests that take long must not keep others waiting, whatever the crew. The descriptor is
 * a pipe; a request is a letter: 's' is not over before the test says so, others are quick; a digit says
 * whose it is. */
#include "tests/unit/cmocka_all.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/sync.h"
#include "vfs/fuse_crew.h"
#include "vfs/fuse_pair.h"

enum { AGES_MS = 20000 };

static struct {
	struct fuse_crew *crew;
	int in, out; /* the pipe */
	pthread_t runner;
	struct sync_mutex lock;
	struct sync_cond changed;
	unsigned quick, slow_begun, slow_done, threads; /* guarded by lock */
	bool is_over, is_ending;                        /* guarded by lock */
} t;

static void handle(char request)
{
	sync_lock(&t.lock);
	if (request != 's') {
		t.quick++;
	} else {
		t.slow_begun++;
		sync_wake_all(&t.changed);
		while (!t.is_over)
			sync_wait(&t.changed, &t.lock);
		t.slow_done++;
	}
	sync_wake_all(&t.changed);
	sync_unlock(&t.lock);
}

static void serve(void *arg)
{
	char request;

	(void)arg;
	sync_lock(&t.lock);
	t.threads++;
	sync_unlock(&t.lock);
	for (;;) {
		ssize_t n = read(t.in, &request, 1);
		bool is_ending;

		sync_lock(&t.lock);
		is_ending = t.is_ending;
		sync_unlock(&t.lock);
		if (n < 0 && !is_ending)
			continue;
		if (n <= 0)
			return;
		fuse_crew_leave(t.crew, isdigit((unsigned char)request) ? (uint32_t)request : 0);
		handle(request);
		fuse_crew_return(t.crew);
	}
}

static void *run_main(void *arg)
{
	struct err e;

	(void)arg;
	return fuse_crew_run(t.crew, &e) < 0 ? &t : NULL;
}

static void ask(const char *requests)
{
	size_t len = strlen(requests);

	assert_int_equal(write(t.out, requests, len), len);
}

/* False after ages. */
static bool await(const unsigned *what, unsigned at_least)
{
	uint64_t end = sync_now_ms() + AGES_MS;
	bool r;

	sync_lock(&t.lock);
	while (*what < at_least && sync_now_ms() < end)
		(void)sync_wait_ms(&t.changed, &t.lock, 100);
	r = *what >= at_least;
	sync_unlock(&t.lock);
	return r;
}

static void begin(unsigned threads, bool is_quick)
{
	struct fuse_crew_opt opt = { .serve = serve, .threads = threads, .is_quick = is_quick };
	int fds[2];
	struct err e;

	t.quick = t.slow_begun = t.slow_done = t.threads = 0;
	t.is_over = t.is_ending = false;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	t.in = fds[0];
	t.out = fds[1];
	assert_int_equal(fuse_crew_open(&opt, &t.crew, &e), 0);
	assert_int_equal(pthread_create(&t.runner, NULL, run_main, NULL), 0);
}

static void end(void)
{
	void *result;

	sync_lock(&t.lock);
	t.is_over = t.is_ending = true;
	sync_wake_all(&t.changed);
	sync_unlock(&t.lock);
	fuse_crew_end(t.crew);
	assert_int_equal(pthread_join(t.runner, &result), 0);
	assert_null(result);
	fuse_crew_close(t.crew);
	(void)close(t.in);
	(void)close(t.out);
}

static void nobody_waits_for_a_slow_one(bool is_quick)
{
	begin(8, is_quick);
	fuse_crew_allow(t.crew);
	ask("qq");
	assert_true(await(&t.quick, 2));
	for (unsigned i = 1; i <= 6; i++) {
		ask("s");
		assert_true(await(&t.slow_begun, i));
		ask("qqq");
		assert_true(await(&t.quick, 2 + 3 * i));
	}
	ask("sq"); /* the last thread but one, and the last */
	assert_true(await(&t.quick, 21));
	sync_lock(&t.lock);
	assert_int_equal(t.slow_done, 0);
	assert_true(t.threads <= 8);
	t.is_over = true;
	sync_wake_all(&t.changed);
	sync_unlock(&t.lock);
	assert_true(await(&t.slow_done, 7));
	for (unsigned i = 0; i < 100; i++) {
		ask("qsqsqsqsqs");
		assert_true(await(&t.quick, 21 + 5 * (i + 1)));
	}
	assert_true(await(&t.slow_done, 507));
	end();
}

static void test_quick_crew(void **state)
{
	(void)state;
	nobody_waits_for_a_slow_one(true);
}

static void test_other_crew(void **state)
{
	(void)state;
	nobody_waits_for_a_slow_one(false);
}

/* Until it is allowed, and with room for no other, there is one thread. */
static void test_alone(void **state)
{
	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		begin(allowed ? 1 : 8, allowed != 0);
		if (allowed)
			fuse_crew_allow(t.crew);
		ask("sqq");
		assert_true(await(&t.slow_begun, 1));
		(void)usleep(20000);
		sync_lock(&t.lock);
		assert_int_equal(t.threads, 1);
		assert_int_equal(t.quick, 0);
		t.is_over = true;
		sync_wake_all(&t.changed);
		sync_unlock(&t.lock);
		assert_true(await(&t.quick, 2));
		end();
	}
}

/* The watch comes and goes with the requests. */
static void test_after_a_rest(void **state)
{
	(void)state;
	begin(4, true);
	fuse_crew_allow(t.crew);
	for (unsigned i = 1; i <= 5; i++) {
		for (unsigned k = 0; k < 2000; k++)
			ask("q");
		assert_true(await(&t.quick, 2001 * i - 1));
		(void)usleep(30000);
		sync_lock(&t.lock);
		t.is_over = false;
		sync_unlock(&t.lock);
		ask("sq");
		assert_true(await(&t.quick, 2001 * i));
		sync_lock(&t.lock);
		assert_int_equal(t.slow_begun, i);
		t.is_over = true;
		sync_wake_all(&t.changed);
		sync_unlock(&t.lock);
		assert_true(await(&t.slow_done, i));
	}
	end();
}

static void test_crowd(void **state)
{
	uint64_t end_ms = sync_now_ms() + AGES_MS;
	unsigned asked = 0;
	bool are_two = false;

	(void)state;
	begin(8, true);
	fuse_crew_allow(t.crew);
	while (!are_two && sync_now_ms() < end_ms) {
		ask("123123123123123123123123123123");
		asked += 30;
		assert_true(await(&t.quick, asked));
		sync_lock(&t.lock);
		are_two = t.threads > 1;
		sync_unlock(&t.lock);
	}
	assert_true(are_two);
	end();
}

/* Two take turns without a crowd; who waits for nothing is nobody. */
static void test_turns(void **state)
{
	static const uint32_t clients[] = { 7, 7, 8, 7, 8, 0, 8, 7, 9, 9, 7 };
	static const unsigned turns[] = { 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3 };
	struct fuse_pair p;

	(void)state;
	fuse_pair_init(&p);
	for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		fuse_pair_took(&p, clients[i]);
		assert_int_equal(fuse_pair_turns(&p), turns[i]);
	}
	assert_int_equal(fuse_pair_taken(&p), sizeof(turns) / sizeof(*turns));
}

static void do_nothing(int sig)
{
	(void)sig;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quick_crew), cmocka_unit_test(test_other_crew),
		cmocka_unit_test(test_alone),      cmocka_unit_test(test_after_a_rest),
		cmocka_unit_test(test_crowd),      cmocka_unit_test(test_turns),
	};
	struct sigaction act = { .sa_handler = do_nothing };

	(void)sigemptyset(&act.sa_mask);
	(void)sigaction(SIGUSR1, &act, NULL);
	sync_mutex_init(&t.lock);
	sync_cond_init(&t.changed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
