/* SPDX-License-Identifier: Apache-2.0 */
/* Augeas' lenses: keys, changes, what is refused and why, and the laws of every lens on texts of our own and
 * on what this machine has. */
#include "tests/unit/registry-shim/lens_kit.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>

#include "base/fd.h"
#include "registry-shim/augeas_client.h"
#include "registry-shim/hive.h"
#include "tests/unit/sanitized.h"

enum { KEYS_TRIED = 8, FILES_TRIED = IS_SANITIZED ? 1 : 6, FILE_MAX = (IS_SANITIZED ? 2 : 8) * 1024 };

static const char sshd[] = "# mine\nPort 22\nAcceptEnv LANG LC_*\nSubsystem sftp /usr/lib/sftp\n\n"
			   "Match User bob\n  X11Forwarding  no\nMatch Group staff\n  X11Forwarding yes\n";
static const char hosts[] =
	"127.0.0.1\tlocalhost\n# the others\n10.0.0.1  one.lan one eins # first\n10.0.0.2 two\n";
static const char fstab[] =
	"# <file system>\n/dev/sda1  /     ext4  defaults,noatime  0 1\nproc /proc proc defaults\n";

static void test_keys(void **state)
{
	(void)state;
	kit_assert_reads("augeas:Sshd", sshd,
			 "Port=22\nAcceptEnv/1=LANG\nAcceptEnv/2=LC_*\nSubsystem/sftp=/usr/lib/sftp\n"
			 "Match/Condition/User=bob\nMatch/Settings/X11Forwarding=no\n"
			 "Match[2]/Condition/Group=staff\nMatch[2]/Settings/X11Forwarding=yes\n");
	kit_assert_reads("augeas:Hosts", hosts,
			 "1/ipaddr=127.0.0.1\n1/canonical=localhost\n2/ipaddr=10.0.0.1\n2/canonical=one.lan\n"
			 "2/alias=one\n2/alias[2]=eins\n3/ipaddr=10.0.0.2\n3/canonical=two\n");
	kit_assert_reads(
		"augeas:Fstab", fstab,
		"1/spec=/dev/sda1\n1/file=/\n1/vfstype=ext4\n1/opt=defaults\n1/opt[2]=noatime\n1/dump=0\n"
		"1/passno=1\n2/spec=proc\n2/file=/proc\n2/vfstype=proc\n2/opt=defaults\n");
	/* A flag has no value; names with '/', '%' and '['. */
	kit_assert_reads("augeas:Dnsmasq", "bogus-priv\nport=53\n", "bogus-priv=\nport=53\n");
	kit_assert_reads("augeas:Sysctl", "net/ipv4/x = 1\n", "net%2Fipv4%2Fx=1\n");
	kit_assert_reads("augeas:Properties", "a[1]%b=1\n", "a%5B1]%25b=1\n");
	kit_assert_reads("augeas:Hosts", "", "");
	kit_assert_reads("augeas:Hosts", "127.0.0.1 no-line-end",
			 "1/ipaddr=127.0.0.1\n1/canonical=no-line-end\n");
}

