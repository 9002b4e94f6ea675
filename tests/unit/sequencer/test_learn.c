/* SPDX-License-Identifier: Apache-2.0 */
/* What launches teach: touches merged over launches, configuration files proposed, processor time counted. */
#include "tests/unit/sequencer/fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "base/sync.h"
#include "sequencer/busy.h"
#include "sequencer/learn_touches.h"
#include "sequencer/propose.h"

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

/* What is proposed of a file: its lens, with a '!' behind when it is certain; "" when it is not proposed. */
static const char *proposed(const struct seq_lesson *l, const char *path)
{
	static char word[64];
	const struct seq_proposal *p = find_proposal(l, path);

	(void)snprintf(word, sizeof(word), "%s%s", p ? p->lens : "", p && p->is_certain ? "!" : "");
	return word;
}

static const char channel[] = "<?xml version=\"1.0\"?>\n<channel name=\"x\" version=\"1.0\">\n"
			      "  <property name=\"a\" type=\"int\" value=\"1\"/>\n</channel>\n";
static const char sections[] = "[a]\nb=c\n", flat[] = "b=c\nd=e\n", json[] = "{ \"a\": 1 }\n";

static const struct {
	const char *place, *content, *path, *want;
} files[] = {
	{ ".config/x/ini", sections, "@config/x/ini", "ini!" },
	{ ".config/x/plain.ini", flat, "@config/x/plain.ini", "shell" },
	{ ".config/x/settings.json", json, "@config/x/settings.json", "json!" },
	{ ".config/x/nested", "{ \"a\": { \"b\": 1 } }\n", "@config/x/nested", "json" },
	{ ".config/x/empty.json", "{}\n", "@config/x/empty.json", "" },
	{ ".config/x/broken.json", "{ \"a\": \n", "@config/x/broken.json", "" },
	{ ".config/x/list.json", "[1, 2]\n", "@config/x/list.json", "" },
	{ ".config/x/a.yaml", "a: 1\nb:\n  c: 2\n", "@config/x/a.yaml", "yaml!" },
	{ ".config/x/a.toml", "a = 1\n[b]\nc = \"d\"\n", "@config/x/a.toml", "toml!" },
	{ ".config/x/a.properties", "a.b = 1\n", "@config/x/a.properties", "properties!" },
	{ ".config/xfce4/xfconf/xfce-perchannel-xml/x.xml", channel,
	  "@config/xfce4/xfconf/xfce-perchannel-xml/x.xml", "xfconf!" },
	{ ".config/x/page.xml", "<?xml version=\"1.0\"?>\n<page a=\"b\"/>\n", "@config/x/page.xml", "" },
	{ ".config/xrc", "[A][B]\nc=d\n", "@config/xrc", "kde!" },
	{ ".config/glib-2.0/settings/keyfile", "[org/x]\na='b'\n", "@config/glib-2.0/settings/keyfile",
	  "gsettings!" },
	{ ".config/x/prose", "this is not a settings file\nat all\n", "@config/x/prose", "" },
	{ ".config/x/window-state.json", json, "@config/x/window-state.json", "" },
	{ ".config/x/Code Cache/a.json", json, "@config/x/Code Cache/a.json", "" },
	{ ".config/x/Local Storage/a.json", json, "@config/x/Local Storage/a.json", "" },
	{ ".config/x/Default/Preferences", json, "@config/x/Default/Preferences", "" },
	{ ".config/x/recently-used.json", json, "@config/x/recently-used.json", "" },
	{ ".cache/x/ini", sections, "@home/.cache/x/ini", "" },
	{ ".local/share/x/data.json", json, "@home/.local/share/x/data.json", "" },
	{ ".ssh/config.ini", sections, "@home/.ssh/config.ini", "" },
	{ ".xrc", sections, "@home/.xrc", "ini" },
	{ ".x/settings.json", json, "@home/.x/settings.json", "json" },
	{ ".bash_aliases", flat, "@home/.bash_aliases", "" },
	{ "project/settings.json", json, "@home/project/settings.json", "" },
};

static void settings_are_proposed(void **state)
{
	auto_lesson struct seq_lesson l = { 0 };
	size_t count = 2;
	char place[256];
	struct err e;

	(void)state;
	assert_int_equal(setenv("HOME", "/floe-test-home", 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(place, sizeof(place), "upper/floe-test-home/%s", files[i].place);
		put_file(place, files[i].content, 0644);
		count += *files[i].want != 0;
	}
	put_file("upper/etc/x/x.conf", sections, 0644);
	put_file("upper/etc/x/x.json", json, 0644);
	put_file("upper/etc/cron.d/x", flat, 0644);
	put_file("upper/usr/share/x.json", json, 0644);
	for (int i = 0; i < 2; i++) /* each path once */
		assert_int_equal(seq_propose_upper(in_scratch("upper"), NULL, &l, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(proposed(&l, files[i].path), files[i].want) != 0)
			fail_msg("%s: \"%s\" instead of \"%s\"", files[i].path, proposed(&l, files[i].path),
				 files[i].want);
	assert_string_equal(proposed(&l, "/etc/x/x.conf"), "ini");
	assert_string_equal(proposed(&l, "/etc/x/x.json"), "json");
	assert_int_equal(l.proposal_count, count);
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
