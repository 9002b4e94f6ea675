/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: what each sign may and may not match, and that hostile patterns end. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "base/sync.h"
#include "sequencer/glob.h"

struct pair {
	const char *pattern, *path;
};

static const struct pair matching[] = {
	{ "/etc/passwd", "/etc/passwd" },
	{ "/var/cache/**", "/var/cache/apt/archives/x.deb" },
	{ "/var/cache/**", "/var/cache/x" },
	{ "*.pid", "/var/lib/x/daemon.pid" },
	{ "/usr/*/x", "/usr/bin/x" },
	{ "/usr/**/x", "/usr/a/b/c/x" },
	{ "/usr/**/x", "/usr/lib/x" },
	{ "/a/**/b/*.c", "/a/1/b/2/b/x.c" },
	{ "/etc/ssh/ssh_host_*", "/etc/ssh/ssh_host_rsa_key" },
	{ "/a/?", "/a/b" },
	{ "/a/[b-d]x", "/a/cx" },
	{ "/a/[!b-d]x", "/a/ex" },
	{ "/a/[]]", "/a/]" },
	{ "/a/[", "/a/[" },
	{ "*", "/any/thing" },
	{ "**", "/any/thing" },
	{ "/**", "/any/thing" },
	{ "@home/.cache/**", "@home/.cache/x/y" },
	{ "/a*b*c", "/a-b-b-c" },
	{ "", "" },
};

static const struct pair different[] = {
	{ "/etc/passwd", "/etc/passwd-" },
	{ "/etc/passwd-", "/etc/passwd" },
	{ "/var/cache/**", "/var/cache" },
	{ "/usr/*/x", "/usr/a/b/x" },
	{ "/usr/*", "/usr/a/b" },
	{ "*.pid", "/x.pid/file" },
	{ "/a/?", "/a//" },
	{ "/a/[b-d]x", "/a/ex" },
	{ "/a/[!b-d]x", "/a/cx" },
	{ "/a[/]b", "/a/b" },
	{ "/a/**/c", "/a/b/d" },
	{ "/a/*", "/b/a/x" },
	{ "", "/x" },
	{ "/x", "" },
};

static void signs_match_what_they_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(matching) / sizeof(matching[0]); i++)
		if (!seq_glob_match(matching[i].pattern, matching[i].path))
			fail_msg("%s does not match %s", matching[i].pattern, matching[i].path);
}

static void signs_match_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(different) / sizeof(different[0]); i++)
		if (seq_glob_match(different[i].pattern, different[i].path))
			fail_msg("%s matches %s", different[i].pattern, different[i].path);
}

/* The patterns on which naive backtracking takes years. */
static void hostile_patterns_end(void **state)
{
	char path[2048], pattern[512] = "/";
	uint64_t start_ms = sync_now_ms();

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	for (int i = 0; i < 100; i++)
		strcat(pattern, "a**");
	strcat(pattern, "b");
	assert_false(seq_glob_match(pattern, path));
	strcpy(pattern, "/**");
	for (int i = 0; i < 100; i++)
		strcat(pattern, "*a");
	strcat(pattern, "/b");
	assert_false(seq_glob_match(pattern, path));
	assert_true(sync_now_ms() - start_ms < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_match_what_they_should),
		cmocka_unit_test(signs_match_nothing_else),
		cmocka_unit_test(hostile_patterns_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
