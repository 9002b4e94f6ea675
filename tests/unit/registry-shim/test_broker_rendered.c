/* SPDX-License-Identifier: Apache-2.0 */
/* Declared files as ordinary files, between a broker and a program that knows nothing of it. One directory is
 * the upper and the mounted tree at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/broker.h"

static struct broker *b;
static char top[64], db[100], run_dir[100], tree[100], file[100], lying[400];

static struct err e;

static void open_broker(void)
{
	static const char packed[] = "f\0s/a\0one\0f\0s/b\0two";
	const struct broker_declaration declared = { file, "ini", "", "f" };
	const struct broker_setup setup = { .declared = &declared,
					    .count = 1,
					    .package_name = "app",
					    .package = "app 1",
					    .defaults = packed,
					    .defaults_len = sizeof(packed) };

	assert_int_equal(broker_open(db, run_dir, &b, &e), 0);
	assert_int_equal(broker_render(b, tree, NULL, false, &e), 0);
	assert_int_equal(broker_configure(b, &setup, &e), 0);
}

static void mount_tree(void)
{
	if (broker_render(b, NULL, tree, true, &e) < 0)
		fail_msg("%s", e.msg);
}

static int setup_rendered(void **state)
{
	char floe[200], run[300];

	(void)state;
	strcpy(top, "/tmp/floe-rendered-XXXXXX");
	assert_non_null(mkdtemp(top));
	sprintf(db, "%s/registry.db", top);
	sprintf(run_dir, "%s/run", top);
	sprintf(tree, "%s/tree", top);
	strcpy(file, "/home/u/.config/app.ini");
	sprintf(lying, "%s%s", tree, file);
	sprintf(floe, "%s/.floe", tree);
	sprintf(run, "%s/run", floe);
	assert_int_equal(mkdir(run_dir, 0700) | path_make_dirs(floe, 0700, &e) | symlink(run_dir, run), 0);
	open_broker();
	return 0;
}

static int teardown_rendered(void **state)
{
	(void)state;
	broker_close(b);
	return path_remove_tree(AT_FDCWD, top, &e);
}

static void assert_key(const char *key, const char *value)
{
	struct reg_hive *h = NULL;
	enum reg_layer layer;
	char *got = NULL;

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	if (reg_hive_get(h, "f", key, &got, &layer, &e) < 0 && value)
		fail_msg("%s", e.msg);
	if (value)
		assert_string_equal(got, value);
	else
		assert_null(got);
	free(got);
	reg_hive_close(h);
}

static void write_lying(const char *text)
{
	assert_int_equal(fd_write_file(AT_FDCWD, lying, text, strlen(text), 0644, &e), 0);
}

static void assert_lying(const char *text)
{
	struct buf now = BUF_INIT(4096);

	if (!text) {
		assert_true(access(lying, F_OK) < 0);
		return;
	}
	if (fd_read_file(AT_FDCWD, lying, &now, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(buf_text(&now, &e), text);
	buf_fini(&now);
}

static size_t collect(bool is_idle)
{
	struct reg_saved saved = { .changed = 99 };

	if (broker_harvest(b, is_idle, &saved, &e) < 0)
		fail_msg("%s", e.msg);
	return saved.changed;
}

/* A request to the broker: about a file of that name in view/ with that text, where these are given. */
static void ask(const char *type, const char *name, const char *text)
{
	struct wire_out m = WIRE_OUT_INIT, reply = WIRE_OUT_INIT;
	struct wire_in in = WIRE_IN_INIT;

	assert_int_equal(wire_put_str(&m, "type", type, &e), 0);
	if (name)
		assert_int_equal(wire_put_str(&m, "name", name, &e), 0);
	assert_int_equal(wire_parse(m.buf.data, m.buf.len, &in, &e), 0);
	if (text) {
		in.fds[in.nfds++] = memfd_create("text", MFD_CLOEXEC);
		assert_int_equal(write(in.fds[0], text, strlen(text)), strlen(text));
	}
	assert_int_equal(broker_answer(b, 0, &in, &reply, &e), 0);
	wire_in_fini(&in);
	wire_out_fini(&m);
	wire_out_fini(&reply);
}

/* What `floe registry set` does, and with `lock` `floe registry lock`. */
static void change_key(const char *key, const char *value, bool lock)
{
	const struct reg_change c = { key, value };
	struct reg_hive *h = NULL;
	size_t n;

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	if (lock)
		assert_int_equal(reg_hive_lock(h, "f", key, value, &e), 0);
	else
		assert_int_equal(reg_hive_apply(h, "f", &c, 1, &n, &e), 0);
	reg_hive_close(h);
	if (b)
		ask("refresh", NULL, NULL);
}

static void set_key(const char *key, const char *value)
{
	change_key(key, value, false);
}

static void restart(bool is_run_lost)
{
	broker_close(b);
	b = NULL;
	if (is_run_lost) {
		assert_int_equal(path_remove_tree(AT_FDCWD, run_dir, &e), 0);
		assert_int_equal(mkdir(run_dir, 0700), 0);
	}
}

static void test_saves_and_removes(void **state)
{
	(void)state;
	assert_lying(NULL);
	mount_tree();
	assert_lying("[s]\na=one\nb=two\n");
	assert_int_equal(collect(true), 0);
	write_lying("[s]\na=one\nb=new\n");
	assert_int_equal(collect(false), 1);
	assert_key("s/b", "new");
	set_key("s/a", "set");
	assert_lying("[s]\na=set\nb=new\n");
	assert_int_equal(unlink(lying), 0);
	assert_int_equal(collect(true), 2);
	assert_key("s/a", NULL);
	assert_lying(NULL);
	set_key("s/a", "back");
	assert_lying("[s]\na=back\n");
}