static void test_changes(void **state)
{
	(void)state;
	kit_assert_after("augeas:Sshd", "# c\nPort   22\nUsePAM no\n", "Port", "2222",
			 "# c\nPort   2222\nUsePAM no\n");
	kit_assert_after("augeas:Sshd", "Port 22\nMatch User bob\n  X11Forwarding no\n", "UsePAM", "yes",
			 "Port 22\nUsePAM yes\nMatch User bob\n  X11Forwarding no\n");
	kit_assert_after("augeas:Sshd", "Port 22\nAcceptEnv A B\n", "AcceptEnv/3", "C",
			 "Port 22\nAcceptEnv A B C\n");
	kit_assert_after("augeas:Sshd", "Port 22\nAcceptEnv A\n", "AcceptEnv/1", NULL, "Port 22\n");
	kit_assert_after("augeas:Hosts", "1.1.1.1 a b c\n", "1/alias[2]", NULL, "1.1.1.1 a b\n");
	kit_assert_after("augeas:Hosts", "1.1.1.1 a\n2.2.2.2 b # x", "2/alias", "bb",
			 "1.1.1.1 a\n2.2.2.2 b bb # x");
	kit_assert_after("augeas:Fstab", "a /a ext4 rw 0 1\nb /b ext4 rw\n", "2/dump", "0",
			 "a /a ext4 rw 0 1\nb /b ext4 rw\t0\n");
	kit_assert_after("augeas:Dnsmasq", "port=53\n", "bogus-priv", "", "port=53\nbogus-priv\n");
	kit_assert_after("augeas:Dnsmasq", "bogus-priv\nport=53\n", "bogus-priv", NULL, "port=53\n");
	kit_assert_after("augeas:Sysctl", "a/b = 1\n", "a%2Fb", "2", "a/b = 2\n");
	kit_assert_after("augeas:Sysctl", "a/b = 1\n", "c%2Fd", "2", "a/b = 1\nc/d = 2\n");
	kit_assert_after("augeas:Properties", "a[1]=1\na[1]=2\n", "a%5B1][2]", "3", "a[1]=1\na[1]=3\n");
	kit_assert_after("augeas:MySQL", "[a]\nx=1\n[b]\nx = 2\n", "target[2]/x", "3",
			 "[a]\nx=1\n[b]\nx = 3\n");
}

/* An entry is only there with all that it must have. */
static void test_together(void **state)
{
	static const struct reg_change changes[] = { { "4/canonical", "four" },
						     { "4/ipaddr", "10.0.0.4" },
						     { "12/canonical", "none" },
						     { "2/alias", "uno" } };
	struct reg_doc *d = kit_parse("augeas:Hosts", hosts);
	struct err e;

	(void)state;
	assert_int_equal(reg_doc_settle(d, changes, 4, NULL, NULL, &e), 0);
	kit_assert_renders(
		d, "127.0.0.1\tlocalhost\n# the others\n10.0.0.1  one.lan uno eins # first\n10.0.0.2 two\n"
		   "10.0.0.4\tfour\n");
	reg_doc_free(d);
}

static void count_left_out(void *arg, const struct reg_change *c, const struct err *why)
{
	(void)c;
	assert_int_equal(why->code, ERR_USAGE);
	++*(size_t *)arg;
}

static void test_settled(void **state)
{
	struct reg_change many[300];
	char keys[300][16];
	struct reg_doc *d = kit_parse("augeas:Hosts", hosts);
	size_t left_out = 0;
	struct err e;

	(void)state;
	/* Of many that cannot be, one that can; with an end of trying. */
	for (size_t i = 0; i < 300; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "%zu/ipaddr", i + 100);
		many[i] = (struct reg_change){ keys[i], "1.1.1.1" };
	}
	many[7] = (struct reg_change){ "3/canonical", "zwei" };
	assert_int_equal(reg_doc_settle(d, many, 10, count_left_out, &left_out, &e), 0);
	assert_int_equal(left_out, 9);
	assert_string_equal(reg_doc_get(d, "3/canonical"), "zwei");
	left_out = 0;
	assert_int_equal(reg_doc_settle(d, many, 300, count_left_out, &left_out, &e), 0);
	assert_in_range(left_out, 299, 300);
	/* All of the last entry goes together, in whatever order it is said. */
	left_out = 0;
	many[0] = (struct reg_change){ "3/ipaddr", NULL };
	many[1] = (struct reg_change){ "3/canonical", NULL };
	assert_int_equal(reg_doc_settle(d, many, 2, count_left_out, &left_out, &e), 0);
	assert_int_equal(left_out, 0);
	kit_assert_renders(d, "127.0.0.1\tlocalhost\n# the others\n10.0.0.1  one.lan one eins # first\n");
	reg_doc_free(d);
}

