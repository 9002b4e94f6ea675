/* SPDX-License-Identifier: Apache-2.0 */
/* The hive: layers, tombstones, texts, damaged files, and SIGKILL between any two steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/hive_text.h"

static char dir[64];
static char db[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/floe-hive-XXXXXX");
	assert_non_null(mkdtemp(dir));
	sprintf(db, "%s/registry.db", dir);
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	return path_remove_tree(AT_FDCWD, dir, &e);
}

static struct reg_hive *open_hive(void)
{
	struct reg_hive *h = NULL;
	struct err e;

	if (reg_hive_open(db, &h, &e) < 0)
		fail_msg("%s", e.msg);
	return h;
}

static size_t apply(struct reg_hive *h, const char *key, const char *value)
{
	struct reg_change c = { key, value };
	size_t changed = 99;
	struct err e;

	if (reg_hive_apply(h, "f", &c, 1, &changed, &e) < 0)
		fail_msg("%s", e.msg);
	return changed;
}

static void set_default(struct reg_hive *h, const char *key, const char *value)
{
	struct reg_layer_value v = { key, value, "" };
	struct err e;

	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, &v, 1, &e), 0);
}

/* value NULL = not there */
static void assert_setting(struct reg_hive *h, const char *key, const char *value, enum reg_layer layer)
{
	enum reg_layer got_layer = 9;
	char *got = NULL;
	struct err e;

	if (reg_hive_get(h, "f", key, &got, &got_layer, &e) < 0) {
		assert_int_equal(e.code, ERR_NOTFOUND);
		assert_null(value);
		return;
	}
	assert_non_null(value);
	assert_string_equal(got, value);
	assert_int_equal(got_layer, layer);
	free(got);
}

static int count_one(void *arg, const struct reg_setting *s, struct err *e)
{
	(void)s;
	(void)e;
	(*(int *)arg)++;
	return 0;
}

static int count(struct reg_hive *h, enum reg_each which)
{
	struct err e;
	int n = 0;

	assert_int_equal(reg_hive_each(h, NULL, which, count_one, &n, &e), 0);
	return n;
}

static void test_layers(void **state)
{
	struct reg_hive *h = open_hive();

	(void)state;
	set_default(h, "a/x", "1");
	assert_setting(h, "a/x", "1", REG_PACKAGE);
	assert_int_equal(apply(h, "a/x", "2"), 1);
	assert_int_equal(apply(h, "a/x", "2"), 0);
	assert_setting(h, "a/x", "2", REG_USER);
	/* Back to the default's value is back to the default, which may move then. */
	assert_int_equal(apply(h, "a/x", "1"), 1);
	assert_setting(h, "a/x", "1", REG_PACKAGE);
	assert_int_equal(count(h, REG_EACH_CHANGED), 0);
	set_default(h, "a/x", "10");
	assert_setting(h, "a/x", "10", REG_PACKAGE);
	/* Deleting leaves a tombstone, that outlives a new default. */
	assert_int_equal(apply(h, "a/x", NULL), 1);
	assert_setting(h, "a/x", NULL, 0);
	assert_int_equal(count(h, REG_EACH_CHANGED), 1);
	set_default(h, "a/x", "11");
	assert_setting(h, "a/x", NULL, 0);
	/* Deleting what only the user has leaves nothing. */
	assert_int_equal(apply(h, "b/y", "1"), 1);
	assert_int_equal(apply(h, "b/y", NULL), 1);
	assert_int_equal(apply(h, "b/y", NULL), 0);
	assert_int_equal(count(h, REG_EACH_CHANGED), 1);
	reg_hive_close(h);
	h = open_hive();
	assert_setting(h, "a/x", NULL, 0);
	reg_hive_close(h);
}

static void test_upgrade(void **state)
{
	struct reg_layer_value one[] = { { "s/A", "1", "" }, { "s/B", "2", "" } };
	struct reg_layer_value two[] = { { "s/A", "10", "" }, { "s/B", "20", "" }, { "s/C", "30", "" } };
	struct reg_hive *h = open_hive();
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, one, 2, &e), 0);
	apply(h, "s/B", "5");
	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, two, 3, &e), 0);
	assert_setting(h, "s/A", "10", REG_PACKAGE);
	assert_setting(h, "s/B", "5", REG_USER);
	assert_setting(h, "s/C", "30", REG_PACKAGE);
	assert_int_equal(reg_hive_set_layer(h, "f", REG_PACKAGE, one, 2, &e), 0);
	assert_setting(h, "s/A", "1", REG_PACKAGE);
	assert_setting(h, "s/B", "5", REG_USER);
	assert_setting(h, "s/C", NULL, 0);
	reg_hive_close(h);
}

