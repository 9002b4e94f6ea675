/* SPDX-License-Identifier: Apache-2.0 */
/* What lenses cost: makes a text of KEYS keys with each lens, then prints what parsing and rendering it
 * takes, and setting the keys one by one; medians of ROUNDS, in the processor's time. lens_cost [KEYS
 * [ROUNDS]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "registry-shim/lens.h"

enum { ROUNDS_MAX = 1000, KEYS_PER_SECTION = 100 };

static const struct {
	const char *lens, *start;
	const char *section, *name; /* of a key, a number behind each */
} kinds[] = {
	{ "ini", "", "section ", "/a setting " },
	{ "kde", "", "section/", "/a setting " },
	{ "gsettings", "", "org/app/", "/setting-" },
	{ "wine", "REGEDIT4\n", "Software/App/", "/setting " },
	{ "json", "", "section ", "/a setting " },
	{ "toml", "", "section ", "/a setting " },
	{ "yaml", "", "section ", "/a setting " },
	{ "xfconf", "<channel name=\"x\" version=\"1.0\">\n</channel>\n", "section ", "/a setting " },
	{ "properties", "", "section.", ".setting." },
	{ "shell", "", "SECTION_", "_SETTING_" },
};

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static int set_all(struct reg_doc *d, size_t kind, int keys, struct err *e)
{
	for (int i = 0; i < keys; i++) {
		int section = i / KEYS_PER_SECTION;
		char key[100], value[100];

		(void)snprintf(key, sizeof(key), "%s%d%s%d", kinds[kind].section, section, kinds[kind].name,
			       i);
		(void)snprintf(value, sizeof(value), "the value of %d", i);
		if (reg_doc_set(d, key, value, e) < 0)
			return err_wrap(e, "%s", key);
	}
	return 0;
}

static int measure(size_t kind, int keys, int rounds, struct err *e)
{
	const struct reg_lens *l = reg_lens_find(kinds[kind].lens);
	auto_buf struct buf text = BUF_INIT(REG_TEXT_MAX * 2), again = BUF_INIT(REG_TEXT_MAX * 2);
	double parse[ROUNDS_MAX], render[ROUNDS_MAX], set;
	struct reg_doc *d;
	int rc;

	if (reg_doc_parse(l, kinds[kind].start, strlen(kinds[kind].start), &d, e) < 0)
		return -1;
	set = now_ms();
	rc = set_all(d, kind, keys, e);
	set = now_ms() - set;
	if (rc == 0)
		rc = reg_doc_render(d, &text, e);
	reg_doc_free(d);
	for (int i = 0; rc == 0 && i < rounds; i++) {
		double start = now_ms(), parsed;

		if (reg_doc_parse(l, (const char *)text.data, text.len, &d, e) < 0)
			return -1;
		parsed = now_ms();
		buf_reset(&again);
		rc = reg_doc_render(d, &again, e);
		parse[i] = parsed - start;
		render[i] = now_ms() - parsed;
		reg_doc_free(d);
	}
	if (rc < 0)
		return -1;
	qsort(parse, (size_t)rounds, sizeof(*parse), by_value);
	qsort(render, (size_t)rounds, sizeof(*render), by_value);
	printf("%-10s %8d keys %9zu bytes: parse %8.2f ms, render %8.2f ms; set one by one %8.2f ms\n",
	       kinds[kind].lens, keys, text.len, parse[rounds / 2], render[rounds / 2], set);
	return 0;
}

int main(int argc, char **argv)
{
	int keys = argc > 1 ? atoi(argv[1]) : 10000, rounds = argc > 2 ? atoi(argv[2]) : 11;
	struct err e;

	if (keys < 1 || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (measure(i, keys, rounds, &e) < 0) {
			(void)fprintf(stderr, "%s: %s\n", kinds[i].lens, e.msg);
			return 1;
		}
	return 0;
}