static void assert_says_why(const char *lens, const char *text, const char *key, const char *value,
			    const char *why)
{
	struct reg_doc *d = kit_parse(lens, text);
	struct err e;

	assert_int_equal(value ? reg_doc_set(d, key, value, &e) : reg_doc_unset(d, key, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	if (!strstr(e.msg, why))
		fail_msg("\"%s\" and not \"%s\"", e.msg, why);
	kit_assert_renders(d, text);
	reg_doc_free(d);
}

static void test_refused(void **state)
{
	struct reg_doc *d;
	struct err e;

	(void)state;
	kit_assert_refused("augeas:Sshd", "Port 22\n =\n",
			   "line 2: Augeas' lens Sshd: Get did not match entire input");
	assert_says_why("augeas:Fstab", fstab, "1/dump", "often", "Augeas' lens Fstab: ");
	assert_says_why("augeas:Sshd", sshd, "Port", "22\n\nPort 23", "Augeas' lens Sshd: ");
	assert_says_why("augeas:Hosts", hosts, "4/ipaddr", "1.2.3.4", "Augeas' lens Hosts: ");
	assert_says_why("augeas:Hosts", hosts, "2/alias[4]", "x", "the next one is [3]");
	assert_says_why("augeas:Hosts", hosts, "2/alias[1]", "x", "%5B");
	assert_says_why("augeas:Hosts", hosts, "2/alias[x]", "x", "%5B");
	assert_says_why("augeas:Hosts", hosts, "2//alias", "x", "a part of a key without a name");
	assert_says_why("augeas:Hosts", hosts, "2/%/alias", "x", "without a name");
	assert_says_why("augeas:Hosts", hosts, "2/%2/alias", "x", "%25");
	assert_says_why("augeas:Hosts", hosts, "2/alias", NULL, "only the last");
	assert_says_why("augeas:Hosts", hosts, "1/canonical", NULL, "Augeas' lens Hosts: ");
	/* Text that would be more than the value says. */
	assert_says_why("augeas:Hosts", hosts, "1/canonical", "a b", "Augeas' lens Hosts");
	assert_says_why("augeas:Hosts", hosts, "#comment", "x", "Augeas' lens Hosts");
	kit_assert_cannot("augeas:Json", "", "dict/entry", "x");
	assert_null(reg_lens_find("augeas:"));
	assert_null(reg_lens_find("augeas:hosts"));
	assert_null(reg_lens_find("augeas:Hosts.lns"));
	assert_null(reg_lens_find("augeas:../Hosts"));
	assert_ptr_equal(reg_lens_find("augeas:Hosts"), reg_lens_find("augeas:Hosts"));
	assert_string_equal(reg_lens_name(reg_lens_find("augeas:Hosts")), "augeas:Hosts");
	assert_int_equal(reg_doc_parse(reg_lens_find("augeas:Nosuch"), "a\n", 2, &d, &e), -1);
	assert_int_equal(e.code, ERR_NOTFOUND);
	assert_non_null(strstr(e.msg, "no lens Nosuch.lns"));
}

/* ---- the laws ------------------------------------------------------------------------------- */

static size_t changed, refused;

static void render(const struct reg_doc *d, struct buf *ret)
{
	struct err e;

	buf_reset(ret);
	assert_int_equal(reg_doc_render(d, ret, &e), 0);
	assert_non_null(buf_text(ret, &e));
}

/* What is left of two texts without what they begin and end with alike lies in one line. */
static void assert_one_line(const struct buf *a, const struct buf *b)
{
	size_t head = 0, tail = 0;

	while (head < a->len && head < b->len && a->data[head] == b->data[head])
		head++;
	while (tail < a->len - head && tail < b->len - head &&
	       a->data[a->len - 1 - tail] == b->data[b->len - 1 - tail])
		tail++;
	if (memchr(a->data + head, '\n', a->len - head - tail) ||
	    memchr(b->data + head, '\n', b->len - head - tail))
		fail_msg("more than a line changed:\n%s\n%s", (char *)a->data, (char *)b->data);
}

static void assert_others(const struct reg_doc *before, const struct reg_doc *after, const char *but)
{
	const char *key, *value, *now;

	for (size_t pos = 0; reg_doc_next(before, &pos, &key, &value);) {
		now = reg_doc_get(after, key);
		if (strcmp(key, but) != 0 && (!now || strcmp(now, value) != 0))
			fail_msg("with %s %s became %s", but, key, now ? now : "nothing");
	}
}

/* value NULL: unset. What cannot be leaves the document as it was. */
static void try_change(const char *lens, const char *text, const char *key, const char *value)
{
	auto_buf struct buf was = BUF_INIT(1 << 20), now = BUF_INIT(1 << 20);
	struct reg_doc *d = kit_parse(lens, text), *before = kit_parse(lens, text), *again;
	struct err e;

	render(d, &was);
	if ((value ? reg_doc_set(d, key, value, &e) : reg_doc_unset(d, key, &e)) < 0) {
		assert_int_equal(e.code, ERR_USAGE);
		refused++;
		kit_assert_renders(d, text);
	} else {
		changed++;
		render(d, &now);
		again = kit_parse(lens, (char *)now.data);
		assert_others(before, again, key);
		if (value) {
			assert_string_equal(reg_doc_get(again, key), value);
			assert_one_line(&was, &now);
		} else {
			assert_null(reg_doc_get(again, key));
		}
		reg_doc_free(again);
	}
	reg_doc_free(before);
	reg_doc_free(d);
}

static void check_laws(const char *lens, const char *text)
{
	struct reg_doc *d = kit_parse(lens, text);
	const char *key, *value;
	size_t keys = 0, at = 0;
	struct err e;

	kit_assert_renders(d, text);
	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value);)
		keys++;
	for (size_t pos = 0; reg_doc_next(d, &pos, &key, &value); at++) {
		auto_free char *k = strdup(key), *v = strdup(value);

		if (at % (keys / KEYS_TRIED + 1) != 0)
			continue;
		assert_int_equal(reg_doc_set(d, k, v, &e), 0);
		kit_assert_renders(d, text);
		try_change(lens, text, k, "7");
		try_change(lens, text, k, "other");
		try_change(lens, text, k, "a b, \"c\" # d");
		try_change(lens, text, k, NULL);
	}
	reg_doc_free(d);
}

