/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on demand and by chance; see link_fault.h. */
#include "tests/net/link_fault.h"

#include <string.h>

static const char *const names[LINK_FAULT_COUNT] = {
	"none", "drop",   "stall", "truncate", "corrupt", "whole", "etag",
	"gzip", "portal", "403",   "404",      "416",     "503",
};
enum { PLACE_MAX = 512 * 1024 };

enum link_fault_kind link_fault_named(const char *name)
{
	for (int i = 1; i < LINK_FAULT_COUNT; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum link_fault_kind)i;
	return LINK_FAULT_NONE;
}

const char *link_fault_name(enum link_fault_kind kind)
{
	return names[kind];
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t draw(struct link_faults *f, uint64_t below)
{
	uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

void link_faults_demand(struct link_faults *f, struct link_fault fault, unsigned times, unsigned skip)
{
	f->demanded = fault;
	f->times = times;
	f->skip = skip;
}

void link_faults_storm(struct link_faults *f, unsigned percent, uint64_t seed, uint32_t allowed)
{
	f->percent = percent;
	f->allowed = allowed ? allowed : ~(UINT32_C(1) << LINK_FAULT_NONE);
	f->random = seed;
}

void link_faults_mend(struct link_faults *f)
{
	f->demanded = (struct link_fault){ 0 };
	f->times = 0;
	f->percent = 0;
}

static bool is_possible(enum link_fault_kind kind, bool is_http)
{
	return is_http || link_fault_has_place(kind);
}

static struct link_fault by_chance(struct link_faults *f, bool is_http)
{
	/* Always three draws, so that one turn's fault does not depend on what the others were. */
	bool strikes = draw(f, 100) < f->percent;
	uint64_t which = draw(f, 1000), place = draw(f, PLACE_MAX);
	enum link_fault_kind possible[LINK_FAULT_COUNT];
	struct link_fault fault = { 0 };
	unsigned count = 0;

	for (int kind = 1; kind < LINK_FAULT_COUNT; kind++)
		if ((f->allowed >> kind & 1) && is_possible((enum link_fault_kind)kind, is_http))
			possible[count++] = (enum link_fault_kind)kind;
	if (!strikes || !count)
		return fault;
	fault.kind = possible[which % count];
	if (link_fault_has_place(fault.kind)) /* one in four at once, the others anywhere */
		fault.at = place % 4 ? place : 0;
	return fault;
}

struct link_fault link_faults_next(struct link_faults *f, bool is_http)
{
	struct link_fault fault = { 0 };

	if (f->demanded.kind && f->skip) {
		f->skip--;
	} else if (f->demanded.kind && is_possible(f->demanded.kind, is_http)) {
		fault = f->demanded;
		if (f->times && --f->times == 0)
			f->demanded.kind = LINK_FAULT_NONE;
	} else if (f->percent) {
		fault = by_chance(f, is_http);
	}
	if (fault.kind)
		f->counts[fault.kind]++;
	return fault;
}
