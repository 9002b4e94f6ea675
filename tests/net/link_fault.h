/* SPDX-License-Identifier: Apache-2.0 */
/* Which fault the next answer suffers: as demanded, else by chance.
 *
 * A fault strikes a turn: a request of HTTP/1.1, or for speech that the link cannot read (TLS) the client's
 * first bytes and those that follow an answer. Kinds from `whole` on need HTTP/1.1 in the clear and are not
 * drawn elsewhere. One thread. */
#ifndef FLOE_TESTS_NET_LINK_FAULT_H
#define FLOE_TESTS_NET_LINK_FAULT_H

#include <stdbool.h>
#include <stdint.h>

enum link_fault_kind {
	LINK_FAULT_NONE,
	LINK_DROP,     /* resets the connection after `at` bytes of the answer; 0: instead of it */
	LINK_STALL,    /* says nothing from there on, and stays connected */
	LINK_TRUNCATE, /* closes in good order there */
	LINK_CORRUPT,  /* one bit of that byte is wrong */
	LINK_WHOLE,    /* 200 with all of the file for 206 */
	LINK_ETAG,     /* another ETag */
	LINK_GZIP,     /* says Content-Encoding: gzip */
	LINK_PORTAL,   /* 200 with a login page */
	LINK_403,
	LINK_404,
	LINK_416,
	LINK_503, /* Retry-After: `at` seconds */
	LINK_FAULT_COUNT,
};

struct link_fault {
	enum link_fault_kind kind;
	uint64_t at; /* for HTTP counted from the body's first byte */
};

struct link_faults {
	struct link_fault demanded;
	unsigned times; /* demanded so often; 0 while a fault is demanded: always */
	unsigned skip;  /* so many turns go well before */
	unsigned percent;
	uint32_t allowed; /* bits by kind, of those that chance may draw */
	uint64_t random;
	uint64_t counts[LINK_FAULT_COUNT]; /* by kind, of what was handed out */
};

/* LINK_FAULT_NONE when there is no such kind. */
enum link_fault_kind link_fault_named(const char *name);
const char *link_fault_name(enum link_fault_kind kind);
void link_faults_demand(struct link_faults *f, struct link_fault fault, unsigned times, unsigned skip);
/* `allowed` 0 = every kind. The same seed and the same turns bring the same faults. */
void link_faults_storm(struct link_faults *f, unsigned percent, uint64_t seed, uint32_t allowed);
void link_faults_mend(struct link_faults *f); /* keeps the counts */
struct link_fault link_faults_next(struct link_faults *f, bool is_http);
static inline bool link_fault_has_place(enum link_fault_kind kind)
{
	return kind >= LINK_DROP && kind <= LINK_CORRUPT;
}

#endif