static void assert_template(struct reg_hive *h, const char *text, enum reg_text_kind kind)
{
	enum reg_text_kind got_kind;
	char *got = NULL;
	size_t len;
	struct err e;

	assert_int_equal(reg_hive_template(h, "f", &got, &len, &got_kind, &e), 0);
	assert_string_equal(got, text);
	assert_int_equal(len, strlen(text));
	assert_int_equal(got_kind, kind);
	free(got);
}

static void test_templates(void **state)
{
	struct reg_save removed = { .kind = REG_TEXT_REMOVED };
	struct reg_save mine = { .kind = REG_TEXT_KEYS, .text = "mine", .len = 4 };
	struct reg_save opaque = { .kind = REG_TEXT_OPAQUE, .text = "o", .len = 1 };
	struct reg_hive *h = open_hive();
	enum reg_text_kind kind;
	struct reg_saved saved;
	char *got;
	size_t n;
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_template(h, "f", &got, &n, &kind, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_int_equal(reg_hive_set_default_text(h, "f", "v1", 2, REG_TEXT_KEYS, &e), 0);
	assert_template(h, "v1", REG_TEXT_KEYS);
	assert_int_equal(reg_hive_save(h, "f", &mine, &saved, &e), 0);
	assert_template(h, "mine", REG_TEXT_KEYS);
	assert_int_equal(reg_hive_set_default_text(h, "f", "v2", 2, REG_TEXT_KEYS, &e), 0);
	assert_template(h, "v2", REG_TEXT_KEYS); /* the new version's comments */
	assert_int_equal(reg_hive_set_default_text(h, "f", "v1", 2, REG_TEXT_KEYS, &e), 0);
	assert_template(h, "mine", REG_TEXT_KEYS); /* rolled back */
	assert_int_equal(reg_hive_save(h, "f", &opaque, &saved, &e), 0);
	assert_int_equal(reg_hive_set_default_text(h, "f", "v2", 2, REG_TEXT_KEYS, &e), 0);
	assert_template(h, "o", REG_TEXT_OPAQUE);
	assert_int_equal(reg_hive_save(h, "f", &removed, &saved, &e), 0);
	assert_template(h, "v2", REG_TEXT_REMOVED);
	assert_int_equal(reg_hive_set_default_text(h, "f", NULL, 0, REG_TEXT_NONE, &e), 0);
	reg_hive_close(h);
}

static void test_awkward_bytes(void **state)
{
	struct reg_hive *h = open_hive();
	char *long_value = calloc(1, REG_VALUE_MAX + 2);
	struct reg_change c = { "a/x", long_value };
	size_t n;
	struct err e;

	(void)state;
	apply(h, "\xff/\xfe ' \" %", "\x80 \xc3\x28 ' ; DROP TABLE setting");
	assert_setting(h, "\xff/\xfe ' \" %", "\x80 \xc3\x28 ' ; DROP TABLE setting", REG_USER);
	memset(long_value, 'v', REG_VALUE_MAX);
	assert_int_equal(reg_hive_apply(h, "f", &c, 1, &n, &e), 0);
	long_value[REG_VALUE_MAX] = 'v';
	assert_int_equal(reg_hive_apply(h, "f", &c, 1, &n, &e), -1);
	assert_int_equal(e.code, ERR_LIMIT);
	assert_int_equal(reg_hive_apply(h, "with:colon", &c, 1, &n, &e), -1);
	free(long_value);
	reg_hive_close(h);
}

/* One bad change of several: none is made. */
static void test_transaction(void **state)
{
	struct reg_change c[] = { { "a/x", "1" }, { "", "2" } };
	struct reg_hive *h = open_hive();
	size_t n = 7;
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_apply(h, "f", c, 2, &n, &e), -1);
	assert_int_equal(n, 7);
	assert_setting(h, "a/x", NULL, 0);
	assert_int_equal(apply(h, "a/x", "1"), 1);
	reg_hive_close(h);
}

/* What is set lazily is there at once for everybody, and what comes later counts. */
static void test_lazy(void **state)
{
	struct reg_hive *a = open_hive(), *b = open_hive();
	struct err e;

	(void)state;
	assert_int_equal(reg_hive_set_lazy(a, true, &e), 0);
	set_default(a, "k/1", "default");
	assert_setting(b, "k/1", "default", REG_PACKAGE);
	assert_int_equal(reg_hive_set_lazy(a, false, &e), 0);
	apply(a, "k/1", "mine");
	reg_hive_close(a);
	assert_setting(b, "k/1", "mine", REG_USER);
	reg_hive_close(b);
	a = open_hive();
	assert_setting(a, "k/1", "mine", REG_USER);
	reg_hive_close(a);
}

