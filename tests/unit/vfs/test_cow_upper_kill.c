/* SPDX-License-Identifier: Apache-2.0 */
/* A process that changes an upper is killed at any moment, and its successor finds each name old or new.
 *
 * Eight names; of half of them something lies below in the union, so that, gone, they must be whiteouts. The
 * process says in shared memory what it is about to do and what it has done. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "tests/unit/vfs/cow_scratch.h"

struct scratch scratch;

enum { NAMES = 8, ROUNDS = 40, TOKEN_LEN = 16 };

enum kind { ABSENT, A_FILE, A_DIR };
struct thing {
	enum kind kind;
	unsigned token;
};
struct shared {
	struct thing now[NAMES];
	atomic_bool is_pending;
	int one, two; /* names that the step concerns; two = -1: none */
	struct thing one_after, two_after;
	uint64_t orphan; /* 0 = none; then of what: */
	unsigned orphan_token;
	unsigned serial;
	atomic_uint steps;
};
static struct shared *shared;
static unsigned seed;

static unsigned chance(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

static const char *name_of(int i)
{
	static const char *const names[NAMES] = { "n0", "n1", ".wh.n2", "n3", "n4", "n5", "n6", NULL };

	return names[i] ? names[i] : long_name('7');
}

static bool has_below(int i)
{
	return i % 2;
}

/* ---- steps, in the process that is killed ---- */

static void require(int sys, const char *what)
{
	if (sys) {
		(void)fprintf(stderr, "%s: %s\n", what, strerror(sys));
		_exit(98);
	}
}

static void begin(int one, struct thing one_after, int two, struct thing two_after)
{
	shared->one = one;
	shared->one_after = one_after;
	shared->two = two;
	shared->two_after = two_after;
	shared->orphan = 0;
	atomic_store(&shared->is_pending, true);
}

static void expect_orphan(uint64_t id, unsigned token)
{
	shared->orphan_token = token;
	shared->orphan = id;
}

static void end(void)
{
	shared->now[shared->one] = shared->one_after;
	if (shared->two >= 0)
		shared->now[shared->two] = shared->two_after;
	(void)atomic_fetch_add(&shared->steps, 1);
	atomic_store(&shared->is_pending, false);
}

static void create(int i)
{
	const struct thing after = { chance(2) ? A_DIR : A_FILE, ++shared->serial };
	struct cow_temp t;
	char text[TOKEN_LEN];
	int len = snprintf(text, sizeof(text), "%u", after.token);

	begin(i, after, -1, after);
	if (after.kind == A_FILE) {
		require(cow_temp_file(scratch.u, 0644, &t), "file");
		require(write(t.fd, text, (size_t)len) != len, "write");
	} else {
		require(cow_temp_dir(scratch.u, 0755, &t), "dir");
		require(fsetxattr(t.fd, "user.token", text, (size_t)len, 0), "token");
		require(cow_upper_whiteout(scratch.u, t.fd, "w0", 0), "whiteout");
		require(cow_upper_whiteout(scratch.u, t.fd, "w1", 0), "whiteout");
	}
	require(cow_temp_place(scratch.u, &t, scratch.root, name_of(i)), "place");
	cow_temp_drop(scratch.u, &t);
	end();
}

static void drop(int i)
{
	const struct thing was = shared->now[i], gone = { ABSENT, 0 };
	uint64_t id = chance(2) ? 1 + chance(3) : 0;

	begin(i, gone, -1, gone);
	if (was.kind == A_DIR) {
		require(cow_upper_remove_dir(scratch.u, scratch.root, name_of(i), has_below(i)), "rmdir");
	} else {
		expect_orphan(id, was.token);
		if (has_below(i))
			require(cow_upper_whiteout(scratch.u, scratch.root, name_of(i), id), "whiteout");
		else
			require(cow_upper_remove(scratch.u, scratch.root, name_of(i), id), "remove");
	}
	end();
}

static void move(int from, int to)
{
	struct cow_upper_move m = { .old_dir = scratch.root,
				    .new_dir = scratch.root,
				    .old_name = name_of(from),
				    .new_name = name_of(to),
				    .whiteout = has_below(from) };
	const struct thing was = shared->now[to];

	if (was.kind != ABSENT && (was.kind != shared->now[from].kind || chance(3) == 0)) {
		m.exchange = true;
		m.whiteout = false;
		begin(from, was, to, shared->now[from]);
	} else {
		begin(from, (struct thing){ ABSENT, 0 }, to, shared->now[from]);
		m.orphan_id = chance(2) ? 1 + chance(3) : 0;
		if (was.kind == A_FILE)
			expect_orphan(m.orphan_id, was.token);
	}
	require(cow_upper_move(scratch.u, &m), "move");
	end();
}

/* An opaque directory has nothing below that it could take along. */
static void redirect(int i)
{
	auto_fd int fd = openat(scratch.root, name_of(i), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct cow_upper_dir_info info;

	require(fd < 0 ? errno : cow_upper_dir_info(scratch.u, fd, &info), "info");
	if (!info.is_opaque)
		require(cow_upper_set_redirect(scratch.u, fd, "/below"), "redirect");
	free(info.redirect);
}

static void enter_index(int i)
{
	char key[96];

	cow_links_key("host", 1, shared->now[i].token, key);
	require(cow_links_add(scratch.u, key, scratch.root, name_of(i), 2), "index");
	if (chance(2))
		require(cow_links_set_count(scratch.u, scratch.root, name_of(i), 0), "count");
}

static void step(void)
{
	int i = (int)chance(NAMES), j = (int)chance(NAMES);

	if (shared->now[i].kind == ABSENT)
		create(i);
	else if (chance(8) == 0)
		(shared->now[i].kind == A_DIR ? redirect : enter_index)(i);
	else if (i == j || chance(3) == 0)
		drop(i);
	else
		move(i, j);
}

/* ---- looking at what it left ---- */

static unsigned token_of(const char *text, ssize_t len)
{
	char copy[TOKEN_LEN];

	assert_true(len > 0 && len < TOKEN_LEN);
	memcpy(copy, text, (size_t)len);
	copy[len] = 0;
	return (unsigned)strtoul(copy, NULL, 10);
}

/* Whatever the union would show of what is below a directory: either it is opaque, or the whiteouts are
 * there.
 */
static void check_dir(int fd)
{
	struct cow_upper_dir_info info;
	unsigned features;
	struct err e;

	assert_int_equal(cow_upper_dir_info(scratch.u, fd, &info), 0);
	if (!info.is_opaque || info.redirect) {
		assert_true(is_whiteout(fd, "w0"));
		assert_true(is_whiteout(fd, "w1"));
	}
	if (info.redirect) {
		assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
		assert_true(features & COW_FEATURE_REDIRECT);
		free(info.redirect);
	}
}

static struct thing find(int dir, const char *name)
{
	char text[TOKEN_LEN];
	auto_fd int fd = -1;
	struct stat st;
	bool whiteout;

	if (cow_upper_lookup(scratch.u, dir, name, &st, &whiteout) != 0 || whiteout)
		return (struct thing){ ABSENT, 0 };
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	assert_true(fd >= 0);
	if (S_ISDIR(st.st_mode)) {
		check_dir(fd);
		return (struct thing){ A_DIR,
				       token_of(text, fgetxattr(fd, "user.token", text, sizeof(text))) };
	}
	return (struct thing){ A_FILE, token_of(text, read(fd, text, sizeof(text))) };
}

static bool same(struct thing a, struct thing b)
{
	return a.kind == b.kind && a.token == b.token;
}

/* Without RENAME_WHITEOUT, replacing something and leaving a whiteout takes two steps. */
static bool is_half_moved(struct thing one, struct thing two)
{
	return (scratch.without & COW_CAN_LEAVE_WHITEOUT) && shared->one_after.kind == ABSENT &&
	       same(two, shared->two_after) &&
	       (same(one, shared->now[shared->one]) || same(one, shared->now[shared->two]));
}

static void check_pending(const struct thing found[NAMES])
{
	int one = shared->one, two = shared->two;
	bool is_old = same(found[one], shared->now[one]) && (two < 0 || same(found[two], shared->now[two]));
	bool is_new = same(found[one], shared->one_after) && (two < 0 || same(found[two], shared->two_after));
	char text[24];

	if (!is_old && !is_new && (two < 0 || !is_half_moved(found[one], found[two])))
		fail_msg("%s: %d %u -> %d %u, found %d %u; %s: %d %u -> %d %u, found %d %u", name_of(one),
			 (int)shared->now[one].kind, shared->now[one].token, (int)shared->one_after.kind,
			 shared->one_after.token, (int)found[one].kind, found[one].token,
			 two < 0 ? "-" : name_of(two), two < 0 ? 0 : (int)shared->now[two].kind,
			 two < 0 ? 0 : shared->now[two].token, (int)shared->two_after.kind,
			 shared->two_after.token, two < 0 ? 0 : (int)found[two].kind,
			 two < 0 ? 0 : found[two].token);
	if (is_old || !shared->orphan)
		return;
	cow_orphan_text(shared->orphan, text);
	assert_true(same(find(scratch.u->orphans, text), (struct thing){ A_FILE, shared->orphan_token }));
}

static void check_index(void)
{
	int links = cow_links_dir(scratch.u);
	unsigned count, features;
	struct err e;
	char key[96];

	if (links < 0)
		return;
	assert_int_equal(cow_upper_features(scratch.upper, &features, &e), 0);
	assert_true(features & COW_FEATURE_LINKS);
	for (unsigned token = 1; token <= shared->serial; token++) {
		cow_links_key("host", 1, token, key);
		if (is_there(links, key))
			assert_int_equal(cow_links_count(scratch.u, links, key, &count), 0);
	}
}

static void check(void)
{
	struct thing found[NAMES];

	check_empty(scratch.u->tmp);
	for (int i = 0; i < NAMES; i++) {
		bool is_pending = atomic_load(&shared->is_pending) && (i == shared->one || i == shared->two);

		found[i] = find(scratch.root, name_of(i));
		if (!is_pending && !same(found[i], shared->now[i]))
			fail_msg("%s: %d %u, found %d %u", name_of(i), (int)shared->now[i].kind,
				 shared->now[i].token, (int)found[i].kind, found[i].token);
		/* Nothing that lies below comes back. It is there from the first creation on. */
		if (has_below(i) && found[i].kind == ABSENT)
			assert_true(is_whiteout(scratch.root, name_of(i)));
	}
	if (atomic_load(&shared->is_pending))
		check_pending(found);
	check_index();
	memcpy(shared->now, found, sizeof(found));
	atomic_store(&shared->is_pending, false);
}

/* What a half-done move left may be of two names; the model tells by tokens, so both get others. */
static void part_twins(void)
{
	for (int i = 0; i < NAMES; i++)
		for (int j = 0; j < i; j++)
			if (shared->now[i].kind == A_FILE && same(shared->now[i], shared->now[j]))
				drop(j);
}

/* However slow the machine is. */
static void await_steps(unsigned more)
{
	const unsigned enough = atomic_load(&shared->steps) + more;

	for (int i = 0; i < 100000 && atomic_load(&shared->steps) < enough; i++)
		(void)usleep(50);
}

static void test_killed_at_any_moment(void **state)
{
	(void)state;
	seed = (unsigned)getpid();
	print_message("seed %u\n", seed);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	for (int i = 0; i < NAMES; i++)
		if (has_below(i))
			put_whiteout(scratch.root, name_of(i));
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0) {
			seed += (unsigned)round;
			for (;;)
				step();
		}
		await_steps(1 + chance(20));
		(void)usleep(chance(300));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		scratch_reopen(true);
		check();
		part_twins();
	}
	assert_true(atomic_load(&shared->steps) >= ROUNDS);
	assert_int_equal(munmap(shared, sizeof(*shared)), 0);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_killed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return scratch_main(run);
}