/* A change that nobody has collected yet is not overwritten, and counted from what its author was shown. */
static void test_at_the_same_time(void **state)
{
	(void)state;
	mount_tree();
	write_lying("[s]\na=one\nb=mine\n");
	set_key("s/a", "set");
	assert_lying("[s]\na=one\nb=mine\n");
	assert_int_equal(collect(true), 1);
	assert_key("s/a", "set");
	assert_key("s/b", "mine");
	assert_lying("[s]\na=set\nb=mine\n");
}

static ino_t lying_ino(void)
{
	struct stat st;

	assert_int_equal(stat(lying, &st), 0);
	return st.st_ino;
}

/* A program that saves through the shim and watches the directory learns that a lock has put its text back.
 */
static void test_overruled(void **state)
{
	struct buf paths = BUF_INIT(4096);
	ino_t before;
	char *name;

	(void)state;
	mount_tree();
	assert_int_equal(fd_read_file(broker_run_fd(b), "paths", &paths, &e), 0);
	name = strchr(buf_text(&paths, &e), '\t') + 1;
	name[strcspn(name, "\t\n")] = 0;
	change_key("s/b", "locked", true);
	before = lying_ino();
	ask("replace", name, "[s]\na=one\nb=other\n");
	assert_lying("[s]\na=one\nb=locked\n");
	assert_true(lying_ino() != before);
	before = lying_ino();
	ask("replace", name, "{ no INI }\n");
	assert_lying("[s]\na=one\nb=locked\n");
	assert_true(lying_ino() != before);
	before = lying_ino();
	ask("replace", name, "[s]\na=one\nb=locked\n");
	assert_true(lying_ino() == before);
	buf_fini(&paths);
}

static void test_interrupted(void **state)
{
	(void)state;
	mount_tree();
	write_lying("");
	assert_int_equal(collect(false), 0);
	assert_lying(""); /* somebody may be about to write it */
	assert_int_equal(collect(true), 0);
	assert_lying("[s]\na=one\nb=two\n");
}

/* A text that is as it was put there is nobody's wish, whatever has become of the settings meanwhile; one
 * that is not, is. */
static void test_restarts(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		mount_tree();
		restart(lost != 0);
		set_key("s/a", "set");
		open_broker();
		mount_tree();
		assert_lying("[s]\na=set\nb=two\n");
		/* Replaced by a program, and taken: no more its wish than what we put there. */
		assert_int_equal(unlink(lying), 0);
		write_lying("[s]\na=set\nb=taken\n");
		assert_int_equal(collect(true), 1);
		restart(lost != 0);
		set_key("s/b", "set, too");
		open_broker();
		mount_tree();
		assert_lying("[s]\na=set\nb=set, too\n");
		restart(lost != 0);
		write_lying("[s]\na=set\nb=written\n");
		open_broker();
		assert_key("s/b", "written");
		mount_tree();
		set_key("s/a", "one");
		set_key("s/b", "two");
	}
}

/* What was there before the file was declared is its user's. */
static void test_adopted(void **state)
{
	char dir[300];

	(void)state;
	restart(true);
	assert_int_equal(unlink(db), 0);
	sprintf(dir, "%s/home/u/.config", tree);
	assert_int_equal(path_make_dirs(dir, 0700, &e), 0);
	write_lying("[s]\nb=old friend\n");
	open_broker();
	assert_key("s/b", "old friend");
}

/* Links, directories and FIFOs in the place, links on the way, a tree that is not mounted. */
static void test_odd_places(void **state)
{
	char dir[300], elsewhere[300], command[2000];

	(void)state;
	sprintf(dir, "%s/home/u", tree);
	sprintf(elsewhere, "%s/outside", top);
	assert_int_equal(path_make_dirs(dir, 0700, &e), 0);
	/* A link that leaves the tree leads to its own root. */
	sprintf(command, "mkdir '%s'; ln -s '%s' '%s/.config'", elsewhere, elsewhere, dir);
	assert_int_equal(system(command), 0);
	mount_tree();
	sprintf(command, "test -z \"$(ls -A '%s')\"", elsewhere);
	assert_int_equal(system(command), 0);
	sprintf(command, "rm '%s/.config'; mkdir '%s/real'; ln -s real '%s/.config'", dir, dir, dir);
	assert_int_equal(system(command), 0);
	set_key("s/a", "by a link");
	assert_lying("[s]\na=by a link\nb=two\n");
	write_lying("[s]\na=by a link\nb=saved\n");
	assert_int_equal(collect(true), 1);
	for (int i = 0; i < 3; i++) {
		static const char *const make[] = { "ln -s /etc/passwd", "mkdir", "mkfifo" };

		sprintf(command, "rm -rf '%s'; %s '%s'", lying, make[i], lying);
		assert_int_equal(system(command), 0);
		assert_int_equal(collect(true), 0);
		assert_key("s/b", "saved");
	}
	sprintf(command, "rm -rf '%s/home' '%s/.floe'", tree, tree);
	assert_int_equal(system(command), 0);
	set_key("s/a", "unmounted");
	assert_lying(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_saves_and_removes, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_at_the_same_time, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_overruled, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_interrupted, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_restarts, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_adopted, setup_rendered, teardown_rendered),
		cmocka_unit_test_setup_teardown(test_odd_places, setup_rendered, teardown_rendered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
