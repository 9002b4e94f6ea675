/* SPDX-License-Identifier: Apache-2.0 */
/* Detection: which commands a capture offers, which of them is the face, and what is called what. */
#include "tests/unit/sequencer/fixture.h"

#include "sequencer/detect.h"
#include "sequencer/draft.h"
#include "sequencer/effects.h"
#include "sequencer/known.h"
#include "sequencer/pack.h"
#include "sequencer/scan.h"

static struct seq_capture capture;

static int make_capture(void **state)
{
	capture = (struct seq_capture)SEQ_CAPTURE_INIT;
	return make_scratch(state);
}

static int remove_capture(void **state)
{
	seq_capture_fini(&capture);
	return remove_scratch(state);
}

static void scan(void)
{
	struct seq_scan s = { .dir = in_scratch("upper"), .host = in_scratch("host"), .home = "/root" };
	struct err e;

	put_dir("host");
	if (seq_scan_upper(&s, &capture, NULL, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct pkg_manifest *detect(const struct seq_detect *opt)
{
	struct pkg_manifest *m;
	struct err e;

	if (seq_detect_manifest(&capture, opt, &m, &e) < 0)
		fail_msg("%s", e.msg);
	return m;
}

static void commands_are_new_executables(void **state)
{
	static char apt[] = "apt-get", install[] = "install", name[] = "tool";
	char *const installer[] = { apt, install, name, NULL };
	struct seq_detect opt = { .installer = installer };
	struct pkg_manifest *m;

	(void)state;
	put_file("upper/usr/bin/tool", "x", 0755);
	put_file("upper/usr/bin/another", "x", 0755);
	put_file("upper/usr/bin/data", "x", 0644);
	put_file("host/usr/bin/old", "x", 0755);
	put_file("upper/usr/bin/old", "y", 0755);
	put_link("tool", "upper/usr/bin/alias");
	put_link("nowhere", "upper/usr/bin/dangling");
	put_link("../share", "upper/usr/bin/dir");
	put_dir("upper/usr/share");
	put_file("upper/usr/sbin/daemon", "x", 0755);
	put_file("upper/opt/vendor/bin/vend", "x", 0755);
	put_file("upper/root/.local/bin/mine", "x", 0755);
	put_file("upper/usr/lib/not-a-command", "x", 0755);
	scan();
	m = detect(&opt);
	assert_int_equal(m->command_count, 6);
	assert_string_equal(seq_draft_find(m, "tool")->path, "/usr/bin/tool");
	assert_string_equal(seq_draft_find(m, "alias")->path, "/usr/bin/alias");
	assert_string_equal(seq_draft_find(m, "daemon")->path, "/usr/sbin/daemon");
	assert_string_equal(seq_draft_find(m, "vend")->path, "/opt/vendor/bin/vend");
	assert_string_equal(seq_draft_find(m, "mine")->path, "@home/.local/bin/mine");
	assert_non_null(seq_draft_find(m, "another"));
	assert_null(seq_draft_find(m, "dir"));
	assert_string_equal(m->name, "tool");
	assert_string_equal(m->default_command, "tool");
	pkg_manifest_free(m);
}

/* /etc/alternatives, and a directory that is a link, on the way. */
static void links_are_followed_through_directories(void **state)
{
	struct seq_detect opt = { .name = "x" };
	struct pkg_manifest *m;

	(void)state;
	put_file("upper/opt/real/bin/prog", "x", 0755);
	put_link("real", "upper/opt/current");
	put_dir("upper/etc/alternatives");
	put_link("/opt/current/bin/prog", "upper/etc/alternatives/prog");
	put_dir("upper/usr/bin");
	put_link("/etc/alternatives/prog", "upper/usr/bin/prog");
	put_link("loop", "upper/usr/bin/loop");
	scan();
	m = detect(&opt);
	assert_string_equal(seq_draft_find(m, "prog")->path, "/usr/bin/prog");
	assert_null(seq_draft_find(m, "loop"));
	pkg_manifest_free(m);
}

static void desktop_entries_name_the_face(void **state)
{
	struct seq_detect opt = { .name = "suite" };
	struct pkg_manifest *m;

	(void)state;
	put_file("upper/usr/bin/aaa", "x", 0755);
	put_file("upper/usr/bin/editor", "x", 0755);
	put_file("upper/opt/app/app-bin", "x", 0755);
	put_file("upper/usr/share/applications/hidden.desktop",
		 "[Desktop Entry]\nType=Application\nExec=aaa\nNoDisplay=true\n", 0644);
	put_file("upper/usr/share/applications/main.desktop",
		 "[Desktop Entry]\nType=Application\nName=E\nExec=env X=1 editor %F\n", 0644);
	put_file("upper/usr/share/applications/vendor.desktop",
		 "[Desktop Entry]\nType=Application\nExec=\"/opt/app/app-bin\" %U\n", 0644);
	put_file("upper/usr/share/applications/foreign.desktop",
		 "[Desktop Entry]\nType=Application\nExec=not-here\n", 0644);
	put_file("upper/usr/share/applications/broken.desktop", "[Desktop Entry]\nType=Link\n", 0644);
	scan();
	m = detect(&opt);
	assert_int_equal(m->desktop_file_count, 3);
	assert_string_equal(m->default_command, "editor");
	assert_string_equal(seq_draft_find(m, "app-bin")->path, "/opt/app/app-bin");
	pkg_manifest_free(m);
}

static void what_the_user_says_wins(void **state)
{
	static char given[] = "mine=/opt/x/run.sh", launch[] = "/opt/x/other --fast 'a b'";
	char *commands[] = { given }, *launches[] = { launch };
	struct seq_detect opt = {
		.name = "n", .version = "1", .summary = "s", .commands = commands, .command_count = 1
	};
	struct pkg_manifest *m;

	(void)state;
	put_file("upper/usr/bin/n", "x", 0755);
	put_file("upper/opt/x/run.sh", "x", 0755);
	put_file("upper/opt/x/other", "x", 0755);
	scan();
	m = detect(&opt);
	assert_string_equal(m->default_command, "mine");
	assert_string_equal(m->version, "1");
	assert_string_equal(m->summary, "s");
	pkg_manifest_free(m);
	opt.launches = launches;
	opt.launch_count = 1;
	m = detect(&opt);
	assert_string_equal(m->default_command, "other");
	assert_string_equal(seq_draft_find(m, "other")->path, "/opt/x/other");
	pkg_manifest_free(m);
}

static void wrong_wishes_are_refused(void **state)
{
	char missing[] = "x=/not/there", bare[] = "x", nameless[] = "=/usr/bin/n", relative[] = "x=relative",
	     slash[] = "a/b=/usr/bin/n";
	char *wrong[] = { missing, bare, nameless, relative, slash };
	struct pkg_manifest *m;
	struct err e;

	(void)state;
	put_file("upper/usr/bin/n", "x", 0755);
	scan();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct seq_detect opt = { .name = "n", .commands = &wrong[i], .command_count = 1 };

		assert_int_equal(seq_detect_manifest(&capture, &opt, &m, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
	assert_int_equal(seq_detect_manifest(&capture, &(struct seq_detect){ .name = "no name" }, &m, &e),
			 -1);
	assert_int_equal(e.code, ERR_USAGE);
}

static void versions_come_from_the_distribution(void **state)
{
	static char apt[] = "apt-get", install[] = "install", name[] = "mc=4.8";
	char *const installer[] = { apt, install, name, NULL };
	char package[] = "mc", version[] = "3:4.8.29-2", summary[] = "file manager";
	struct seq_dpkg_package list = { package, version, summary };
	struct seq_dpkg packages = { .packages = &list, .count = 1 };
	struct seq_detect opt = { .installer = installer, .packages = &packages };
	struct pkg_manifest *m;

	(void)state;
	put_file("upper/usr/bin/mc", "x", 0755);
	scan();
	m = detect(&opt);
	assert_string_equal(m->name, "mc");
	assert_string_equal(m->version, "3:4.8.29-2");
	assert_string_equal(m->summary, "file manager");
	pkg_manifest_free(m);
}

static void configuration_is_declared(void **state)
{
	struct pkg_manifest *m;
	struct err e;
	bool added;

	(void)state;
	put_file("upper/root/.config/x/ini", "[a]\nb=c\n", 0644);
	put_file("upper/etc/x.conf", "[a]\nb=c\n", 0644);
	scan();
	m = seq_draft_new(&e);
	assert_non_null(m);
	assert_int_equal(seq_pack_declare_config(m, &capture, "@config/x/ini", &e), 0);
	assert_int_equal(seq_pack_declare_config(m, &capture, "~/.config/x/ini:ini", &e), 0);
	assert_int_equal(seq_pack_declare_config(m, &capture, "/etc/x.conf:ini", &e), 0);
	assert_int_equal(seq_pack_declare_config(m, &capture, "@config/later.json", &e), 0);
	assert_int_equal(m->config_count, 3);
	assert_string_equal(m->configs[0].path, "@config/x/ini");
	assert_string_equal(m->configs[0].lens, "ini");
	assert_string_equal(m->configs[0].defaults, "@home/.config/x/ini");
	assert_string_equal(m->configs[1].defaults, "/etc/x.conf");
	assert_null(m->configs[2].defaults);
	assert_string_equal(m->configs[2].lens, "json");
	assert_int_equal(seq_pack_declare_config(m, &capture, "@config/later", &e), -1);
	assert_non_null(strstr(e.msg, "@config/later:LENS"));
	assert_int_equal(seq_pack_declare_config(m, &capture, "relative", &e), -1);
	assert_int_equal(seq_pack_declare_config(m, &capture, "/x:nolens", &e), -1);
	assert_int_equal(seq_draft_command(m, "known", "/usr/bin/known", &added, &e), 0);
	assert_int_equal(
		seq_known_declare("# it's\nconfig known \"@config/a b\" ini\nconfig not @config/z ini\n", "t",
				  m, &capture, &e),
		0);
	assert_int_equal(m->config_count, 4);
	assert_string_equal(m->configs[3].path, "@config/a b");
	assert_int_equal(seq_known_declare("\nconfig known x\n", "t", m, &capture, &e), -1);
	assert_non_null(strstr(e.msg, "line 2"));
	assert_int_equal(seq_known_declare_default(m, &capture, &e), 0);
	pkg_manifest_free(m);
}

static void gsettings_get_their_keyfile(void **state)
{
	struct pkg_manifest *m;
	struct err e;

	(void)state;
	put_file("upper/usr/bin/x", "x", 0755);
	scan();
	m = seq_draft_new(&e);
	assert_non_null(m);
	assert_int_equal(seq_known_declare_gsettings(m, &capture, &e), 0);
	assert_int_equal(m->config_count + m->env_count, 0);
	put_file("upper/usr/share/glib-2.0/schemas/org.x.gschema.xml", "<schemalist/>\n", 0644);
	seq_capture_fini(&capture);
	capture = (struct seq_capture)SEQ_CAPTURE_INIT;
	scan();
	assert_int_equal(seq_known_declare_gsettings(m, &capture, &e), 0);
	assert_int_equal(m->config_count, 1);
	assert_string_equal(m->configs[0].path, "@config/glib-2.0/settings/keyfile");
	assert_string_equal(m->configs[0].lens, "gsettings");
	assert_int_equal(m->env_count, 1);
	assert_string_equal(m->env[0].name, "GSETTINGS_BACKEND");
	assert_string_equal(m->env[0].value, "keyfile");
	pkg_manifest_free(m);
}

static void effects_are_found(void **state)
{
	auto_effects struct seq_effects x = { 0 };
	auto_buf struct buf all = BUF_INIT(65536);
	struct err e;
	const char *text;

	(void)state;
	put_file("host/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0644);
	put_file("upper/etc/passwd", "root:x:0:0::/root:/bin/sh\nrooted:x:9:9::/:\n", 0644);
	put_file("upper/etc/group", "web:x:7:\n", 0644);
	put_file("upper/lib/systemd/system/web.service", "x", 0644);
	put_file("upper/usr/lib/systemd/system/web.timer", "x", 0644);
	put_file("upper/usr/lib/systemd/system/web.conf", "x", 0644);
	put_file("upper/etc/cron.daily/web", "x", 0755);
	put_file("upper/usr/lib/sysusers.d/web.conf", "x", 0644);
	put_file("upper/lib/modules/6.1/extra/web.ko.xz", "x", 0644);
	put_file("upper/usr/bin/web", "x", 04755);
	scan();
	assert_int_equal(seq_effects_find(&capture, in_scratch("host"), &x, &e), 0);
	for (size_t i = 0; i < x.count; i++)
		assert_int_equal(buf_printf(&all, &e, "%s\n", x.notes[i]), 0);
	text = buf_text(&all, &e);
	assert_non_null(text);
	assert_int_equal(x.count, 8);
	assert_non_null(strstr(text, "user \"rooted\" is not added"));
	assert_null(strstr(text, "user \"root\""));
	assert_non_null(strstr(text, "group \"web\" is not added"));
	assert_non_null(
		strstr(text, "systemd unit web.service (/lib/systemd/system/web.service) is not started"));
	assert_non_null(strstr(text, "systemd unit web.timer"));
	assert_null(strstr(text, "unit web.conf"));
	assert_non_null(strstr(text, "cron job web"));
	assert_non_null(strstr(text, "system settings web.conf"));
	assert_non_null(strstr(text, "kernel module web.ko.xz"));
	assert_non_null(strstr(text, "/usr/bin/web runs without its set-user-id bit"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_capture, remove_capture)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_are_new_executables),
		TEST(links_are_followed_through_directories),
		TEST(desktop_entries_name_the_face),
		TEST(what_the_user_says_wins),
		TEST(wrong_wishes_are_refused),
		TEST(versions_come_from_the_distribution),
		TEST(configuration_is_declared),
		TEST(gsettings_get_their_keyfile),
		TEST(effects_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
