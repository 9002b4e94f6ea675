/* SPDX-License-Identifier: Apache-2.0 */
/* The cache and packages: status, pins, leases, the quota, shared stores, and databases of other floes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "package-format/writer.h"
#include "streaming/package.h"
#include "tests/net/fault_server.h"

enum { FILES = 24, FILE_SIZE = 120000 };

/* Two packages, each on a server of its own; all of RED is its primary feature block. */
struct sample {
	const char *name;
	unsigned seed;
	struct buf bytes;
	struct fault_server *server;
	struct pkg_digest root;
};

static struct sample red = { "red", 1, BUF_INIT(1 << 26), NULL, { { 0 } } };
static struct sample blue = { "blue", 2, BUF_INIT(1 << 26), NULL, { { 0 } } };
static char top[] = "/tmp/floe-test-cache-packages-XXXXXX";
static char config_dir[64], dir[64], store[64];
static struct stream_cache *cache;
static int number;

/* ---- packages --------------------------------------------------------------------------- */

static void content_of(const struct sample *s, unsigned file, uint8_t ret[FILE_SIZE])
{
	uint64_t x = s->seed * 1000 + file + 1;

	for (size_t i = 0; i < FILE_SIZE; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		ret[i] = (uint8_t)(x >> 40);
	}
}

static void write_package(const char *tree, const char *path, const struct sample *s,
			  const struct pkg_secret_key *key)
{
	struct pkg_manifest m = { .name = (char *)s->name, .version = (char[]){ "1.0" } };
	struct pkg_touch touches[FILES];
	struct pkg_writer_report report;
	struct stream_package *p;
	struct pkg_writer *w;
	struct err e;

	assert_int_equal(pkg_writer_open(&(struct pkg_writer_opt){ .zstd_level = 1 }, &w, &e), 0);
	assert_int_equal(pkg_writer_add_tree(w, tree, "", &e), 0);
	assert_int_equal(pkg_writer_finish(w, &m, key, path, &report, &e), 0);
	pkg_writer_close(w);
	assert_int_equal(stream_package_open(path, &(struct stream_package_opt){ 0 }, &p, &e), 0);
	for (unsigned i = 0; i < FILES; i++) {
		struct pkg_inode inode;
		char name[16];

		(void)snprintf(name, sizeof(name), "f%02u", i);
		assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
		touches[i] = (struct pkg_touch){ inode.ino, 0, FILE_SIZE };
	}
	stream_package_close(p);
	assert_int_equal(
		pkg_writer_relayout(path, touches, s == &red ? FILES : 1, NULL, key, path, &report, &e), 0);
}

static void make_sample(struct sample *s)
{
	auto_free uint8_t *data = malloc(FILE_SIZE);
	char tree[96], path[128];
	struct pkg_secret_key *key;
	struct pkg_header header;
	struct err e;

	(void)snprintf(tree, sizeof(tree), "%s/%s", top, s->name);
	assert_int_equal(mkdir(tree, 0755), 0);
	for (unsigned i = 0; i < FILES; i++) {
		content_of(s, i, data);
		(void)snprintf(path, sizeof(path), "%s/f%02u", tree, i);
		assert_int_equal(fd_write_file(AT_FDCWD, path, data, FILE_SIZE, 0644, &e), 0);
	}
	(void)snprintf(path, sizeof(path), "%s/%s.floe", top, s->name);
	assert_int_equal(pkg_key_load(config_dir, "default", &key, &e), 0);
	write_package(tree, path, s, key);
	pkg_key_close(key);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &s->bytes, &e), 0);
	assert_int_equal(pkg_header_decode(s->bytes.data, &header, &e), 0);
	s->root = header.root;
	s->server = fault_server_start();
}

static int set_up(void **state)
{
	struct pkg_public_key key;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(top));
	(void)snprintf(config_dir, sizeof(config_dir), "%s/config", top);
	assert_int_equal(mkdir(config_dir, 0755), 0);
	assert_int_equal(pkg_key_generate(config_dir, "default", &key, &e), 0);
	make_sample(&red);
	make_sample(&blue);
	return 0;
}

static int tear_down(void **state)
{
	struct err e;

	(void)state;
	fault_server_stop(red.server);
	fault_server_stop(blue.server);
	buf_fini(&red.bytes);
	buf_fini(&blue.bytes);
	assert_int_equal(path_remove_tree(AT_FDCWD, top, &e), 0);
	return 0;
}