static void test_laws(void **state)
{
	static const struct {
		const char *lens, *text;
	} texts[] = {
		{ "augeas:Sshd", sshd },
		{ "augeas:Hosts", hosts },
		{ "augeas:Fstab", fstab },
		{ "augeas:Nginx", "user  www;\nhttp {\n  # c\n  server {\n\tlisten 80;\n\tlocation / {\n\t  "
				  "root /srv;\n\t}\n  }\n}\n" },
		{ "augeas:Pg_Hba",
		  "# TYPE\nlocal   all   postgres          peer\nhost all,x all 127.0.0.1/32 md5\n" },
		{ "augeas:Sudoers", "Defaults env_reset, timestamp_timeout=5\nroot ALL=(ALL:ALL) ALL\n%admin "
				    "ALL = NOPASSWD: /bin/ls, /bin/cat\n" },
		{ "augeas:Dnsmasq", "bogus-priv\nserver=/x/1.1.1.1\nport=53\n" },
		{ "augeas:Resolv", "nameserver 1.1.1.1\nsearch a b\noptions rotate timeout:2\n" },
		{ "augeas:Logrotate",
		  "weekly\n/var/log/x {\n  rotate 4\n  missingok\n  postrotate\n    true\n  endscript\n}\n" },
		{ "augeas:Rsyncd", "uid = nobody\n[pub]\n\tpath = /srv\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		changed = refused = 0;
		check_laws(texts[i].lens, texts[i].text);
		print_message("%s: %zu changes, %zu refused\n", texts[i].lens, changed, refused);
		assert_true(changed > 3);
	}
}

static void test_this_machine(void **state)
{
	static const struct {
		const char *lens, *place;
	} places[] = {
		{ "augeas:Hosts", "/etc/hosts" },
		{ "augeas:Fstab", "/etc/fstab" },
		{ "augeas:Nginx", "/etc/nginx/nginx.conf" },
		{ "augeas:Ssh", "/etc/ssh/ssh_config" },
		{ "augeas:Pam", "/etc/pam.d/*" },
		{ "augeas:Logrotate", "/etc/logrotate.d/*" },
		{ "augeas:Nsswitch", "/etc/nsswitch.conf" },
		{ "augeas:Login_defs", "/etc/login.defs" },
		{ "augeas:Sysctl", "/etc/sysctl.d/*.conf" },
		{ "augeas:Limits", "/etc/security/limits.conf" },
		{ "augeas:Pg_Hba", "/usr/share/postgresql/*/pg_hba.conf.sample" },
		{ "augeas:Resolv", "/etc/resolv.conf" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		size_t understood = 0;
		glob_t g;

		if (glob(places[i].place, 0, NULL, &g) != 0)
			continue;
		changed = refused = 0;
		for (size_t f = 0; f < g.gl_pathc && f < FILES_TRIED; f++) {
			auto_buf struct buf text = BUF_INIT(FILE_MAX);
			struct reg_doc *d;
			struct err e;

			if (fd_read_file(AT_FDCWD, g.gl_pathv[f], &text, &e) < 0 || !buf_text(&text, &e) ||
			    reg_doc_parse(reg_lens_find(places[i].lens), (char *)text.data, text.len, &d,
					  &e) < 0)
				continue;
			reg_doc_free(d);
			understood++;
			check_laws(places[i].lens, (char *)text.data);
		}
		print_message("%s: %zu of %zu files, %zu changes, %zu refused\n", places[i].place, understood,
			      g.gl_pathc, changed, refused);
		globfree(&g);
	}
}

/* ---- bounds --------------------------------------------------------------------------------- */

static void test_bounds(void **state)
{
	auto_buf struct buf text = BUF_INIT(2 * AUGEAS_TEXT_MAX);
	struct reg_doc *d;
	struct err e;

	(void)state;
	/* Reading takes a moment, and Augeas needs minutes to change it. */
	for (size_t i = 0; text.len < AUGEAS_TEXT_MAX - 100; i++)
		assert_int_equal(
			buf_printf(&text, &e, "10.%zu.%zu.%zu host%zu\n", i >> 16, i >> 8 & 255, i & 255, i),
			0);
	assert_non_null(buf_text(&text, &e));
	if (!IS_SANITIZED) {
		d = kit_parse("augeas:Hosts", (char *)text.data);
		assert_int_equal(reg_doc_set(d, "1/canonical", "x", &e), -1);
		assert_int_equal(e.code, ERR_LIMIT);
		assert_non_null(strstr(e.msg, "seconds"));
		kit_assert_renders(d, (char *)text.data);
		reg_doc_free(d);
	}
	/* And the next one is answered as if nothing had been. */
	kit_assert_after("augeas:Hosts", "1.1.1.1 a\n", "1/canonical", "b", "1.1.1.1 b\n");
	while (text.len <= AUGEAS_TEXT_MAX)
		assert_int_equal(buf_add_str(&text, "1.1.1.1 a\n", &e), 0);
	assert_int_equal(reg_doc_parse(reg_lens_find("augeas:Hosts"), (char *)text.data, text.len, &d, &e),
			 -1);
	assert_int_equal(e.code, ERR_LIMIT);
}

/* Deep nesting breaks or delays Augeas, not us. */
static void test_hostile(void **state)
{
	static const char *const pieces[] = { "[",    "{\"a\":", "\"", "\\", "\n",
					      "\xff", "a=",      "#",  "  ", "a { " };
	static const char *const lenses[] = { "augeas:Json", "augeas:Nginx", "augeas:Sshd", "augeas:Xml" };
	auto_free char *text = malloc(100000);

	(void)state;
	for (size_t l = 0; l < ARRAY_LEN(lenses); l++)
		for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
			size_t len = (IS_SANITIZED ? 500 : 20000) * strlen(pieces[p]);
			struct reg_doc *d = NULL;
			struct err e;

			for (size_t i = 0; i < len; i++)
				text[i] = pieces[p][i % strlen(pieces[p])];
			if (reg_doc_parse(reg_lens_find(lenses[l]), text, len, &d, &e) < 0 &&
			    e.code != ERR_FORMAT && e.code != ERR_LIMIT)
				fail_msg("%s: %s: %s", lenses[l], pieces[p], e.msg);
			reg_doc_free(d);
		}
	kit_assert_reads("augeas:Hosts", "1.1.1.1 a\n", "1/ipaddr=1.1.1.1\n1/canonical=a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),         cmocka_unit_test(test_changes),
		cmocka_unit_test(test_together),     cmocka_unit_test(test_settled),
		cmocka_unit_test(test_refused),      cmocka_unit_test(test_laws),
		cmocka_unit_test(test_this_machine), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
