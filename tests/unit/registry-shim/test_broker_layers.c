/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker makes of package, host, policy and locks: the text that applications see, and what becomes
 * of what they write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "registry-shim/broker.h"
#include "registry-shim/broker_file.h"
#include "registry-shim/hive_declared.h"
#include "registry-shim/hive_history.h"
#include "registry-shim/lens.h"

static char top[64], db[100], run_dir[100], file[100], name[256];
static struct broker *b;
static struct broker_setup setup;
static const char packed[] = "f\0s/a\0one\0f\0s/b\0two";
static struct err e;

static int set_up(void **state)
{
	static struct broker_declaration declared;

	(void)state;
	strcpy(top, "/tmp/floe-layers-XXXXXX");
	assert_non_null(mkdtemp(top));
	sprintf(db, "%s/registry.db", top);
	sprintf(run_dir, "%s/run", top);
	sprintf(file, "%s/app.ini", top);
	declared = (struct broker_declaration){ file, "ini", "", "f" };
	setup = (struct broker_setup){ .declared = &declared,
				       .count = 1,
				       .package_name = "app",
				       .package = "app 1",
				       .defaults = packed,
				       .defaults_len = sizeof(packed) };
	assert_int_equal(path_make_dirs(run_dir, 0700, &e), 0);
	assert_int_equal(broker_open(db, run_dir, &b, &e), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	broker_close(b);
	return path_remove_tree(AT_FDCWD, top, &e);
}

static void configure(void)
{
	struct buf paths = BUF_INIT(4096);
	const char *text, *tab;

	if (broker_configure(b, &setup, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(fd_read_file(broker_run_fd(b), "paths", &paths, &e), 0);
	text = buf_text(&paths, &e);
	tab = strchr(text, '\t');
	snprintf(name, sizeof(name), "view/%.*s", (int)strcspn(tab + 1, "\t\n"), tab + 1);
	buf_fini(&paths);
}

/* want NULL = no file */
static void assert_view(const char *want)
{
	struct buf got = BUF_INIT(65536);
	int r = fd_read_file(broker_run_fd(b), name, &got, &e);

	if (!want) {
		assert_int_equal(r, -1);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(buf_text(&got, &e), want);
	buf_fini(&got);
}

/* What an application saves; returns how many keys were refused. */
static uint64_t save(const char *type, const char *text)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT, reply = WIRE_OUT_INIT;
	auto_wire_in struct wire_in m = WIRE_IN_INIT, answer = WIRE_IN_INIT;

	assert_int_equal(wire_put_str(&out, "type", type, &e), 0);
	assert_int_equal(wire_put_str(&out, "name", name + strlen("view/"), &e), 0);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &m, &e), 0);
	if (text) {
		m.fds[0] = memfd_create("text", MFD_CLOEXEC);
		m.nfds = 1;
		assert_int_equal(write(m.fds[0], text, strlen(text)), (ssize_t)strlen(text));
	}
	assert_int_equal(broker_answer(b, getpid(), &m, &reply, &e), 0);
	assert_int_equal(wire_parse(reply.buf.data, reply.buf.len, &answer, &e), 0);
	if (!wire_is(&answer, "type", "done"))
		fail_msg("%s", wire_error(&answer, &e) < 0 ? e.msg : "no answer");
	return wire_u64_or(&answer, "refused", 99);
}

static void write_host(const char *text)
{
	assert_int_equal(fd_write_file(AT_FDCWD, file, text, strlen(text), 0600, &e), 0);
}

static void test_merge_local(void **state)
{
	static const struct broker_local merge[] = { { "f", true } },
					 part[] = { { "f", true }, { "f:s/b", false } };

	(void)state;
	write_host("# mine\n[s]\nb=host\nc=host\n");
	configure();
	assert_view("[s]\na=one\nb=two\n"); /* the package brings something: hidden */
	setup.local = merge;
	setup.local_count = 1;
	configure();
	assert_view("# mine\n[s]\nb=host\nc=host\na=one\n");
	setup.local = part;
	setup.local_count = 2;
	configure();
	assert_view("[s]\na=one\nb=two\nc=host\n");
	/* What the environment changed is above it. */
	assert_int_equal(save("replace", "[s]\na=one\nb=two\nc=mine\n"), 0);
	write_host("[s]\nb=again\nc=again\n");
	configure();
	assert_view("[s]\na=one\nb=two\nc=mine\n");
	/* "f" is no beginning of the name "ff". */
	setup.local = (const struct broker_local[]){ { "ff", true }, { "f:", false }, { "f:s", true } };
	setup.local_count = 3;
	assert_int_equal(save("remove", NULL), 0);
	configure();
	assert_view(NULL);
}

/* One key at the top, also as earlier versions spelled it, in a rule and in a package. */
static void test_top(void **state)
{
	static const char old[] = "f\0/top\0one\0f\0/a/b\0two";

	(void)state;
	setup.defaults = old;
	setup.defaults_len = sizeof(old);
	write_host("top=host\na/b=host\n");
	configure();
	assert_view("a/b=two\ntop=one\n");
	for (int i = 0; i < 2; i++) {
		setup.local =
			(const struct broker_local[]){ { "f", false }, { i ? "f:/top" : "f:top", true } };
		setup.local_count = 2;
		configure();
		assert_view("a/b=two\ntop=host\n");
	}
}

/* A text that nobody parses is the host's as a whole, or not at all. */
static void test_local_text(void **state)
{
	(void)state;
	setup.defaults_len = 0;
	write_host("<xml>\n");
	configure();
	assert_view("<xml>\n");
	setup.local = (const struct broker_local[]){ { "f", false } };
	setup.local_count = 1;
	configure();
	assert_view(NULL);
}

static int find_note(void *arg, const struct reg_declared *d, struct err *err)
{
	(void)err;
	assert_string_equal(d->file, "f");
	snprintf(arg, 256, "%s: %s", d->lens, d->note);
	return 0;
}

static void assert_note(const char *want)
{
	struct reg_hive *h = NULL;
	char got[256] = "";

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	assert_int_equal(reg_hive_each_declared(h, find_note, got, &e), 0);
	reg_hive_close(h);
	assert_string_equal(got, want);
}

/* What `floe registry` says of files whose settings do not count. */
static void test_notes(void **state)
{
	static const char refused[] =
		"ini: the host's own file does not count: line 2: neither a section, a setting nor a comment";
	auto_free char *vendor = mem_printf(&e, "%s/vendor.ini", top);
	struct broker_declaration declared = { file, "ini", vendor, "f" };

	(void)state;
	setup.declared = &declared;
	setup.defaults_len = 0;
	assert_int_equal(fd_write_file(AT_FDCWD, vendor, "[s]\na=1\n", 8, 0600, &e), 0);
	write_host("[s]\n<xml>\n");
	configure();
	assert_view("[s]\na=1\n");
	assert_note("ini: "); /* the package has a text: the host's is not asked */
	setup.local = (const struct broker_local[]){ { "f", true } };
	setup.local_count = 1;
	configure();
	assert_view("[s]\na=1\n");
	assert_note(refused);
	setup.local = (const struct broker_local[]){ { "f", false }, { "f:s/a", true } };
	setup.local_count = 2;
	configure();
	assert_note(refused);
	setup.local_count = 1;
	configure();
	assert_note("ini: ");
	setup.local_count = 0;
	assert_int_equal(truncate(file, REG_TEXT_MAX + 1), 0);
	assert_int_equal(broker_configure(b, &setup, &e), 0); /* and no view */
	assert_note("ini: too large for settings, or no file: shown as it is");
	declared.lens = "nobody knows";
	write_host("[s]\nb=2\n");
	configure();
	assert_note("nobody knows: ");
}

/* What a file cannot say is told before it is set, where the file is there and of its kind. */
static void test_check(void **state)
{
	static const struct reg_change changes[] = { { "s/good", "1" }, { "s/bad", "1\n2" } };
	struct reg_hive *h = NULL;
	auto_free char *lens = NULL, *none = NULL;
	size_t changed;

	(void)state;
	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	assert_int_equal(reg_hive_apply(h, "f", changes, 2, &changed, &e), 0);
	assert_int_equal(broker_file_check(h, "f", "s/bad", &e), 0); /* nobody has said what it is */
	configure();
	assert_int_equal(reg_hive_declared_lens(h, "f", &lens, &e), 0);
	assert_string_equal(lens, "ini");
	assert_int_equal(reg_hive_declared_lens(h, "g", &none, &e), 0);
	assert_null(none);
	assert_int_equal(broker_file_check(h, "f", "s/bad", &e), 0); /* the file is not there yet */
	assert_int_equal(save("replace", "# mine\n[s]\na=one\nb=two\ngood=1\n"), 0);
	assert_int_equal(broker_file_check(h, "f", "s/good", &e), 0);
	assert_int_equal(broker_file_check(h, "f", "s/bad", &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_memory_equal(e.msg, "f:s/bad cannot be set so: ", strlen("f:s/bad cannot be set so: "));
	assert_int_equal(save("replace", "[s]\n[broken\n"), 0);
	assert_int_equal(broker_file_check(h, "f", "s/bad", &e), 0); /* kept as a whole */
	reg_hive_close(h);
}

static void set_policy(const char *text, size_t len)
{
	setup.policy = text;
	setup.policy_len = len;
	configure();
}
#define POLICY(text) set_policy("site.policy\0" text, sizeof("site.policy\0" text))

static int last_event(void *arg, const struct reg_event *v, struct err *err)
{
	(void)err;
	snprintf(arg, 256, "%s %s %s->%s", reg_what_name(v->what), v->key, v->old_value ? v->old_value : "-",
		 v->new_value ? v->new_value : "-");
	return 0;
}

static void assert_event(const char *want)
{
	struct reg_hive *h = NULL;
	char got[256] = "";

	assert_int_equal(reg_hive_open(db, &h, &e), 0);
	assert_int_equal(reg_hive_each_event(h, "f", NULL, 1, last_event, got, &e), 0);
	reg_hive_close(h);
	assert_string_equal(got, want);
}

static void test_policy(void **state)
{
	(void)state;
	POLICY("default f:s/a = site\ndefault f:s/c = site\nlock f:s/b = fixed\n"
	       "[package other]\nlock f:s/a = no\n[package a*]\ndefault f:s/c = later\n");
	assert_view("[s]\na=site\nb=fixed\nc=later\n");
	/* A default may be changed, a lock may not; all else that was saved is kept. */
	assert_int_equal(save("replace", "[s]\na=mine\nb=mine\nc=later\nd=mine\n"), 1);
	assert_view("[s]\na=mine\nb=fixed\nc=later\nd=mine\n");
	/* At the next save the locked key is what it was shown as. */
	assert_int_equal(save("replace", "[s]\na=mine\nb=fixed\nc=later\nd=other\n"), 0);
	assert_int_equal(save("replace", "[s]\na=mine\nc=later\nd=other\n"), 1);
	assert_event("refused s/b fixed->-");
	assert_view("[s]\na=mine\nc=later\nd=other\nb=fixed\n");
	/* Garbage is no way around, and neither is a removal. */
	assert_int_equal(save("replace", "<xml>\n"), 1);
	assert_event("refused  -->-");
	assert_view("[s]\na=mine\nc=later\nd=other\nb=fixed\n");
	assert_int_equal(save("remove", NULL), 1);
	configure();
	assert_view("[s]\nb=fixed\n");
	/* The policy goes, and all is as the environment has it. */
	set_policy(NULL, 0);
	assert_view("[s]\nb=two\n");
	assert_int_equal(save("replace", "[s]\nb=free\n"), 0);
	assert_view("[s]\nb=free\n");
	/* Locked as not being there. */
	POLICY("lock f:s/b\n");
	assert_view("[s]\n");
	assert_int_equal(save("replace", "[s]\nb=1\n"), 1);
	assert_view("[s]\n");
}

static void test_bad_policy(void **state)
{
	(void)state;
	setup.policy = "site.policy\0lock f:s/a = 1\nlock nothing\n";
	setup.policy_len = sizeof("site.policy\0lock f:s/a = 1\nlock nothing\n");
	assert_int_equal(broker_configure(b, &setup, &e), -1);
	assert_non_null(strstr(e.msg, "site.policy:2"));
	setup.policy_len -= 3;
	assert_int_equal(broker_configure(b, &setup, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_merge_local, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_local_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_top, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_notes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_policy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_policy, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