static void test_two_openers(void **state)
{
	struct reg_hive *a = open_hive(), *b = open_hive();

	(void)state;
	apply(a, "k/1", "a");
	apply(b, "k/2", "b");
	assert_setting(a, "k/2", "b", REG_USER);
	assert_setting(b, "k/1", "a", REG_USER);
	reg_hive_close(a);
	reg_hive_close(b);
}

static void test_damaged(void **state)
{
	struct reg_hive *h = NULL;
	char noise[8192];
	struct err e;
	int fd;

	(void)state;
	memset(noise, 'x', sizeof(noise));
	fd = open(db, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, noise, sizeof(noise)), (ssize_t)sizeof(noise));
	close(fd);
	assert_int_equal(reg_hive_open(db, &h, &e), -1);
	assert_int_equal(e.code, ERR_FORMAT);
	assert_non_null(strstr(e.msg, "damaged"));
	assert_null(h);
	assert_int_equal(reg_hive_open("/nowhere/registry.db", &h, &e), -1);
}

/* Every page of a real hive damaged in turn: an error or an answer, nothing else. */
static void test_damaged_pages(void **state)
{
	struct buf whole = BUF_INIT(1024 * 1024);
	struct reg_hive *h = open_hive();
	struct err e;

	(void)state;
	for (int i = 0; i < 500; i++) {
		char key[32];

		sprintf(key, "s/%d", i);
		apply(h, key, "a value of some length to fill pages with");
	}
	reg_hive_close(h);
	assert_int_equal(fd_read_file(AT_FDCWD, db, &whole, &e), 0);
	for (size_t off = 0; off < whole.len; off += 1500) {
		struct reg_change c = { "s/1", "new" };
		uint8_t was = whole.data[off];
		enum reg_layer layer;
		char *v = NULL;
		size_t n;
		int found = 0;

		whole.data[off] ^= 0xff;
		assert_int_equal(fd_write_file(AT_FDCWD, db, whole.data, whole.len, 0600, &e), 0);
		whole.data[off] = was;
		h = NULL;
		if (reg_hive_open(db, &h, &e) < 0)
			continue;
		if (reg_hive_get(h, "f", "s/1", &v, &layer, &e) == 0)
			free(v);
		(void)!reg_hive_each(h, NULL, REG_EACH_EFFECTIVE, count_one, &found, &e);
		(void)!reg_hive_apply(h, "f", &c, 1, &n, &e);
		reg_hive_close(h);
	}
	buf_fini(&whole);
}

/* Writes two keys and a text that always agree, and says which are surely on disk. */
static void write_forever(int out)
{
	struct reg_hive *h = open_hive();

	for (uint32_t i = 1;; i++) {
		char v[32], text[80];
		struct reg_change c[] = { { "s/one", v }, { "s/two", v } };
		struct reg_save save = { c, 2, text, 0, REG_TEXT_KEYS };
		struct reg_saved n;
		struct err e;

		sprintf(v, "%u", i);
		save.len = (size_t)sprintf(text, "[s]\none=%u\ntwo=%u\n", i, i);
		if (reg_hive_save(h, "f", &save, &n, &e) < 0 || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static void test_kill(void **state)
{
	(void)state;
	for (int round = 0; round < 25; round++) {
		enum reg_text_kind kind;
		enum reg_layer layer;
		char *one = NULL, *two = NULL, *text = NULL, want[80];
		uint32_t last = 0, got;
		struct reg_hive *h;
		size_t len;
		struct err e;
		int fds[2];
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (child == 0) {
			close(fds[0]);
			write_forever(fds[1]);
		}
		close(fds[1]);
		usleep((useconds_t)(2000 + round * 1700));
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(fds[0], &got, sizeof(got)) == sizeof(got))
			last = got;
		close(fds[0]);
		h = open_hive();
		if (reg_hive_get(h, "f", "s/one", &one, &layer, &e) == 0) {
			assert_int_equal(reg_hive_get(h, "f", "s/two", &two, &layer, &e), 0);
			assert_string_equal(one, two);
			assert_true((uint32_t)atoi(one) >= last);
			assert_int_equal(reg_hive_template(h, "f", &text, &len, &kind, &e), 0);
			sprintf(want, "[s]\none=%s\ntwo=%s\n", one, one);
			assert_string_equal(text, want);
		} else {
			assert_int_equal(last, 0);
		}
		free(one);
		free(two);
		free(text);
		reg_hive_close(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lazy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_upgrade, setup, teardown),
		cmocka_unit_test_setup_teardown(test_templates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_awkward_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_openers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
