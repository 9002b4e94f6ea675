/* SPDX-License-Identifier: Apache-2.0 */
/* What one process fetches, others wait for. Two caches opened on one directory are to each other what two
 * processes are. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "package-format/chunk.h"
#include "streaming/package_state.h"
#include "tests/unit/streaming/package_fixture.h"

static struct stream_cache *other; /* on the same directory */

static int begin_two(void **state)
{
	struct err e;

	assert_int_equal(begin(state), 0);
	assert_int_equal(stream_cache_open(cache_dir, &other, &e), 0);
	return 0;
}

static int end_two(void **state)
{
	stream_cache_close(other);
	other = NULL;
	return end(state);
}

static const struct pkg_digest root = { { 1, 2, 3, 4, 5, 6, 7 } };

/* ---- claims ------------------------------------------------------------------------------ */

static void test_claims(void **state)
{
	const struct transit *ours = stream_cache_transit(cache), *theirs = stream_cache_transit(other);
	uint64_t ten = transit_claim_of(&root, 10);
	struct pkg_digest another = root;

	(void)state;
	another.b[4]++;
	assert_true(transit_claim(ours, ten, 5));
	assert_true(transit_claim(ours, ten + 1, 1)); /* of our own nobody is in the way */
	assert_false(transit_claim(theirs, ten + 4, 2));
	assert_true(transit_claim(theirs, ten + 5, 2));
	assert_true(transit_claim(theirs, transit_claim_of(&another, 10), 5));
	assert_true(transit_is_claimed_elsewhere(theirs, ten));
	assert_false(transit_is_claimed_elsewhere(ours, ten));
	assert_true(transit_is_claimed_elsewhere(ours, ten + 6));
	assert_false(transit_is_claimed_elsewhere(ours, ten + 7));
	assert_true(transit_is_shared(ours, &root));
	transit_unclaim(theirs, ten + 5, 2);
	assert_false(transit_is_shared(ours, &root));
	assert_true(transit_is_shared(theirs, &root));
	transit_unclaim(ours, ten + 2, 1);
	assert_true(transit_claim(theirs, ten + 2, 1));
	assert_false(transit_claim(theirs, ten + 1, 1));
}

static void test_claims_of_the_dead(void **state)
{
	const struct transit *t = stream_cache_transit(cache);
	uint64_t claim = transit_claim_of(&root, 0);
	int told[2], status;
	pid_t child;
	char c;

	(void)state;
	assert_int_equal(pipe(told), 0);
	child = fork();
	if (child == 0) {
		struct stream_cache *mine;
		struct err e;

		if (stream_cache_open(cache_dir, &mine, &e) < 0 ||
		    !transit_claim(stream_cache_transit(mine), claim, 1) || write(told[1], "x", 1) != 1)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(told[0], &c, 1), 1);
	assert_false(transit_claim(t, claim, 1));
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(transit_claim(t, claim, 1));
	fd_close(told[0]);
	fd_close(told[1]);
}

static void test_table(void **state)
{
	enum { MANY = 20000 };
	const struct transit *ours = stream_cache_transit(cache), *theirs = stream_cache_transit(other);
	auto_fd int watch = transit_watch(theirs);
	struct pollfd ready = { .fd = watch, .events = POLLIN };
	struct transit_place place;
	unsigned found = 0;

	(void)state;
	assert_true(watch >= 0);
	assert_int_equal(poll(&ready, 1, 0), 0);
	for (unsigned i = 0; i < MANY; i++) {
		struct pkg_digest digest;

		pkg_digest_of(&i, sizeof(i), &digest);
		transit_publish(ours, &digest, &(struct transit_place){ i * UINT64_C(4096), i + 1 });
		assert_true(transit_find(theirs, &digest, &place));
		assert_int_equal(place.off, i * UINT64_C(4096));
		assert_int_equal(place.len, i + 1);
	}
	assert_int_equal(poll(&ready, 1, 0), 1);
	transit_watch_clear(watch);
	assert_int_equal(poll(&ready, 1, 0), 0);
	for (unsigned i = 0; i < MANY; i++) {
		struct pkg_digest digest;

		pkg_digest_of(&i, sizeof(i), &digest);
		if (!transit_find(theirs, &digest, &place))
			continue;
		assert_int_equal(place.len, i + 1);
		found++;
		transit_withdraw(theirs, &digest);
		assert_false(transit_find(ours, &digest, &place));
	}
	assert_in_range(found, 1024, 8 * 1024); /* the table does not grow */
}