static void open_cache(void)
{
	struct err e;

	if (stream_cache_open(dir, &cache, &e) < 0)
		fail_msg("%s", e.msg);
}

static int begin(void **state)
{
	struct sample *samples[] = { &red, &blue };

	(void)state;
	for (int i = 0; i < 2; i++) {
		fault_server_object(samples[i]->server, samples[i]->bytes.data, samples[i]->bytes.len,
				    "\"1\"");
		fault_server_listen(samples[i]->server, 1);
		fault_server_reset_counts(samples[i]->server);
	}
	(void)snprintf(dir, sizeof(dir), "%s/cache%d", top, number);
	(void)snprintf(store, sizeof(store), "%s/st%%?#re%d", top, number++);
	open_cache();
	return 0;
}

static int end(void **state)
{
	(void)state;
	stream_cache_close(cache);
	cache = NULL;
	return 0;
}

static struct stream_package *open_sample(struct stream_cache *c, struct sample *s, bool offline)
{
	const struct stream_package_opt opt = {
		.cache = c,
		.config_dir = config_dir,
		.offline = offline,
		.fail_after_s = 20,
		.fetch = { 1000, 1000, 2, false },
	};
	struct stream_package *p;
	struct err e;

	if (stream_package_open(fault_server_url(s->server), &opt, &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void read_file(struct stream_package *p, const struct sample *s, unsigned file)
{
	auto_free uint8_t *want = malloc(FILE_SIZE), *got = malloc(FILE_SIZE);
	struct pkg_inode inode;
	char name[16];
	struct err e;
	size_t len;

	content_of(s, file, want);
	(void)snprintf(name, sizeof(name), "f%02u", file);
	assert_int_equal(pkg_index_resolve(stream_package_index(p), name, &inode, &e), 0);
	if (stream_package_read(p, &inode, 0, FILE_SIZE, got, &len, NULL, NULL, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	assert_int_equal(len, FILE_SIZE);
	assert_memory_equal(want, got, FILE_SIZE);
}

static void read_all(struct stream_cache *c, struct sample *s, bool offline)
{
	struct stream_package *p = open_sample(c, s, offline);

	for (unsigned i = 0; i < FILES; i++)
		read_file(p, s, i);
	stream_package_close(p);
}

static void fill(struct sample *s)
{
	struct err e;

	read_all(cache, s, false);
	if (stream_cache_sync(cache, &e) < 0)
		fail_msg("%s", e.msg);
}

/* ---- what status says ------------------------------------------------------------------- */

struct wanted {
	const struct pkg_digest *root;
	struct stream_cache_package found;
	bool is_found;
};

static int look_at(void *arg, const struct stream_cache_package *p, struct err *e)
{
	struct wanted *w = arg;

	(void)e;
	if (!pkg_digest_equal(w->root, &p->root))
		return 0;
	assert_string_equal(p->name, w->root == &red.root ? "red" : "blue");
	assert_string_equal(p->version, "1.0");
	w->found = *p;
	w->is_found = true;
	return 0;
}

static struct stream_cache_package state_of(const struct sample *s)
{
	struct wanted w = { .root = &s->root };
	struct err e;

	if (stream_cache_packages(cache, look_at, &w, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(w.is_found);
	assert_true(w.found.is_known);
	assert_true(w.found.bytes >= (uint64_t)FILES * FILE_SIZE);
	return w.found;
}

static uint64_t bytes_kept(void)
{
	struct stream_cache_status s;
	struct err e;

	assert_int_equal(stream_cache_status(cache, &s, &e), 0);
	return s.bytes;
}

static void gc(uint64_t keep)
{
	uint64_t freed;
	struct err e;

	if (stream_cache_gc(cache, keep, &freed, &e) < 0)
		fail_msg("%s", e.msg);
}

/* A process that uses a package until it is killed. */
static pid_t use_elsewhere(const struct sample *s)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct stream_cache *c;
		struct err e;

		if (stream_cache_open(dir, &c, &e) < 0 || stream_cache_hold(c, &s->root, &e) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void kill_it(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_status(void **state)
{
	struct stream_cache_package p;
	pid_t pid;

	(void)state;
	fill(&red);
	p = state_of(&red);
	assert_int_equal(p.present_bytes, p.bytes);
	assert_false(p.is_pinned || p.is_used);
	assert_true(p.used_s > 0);
	pid = use_elsewhere(&red);
	assert_true(state_of(&red).is_used);
	kill_it(pid);
	assert_false(state_of(&red).is_used);
	gc(p.bytes / 2);
	p = state_of(&red);
	assert_true(p.present_bytes && p.present_bytes <= p.bytes / 2);
}

static void test_resolve(void **state)
{
	char hex[PKG_DIGEST_HEX];
	struct pkg_digest root;
	char *source = NULL;
	struct err e;

	(void)state;
	fill(&red);
	fill(&blue);
	assert_int_equal(stream_cache_resolve(cache, "red", false, &root, &source, &e), 0);
	assert_true(pkg_digest_equal(&root, &red.root));
	assert_string_equal(source, fault_server_url(red.server));
	free(source);
	assert_int_equal(stream_cache_resolve(cache, "blue@1.0", false, &root, NULL, &e), 0);
	assert_true(pkg_digest_equal(&root, &blue.root));
	pkg_digest_hex(&red.root, hex);
	hex[12] = 0;
	assert_int_equal(stream_cache_resolve(cache, hex, false, &root, NULL, &e), 0);
	assert_true(pkg_digest_equal(&root, &red.root));
	hex[7] = 0;
	assert_int_equal(stream_cache_resolve(cache, hex, false, &root, NULL, &e), -1);
	assert_int_equal(stream_cache_resolve(cache, "red@2", false, &root, NULL, &e), -1);
	assert_int_equal(stream_cache_resolve(cache, "re", false, &root, NULL, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(stream_cache_resolve(cache, "red", true, &root, NULL, &e), -1);
}

/* ---- what stays ------------------------------------------------------------------------- */

static void test_pins(void **state)
{
	struct pkg_digest nobody = { { 1 } };
	struct err e;

	(void)state;
	assert_int_equal(stream_cache_pin(cache, &nobody, true, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	fill(&red);
	fill(&blue);
	assert_int_equal(stream_cache_pin(cache, &red.root, true, &e), 0);
	stream_cache_close(cache);
	open_cache();
	assert_true(state_of(&red).is_pinned);
	gc(0);
	assert_int_equal(state_of(&red).present_bytes, state_of(&red).bytes);
	assert_int_equal(state_of(&blue).present_bytes, 0);
	read_all(cache, &red, true);
	assert_int_equal(stream_cache_pin(cache, &red.root, false, &e), 0);
	gc(0);
	assert_int_equal(bytes_kept(), 0);
}

static void test_in_use(void **state)
{
	pid_t first, second;

	(void)state;
	fill(&red);
	fill(&blue);
	first = use_elsewhere(&red);
	second = use_elsewhere(&red);
	gc(0);
	assert_int_equal(state_of(&blue).present_bytes, 0);
	assert_int_equal(state_of(&red).present_bytes, state_of(&red).bytes);
	kill_it(first);
	gc(0);
	assert_int_equal(state_of(&red).present_bytes, state_of(&red).bytes);
	kill_it(second);
	gc(0);
	assert_int_equal(bytes_kept(), 0);
}

/* ---- quota ------------------------------------------------------------------------------ */

static void test_quota(void **state)
{
	uint64_t quota = 2 * FILES * FILE_SIZE * UINT64_C(3) / 4; /* one and a half packages */

	(void)state;
	stream_cache_limit(cache, quota);
	fill(&red);
	assert_int_equal(state_of(&red).present_bytes, state_of(&red).bytes);
	(void)sleep(1); /* "last used" is in seconds */
	fill(&blue);
	assert_true(bytes_kept() <= quota);
	/* What came last is there, what was older made room. */
	assert_int_equal(state_of(&blue).present_bytes, state_of(&blue).bytes);
	assert_true(state_of(&red).present_bytes < state_of(&red).bytes);
	read_all(cache, &red, false);
	assert_true(bytes_kept() <= quota);
}

/* A batch that begins shortly before the quota is reached counts, too, before it is published. */
static void test_quota_of_batches(void **state)
{
	const uint64_t quota = UINT64_C(2) * FILES * FILE_SIZE * 3 / 4;
	struct err e;

	(void)state;
	stream_cache_limit(cache, quota);
	for (unsigned phase = 1; phase < FILES; phase++) {
		struct stream_package *p[] = { open_sample(cache, &red, false),
					       open_sample(cache, &blue, false) };

		for (unsigned i = 0; i < 2 * FILES; i++) {
			read_file(p[i / FILES], i < FILES ? &red : &blue, i % FILES);
			if (i % phase && i != 2 * FILES - 1)
				continue;
			assert_int_equal(stream_cache_sync(cache, &e), 0);
			if (bytes_kept() > quota)
				fail_msg("phase %u, file %u: %llu bytes, %llu allowed", phase, i,
					 (unsigned long long)bytes_kept(), (unsigned long long)quota);
		}
		stream_package_close(p[0]);
		stream_package_close(p[1]);
	}
}

static void test_quota_taken_by_pins(void **state)
{
	struct err e;

	(void)state;
	fill(&red);
	assert_int_equal(stream_cache_pin(cache, &red.root, true, &e), 0);
	stream_cache_limit(cache, bytes_kept() + 1000);
	read_all(cache, &blue, false);
	assert_int_equal(stream_cache_sync(cache, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_non_null(strstr(e.msg, "quota"));
	assert_int_equal(state_of(&red).present_bytes, state_of(&red).bytes);
}

/* Slow but right, in use or not; 3 MB through caches from one byte to a few chunks. */
static void test_tiny_caches(void **state)
{
	static const uint64_t quotas[] = { 1, 5000, 70000, 300000, 1000000 };

	for (size_t i = 0; i < sizeof(quotas) / sizeof(quotas[0]); i++) {
		for (int holds = 0; holds < 2; holds++) {
			struct stream_package *p;
			struct err e;

			stream_cache_limit(cache, quotas[i]);
			p = open_sample(cache, &red, false);
			if (holds)
				assert_int_equal(stream_cache_hold(cache, &red.root, &e), 0);
			for (unsigned k = 0; k < 2 * FILES; k++)
				read_file(p, &red, k * 7 % FILES);
			stream_package_close(p);
			(void)!stream_cache_sync(cache, &e);
			assert_true(bytes_kept() <= quotas[i]);
			assert_int_equal(end(state), 0);
			assert_int_equal(begin(state), 0);
		}
	}
}

/* ---- shared stores ---------------------------------------------------------------------- */

static void export_to(const char *to, const struct sample *s)
{
	struct stream_cache_export report;
	struct err e;

	if (stream_cache_export(cache, to, s ? &s->root : NULL, s ? 1 : 0, NULL, &report, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(report.lacking, 0);
}

/* An empty cache of another user's. */
static void another_user(void)
{
	stream_cache_close(cache);
	(void)snprintf(dir, sizeof(dir), "%s/cache%d", top, number++);
	open_cache();
}

static void share(void)
{
	struct err e;

	if (stream_cache_share(cache, store, &e) < 0)
		fail_msg("%s", e.msg);
}

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void test_shared(void **state)
{
	struct fault_counts counts;
	struct stream_cache_package p;
	unsigned before;

	(void)state;
	fill(&red);
	export_to(store, NULL);
	another_user();
	before = entries(store);
	share();
	fault_server_reset_counts(red.server);
	read_all(cache, &red, true);
	fault_server_counts(red.server, &counts);
	assert_int_equal(counts.requests, 0);
	p = state_of(&red);
	assert_int_equal(p.present_bytes, 0);
	assert_int_equal(p.shared_bytes, p.bytes);
	assert_int_equal(bytes_kept(), 0);
	assert_int_equal(entries(store), before); /* no locks, no companion files */
	/* What the store lacks comes from the network into the user's own cache. */
	fill(&blue);
	assert_int_equal(state_of(&blue).present_bytes, state_of(&blue).bytes);
}

static void test_shared_grows(void **state)
{
	struct stream_package *p;

	(void)state;
	fill(&red);
	fill(&blue);
	export_to(store, &red);
	another_user();
	share();
	p = open_sample(cache, &red, true);
	read_file(p, &red, 0);
	{
		struct stream_cache *mine = cache;

		(void)snprintf(dir, sizeof(dir), "%s/cache%d", top, number - 2);
		open_cache();
		export_to(store, &blue);
		stream_cache_close(cache);
		cache = mine;
	}
	for (unsigned i = 0; i < FILES; i++) /* the reader of the old one goes on */
		read_file(p, &red, i);
	stream_package_close(p);
	another_user();
	share();
	read_all(cache, &red, true);
	read_all(cache, &blue, true);
}

static void test_shared_damaged(void **state)
{
	struct stream_cache_status s;
	struct fault_counts counts;
	char path[96], junk[20000];
	struct stat st;
	struct err e;

	(void)state;
	fill(&red);
	export_to(store, NULL);
	(void)snprintf(path, sizeof(path), "%s/chunks.dat", store);
	memset(junk, 'x', sizeof(junk));
	{
		auto_fd int fd = open(path, O_RDWR);

		assert_int_equal(fd_pwrite_all(fd, junk, sizeof(junk), 500000, &e), 0);
	}
	another_user();
	share();
	fault_server_reset_counts(red.server);
	fill(&red);
	fault_server_counts(red.server, &counts);
	assert_true(counts.requests > 0);
	assert_true(bytes_kept() > 0 && bytes_kept() < (uint64_t)FILES * FILE_SIZE / 2);
	/* Now all is here: in the store, or in the own cache where the store is wrong. */
	read_all(cache, &red, true);

	/* Less and less of a store. */
	assert_int_equal(truncate(path, 0), 0);
	another_user();
	share();
	read_all(cache, &red, false);
	(void)snprintf(path, sizeof(path), "%s/cache.db", store);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size / 2), 0);
	another_user();
	(void)!stream_cache_share(cache, store, &e);
	read_all(cache, &red, false);
	assert_int_equal(unlink(path), 0);
	another_user();
	assert_int_equal(stream_cache_share(cache, store, &e), -1);
	read_all(cache, &red, false);
	assert_int_equal(stream_cache_status(cache, &s, &e), 0);
	assert_null(s.shared);
	assert_int_equal(access(path, F_OK), -1); /* and nothing was made there */
}

static void test_export_refuses_a_cache(void **state)
{
	struct stream_cache_export report;
	struct err e;

	(void)state;
	fill(&red);
	assert_int_equal(stream_cache_export(cache, dir, NULL, 0, NULL, &report, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	read_all(cache, &red, true);
}

/* ---- other floes ------------------------------------------------------------------------ */

static void change_database(const char *sql)
{
	char path[96];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/cache.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	(void)sqlite3_close(db);
}

static void test_newer_floe(void **state)
{
	struct stream_cache *second;
	struct err e;

	(void)state;
	fill(&red);
	change_database("PRAGMA user_version=99; ALTER TABLE version ADD COLUMN shape TEXT;");
	/* Who has it open goes on. */
	fill(&blue);
	assert_int_equal(stream_cache_open(dir, &second, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.msg, "newer floe"));
	/* Left alone means: the newer one finds everything. */
	change_database("PRAGMA user_version=2");
	stream_cache_close(cache);
	open_cache();
	read_all(cache, &red, true);
	read_all(cache, &blue, true);
}

static void test_older_floe(void **state)
{
	(void)state;
	fill(&red);
	stream_cache_close(cache);
	change_database(
		"ALTER TABLE version DROP COLUMN source; ALTER TABLE version DROP COLUMN header;"
		"ALTER TABLE version DROP COLUMN index_digest; ALTER TABLE version DROP COLUMN pinned;"
		"PRAGMA user_version=1");
	open_cache();
	read_all(cache, &red, true);
	gc(0);
	fill(&red);
	assert_int_equal(bytes_kept() > 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, begin, end),
		cmocka_unit_test_setup_teardown(test_resolve, begin, end),
		cmocka_unit_test_setup_teardown(test_pins, begin, end),
		cmocka_unit_test_setup_teardown(test_in_use, begin, end),
		cmocka_unit_test_setup_teardown(test_quota, begin, end),
		cmocka_unit_test_setup_teardown(test_quota_of_batches, begin, end),
		cmocka_unit_test_setup_teardown(test_quota_taken_by_pins, begin, end),
		cmocka_unit_test_setup_teardown(test_tiny_caches, begin, end),
		cmocka_unit_test_setup_teardown(test_shared, begin, end),
		cmocka_unit_test_setup_teardown(test_shared_grows, begin, end),
		cmocka_unit_test_setup_teardown(test_shared_damaged, begin, end),
		cmocka_unit_test_setup_teardown(test_export_refuses_a_cache, begin, end),
		cmocka_unit_test_setup_teardown(test_newer_floe, begin, end),
		cmocka_unit_test_setup_teardown(test_older_floe, begin, end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
