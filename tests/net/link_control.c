/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for a link; see link_control.h. */
#include "tests/net/link_control.h"

#include <string.h>

enum { WORDS_MAX = 24 };

const char link_control_help[] =
	"  rtt MS | rate BITS/S | slow-start on|off\n"
	"  fault KIND [AT [TIMES]]   the next TIMES (1; 0 = all) turns suffer it, at that byte of the "
	"answer\n"
	"  storm PERCENT SEED [KIND...]   so many of a hundred turns suffer one by chance\n"
	"  calm                      no more faults\n"
	"  cut                       nothing passes; nothing is lost either\n"
	"  refuse                    connections are refused\n"
	"  reset                     all connections are reset\n"
	"  mend                      ends cut, refuse, fault and storm\n"
	"  stats | zero              the counts since the beginning, or since zero\n"
	"  quit\n"
	"Kinds: drop stall truncate corrupt (anywhere), whole etag gzip portal 403 404 416 503 (HTTP/1.1; of "
	"503 AT is\n"
	"Retry-After). At byte 0 drop, stall and truncate take the place of the answer.\n";

static int parse_number(const char *text, double *ret)
{
	static const char units[] = "kMG";
	const char *unit;
	char *end;
	double value = strtod(text, &end);

	if (end == text || value < 0)
		return -1;
	unit = *end ? strchr(units, *end) : NULL;
	if (*end && (!unit || end[1]))
		return -1;
	for (const char *u = units; unit && u <= unit; u++)
		value *= 1000;
	*ret = value;
	return 0;
}

int link_control_set(struct link *l, const char *what, const char *value, struct err *e)
{
	double number;

	if (parse_number(value, &number) < 0)
		return err_set(e, ERR_USAGE, "not a number: %s", value);
	if (strcmp(what, "rtt") == 0)
		l->rtt_ns = (uint64_t)(number * 1e6);
	else
		l->up.bits_per_s = l->down.bits_per_s = (uint64_t)number;
	return 0;
}

static int set_fault(struct link *l, char **words, int count, struct err *e)
{
	double at = 0, times = 1, skip = 0;
	enum link_fault_kind kind = count > 1 ? link_fault_named(words[1]) : LINK_FAULT_NONE;

	if (!kind || (count > 2 && parse_number(words[2], &at) < 0) ||
	    (count > 3 && parse_number(words[3], &times) < 0) ||
	    (count > 4 && parse_number(words[4], &skip) < 0))
		return err_set(e, ERR_USAGE, "fault KIND [AT [TIMES [SKIP]]]");
	link_faults_demand(&l->faults, (struct link_fault){ kind, (uint64_t)at }, (unsigned)times,
			   (unsigned)skip);
	return 0;
}

static int set_storm(struct link *l, char **words, int count, struct err *e)
{
	double percent, seed;
	uint32_t allowed = 0;

	if (count < 3 || parse_number(words[1], &percent) < 0 || parse_number(words[2], &seed) < 0)
		return err_set(e, ERR_USAGE, "storm PERCENT SEED [KIND...]");
	for (int i = 3; i < count; i++) {
		enum link_fault_kind kind = link_fault_named(words[i]);

		if (!kind)
			return err_set(e, ERR_USAGE, "no such fault: %s", words[i]);
		allowed |= UINT32_C(1) << kind;
	}
	link_faults_storm(&l->faults, (unsigned)percent, (uint64_t)seed, allowed);
	return 0;
}

/* One line, name=value, so that a shell can read it. */
static int say_stats(const struct link_control *c, struct buf *ret, struct err *e)
{
	const struct link *l = &c->link;

	if (buf_printf(ret, e, "connections=%llu open=%zu requests=%llu up=%llu down=%llu",
		       (unsigned long long)l->connections, c->open, (unsigned long long)l->requests,
		       (unsigned long long)l->up.bytes, (unsigned long long)l->down.bytes) < 0)
		return -1;
	for (int kind = 1; kind < LINK_FAULT_COUNT; kind++)
		if (l->faults.counts[kind] &&
		    buf_printf(ret, e, " %s=%llu", link_fault_name((enum link_fault_kind)kind),
			       (unsigned long long)l->faults.counts[kind]) < 0)
			return -1;
	return buf_add_str(ret, "\n", e);
}

static void zero(struct link *l)
{
	l->connections = l->requests = l->up.bytes = l->down.bytes = 0;
	memset(l->faults.counts, 0, sizeof(l->faults.counts));
}

static void mend(struct link_control *c)
{
	c->link.is_cut = c->refuses = false;
	link_faults_mend(&c->link.faults);
}

static int obey(struct link_control *c, char **words, int count, struct buf *ret, struct err *e)
{
	const char *verb = count ? words[0] : "";
	struct link *l = &c->link;

	if ((strcmp(verb, "rtt") == 0 || strcmp(verb, "rate") == 0) && count == 2)
		return link_control_set(l, verb, words[1], e);
	if (strcmp(verb, "fault") == 0)
		return set_fault(l, words, count, e);
	if (strcmp(verb, "storm") == 0)
		return set_storm(l, words, count, e);
	if (strcmp(verb, "stats") == 0)
		return say_stats(c, ret, e);
	if (strcmp(verb, "slow-start") == 0 && count == 2)
		l->slow_start = strcmp(words[1], "on") == 0;
	else if (strcmp(verb, "calm") == 0)
		link_faults_mend(&l->faults);
	else if (strcmp(verb, "cut") == 0)
		l->is_cut = true;
	else if (strcmp(verb, "refuse") == 0)
		c->refuses = true;
	else if (strcmp(verb, "reset") == 0)
		c->wants_reset = true;
	else if (strcmp(verb, "mend") == 0)
		mend(c);
	else if (strcmp(verb, "zero") == 0)
		zero(l);
	else if (strcmp(verb, "quit") == 0)
		c->wants_quit = true;
	else
		return err_set(e, ERR_USAGE, "not a command: %s", verb);
	return 0;
}

int link_control_command(struct link_control *c, const char *line, struct buf *ret, struct err *e)
{
	auto_free char *copy = mem_strdup(line, e);
	char *words[WORDS_MAX], *save = NULL;
	int count = 0;

	if (!copy)
		return -1;
	for (char *word = strtok_r(copy, " \n", &save); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " \n", &save))
		words[count++] = word;
	return obey(c, words, count, ret, e);
}