static void test_silence(void **state)
{
	const struct transit *t = stream_cache_transit(cache);
	struct pkg_digest another = root;

	(void)state;
	another.b[0]++;
	transit_note_arrival(t, &root);
	assert_true(transit_silent_ms(stream_cache_transit(other), &root) < UINT32_MAX);
	assert_true(transit_silent_ms(t, &another) > UINT32_MAX);
}

/* ---- packages ---------------------------------------------------------------------------- */

static struct stream_package *open_at(struct stream_cache *c)
{
	return open_with((struct stream_package_opt){ .cache = c });
}

static void *read_everything(void *arg)
{
	struct stream_package *p = arg;

	for (unsigned i = 0; i < FILES; i++)
		read_right(p, i);
	return NULL;
}

static void test_everything_once(void **state)
{
	struct stream_package *ours, *theirs;
	struct fault_counts counts;
	pthread_t thread;

	(void)state;
	fault_server_rate(server, 4 << 20);
	ours = open_at(cache);
	theirs = open_at(other); /* knows the package from the cache, or asks for its beginning as well */
	assert_int_equal(pthread_create(&thread, NULL, read_everything, ours), 0);
	(void)read_everything(theirs);
	assert_int_equal(pthread_join(thread, NULL), 0);
	fault_server_counts(server, &counts);
	/* But for headers, and a chunk in the middle of which the first transfer ends. */
	if (counts.bytes > package.len + PKG_CHUNK_MAX)
		fail_msg("%llu bytes of %zu", (unsigned long long)counts.bytes, package.len);
	stream_package_close(ours);
	stream_package_close(theirs);
}

/* A chunk that nothing brings by itself. */
static uint32_t far_chunk(struct stream_package *p)
{
	return p->chunk_count - 1;
}

struct reading {
	struct stream_package *p;
	uint32_t idx;
	atomic_bool is_done;
};

static void *read_chunk(void *arg)
{
	struct reading *r = arg;
	struct stream_chunk *c;
	struct err e;

	if (stream_package_chunk(r->p, r->idx, NULL, NULL, &c, &e) < 0)
		fail_msg("%s", e.msg);
	stream_chunk_unref(r->p, c);
	r->is_done = true;
	return NULL;
}

/* While others have the claim and show signs of life, it is theirs; when they give it up, ours. */
static void test_given_up(void **state)
{
	const struct transit *theirs = stream_cache_transit(other);
	struct stream_package *p = open_at(cache);
	struct reading r = { .p = p, .idx = far_chunk(p) };
	uint64_t claim = transit_claim_of(&p->header.root, r.idx);
	pthread_t thread;

	(void)state;
	assert_false(stream_package_has(p, r.idx));
	assert_true(transit_claim(theirs, claim, 1));
	transit_note_arrival(theirs, &p->header.root);
	assert_int_equal(pthread_create(&thread, NULL, read_chunk, &r), 0);
	for (int i = 0; i < 3 * ELSEWHERE_SILENCE_MS / 50; i++) {
		transit_note_arrival(theirs, &p->header.root);
		(void)poll(NULL, 0, 50);
		assert_false(r.is_done);
	}
	transit_unclaim(theirs, claim, 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	stream_package_close(p);
}

/* Who shows no sign of life does not hold up others, nor takes what they then obtain for lost. */
static void test_hanging(void **state)
{
	const struct transit *theirs = stream_cache_transit(other);
	struct stream_package *p = open_at(cache);
	struct reading r = { .p = p, .idx = far_chunk(p) };

	(void)state;
	assert_true(transit_claim(theirs, transit_claim_of(&p->header.root, r.idx), 1));
	(void)read_chunk(&r);
	assert_true(r.is_done);
	stream_package_close(p);
}

static void test_closed_while_waiting(void **state)
{
	const struct transit *theirs = stream_cache_transit(other);
	struct stream_package *p = open_at(cache);

	(void)state;
	assert_true(transit_claim(theirs, transit_claim_of(&p->header.root, far_chunk(p)), 1));
	transit_note_arrival(theirs, &p->header.root);
	sync_lock(&p->lock);
	p->is_busy[far_chunk(p)] = 1;
	sync_unlock(&p->lock);
	assert_true(elsewhere_await(p, far_chunk(p)));
	stream_package_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_claims, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_claims_of_the_dead, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_table, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_silence, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_everything_once, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_given_up, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_hanging, begin_two, end_two),
		cmocka_unit_test_setup_teardown(test_closed_while_waiting, begin_two, end_two),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
