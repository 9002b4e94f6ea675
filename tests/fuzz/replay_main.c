/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without a fuzzer: replay [-n ROUNDS] FILE... gives it each file as it is and then ROUNDS
 * mutations of it, always the same ones. With libFuzzer this file is left out. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "tests/fuzz/fuzz.h"

enum { INPUT_MAX = 16 << 20, CHANGES_MAX = 8 };

static uint64_t state;

/* xorshift64* */
static uint64_t next(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(2685821657736338717);
}

static void change(struct buf *b)
{
	static const uint8_t telling[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '"', '/', '\n' };
	size_t at = next() % b->len;

	/* Most of a database is free space, which nobody reads. */
	for (int tries = 0; tries < 16 && !b->data[at]; tries++)
		at = next() % b->len;
	switch (next() % 6) {
	case 0:
		b->data[at] ^= (uint8_t)(1 << next() % 8);
		break;
	case 1:
		b->data[at] = telling[next() % sizeof(telling)];
		break;
	case 2: /* a big-endian or little-endian number */
		for (size_t i = 0; i < 4 && at + i < b->len; i++)
			b->data[at + i] = (uint8_t)(next() >> (next() % 56));
		break;
	case 3: /* a piece from elsewhere */
		for (size_t i = 0, from = next() % b->len; i < 16 && at + i < b->len && from + i < b->len;
		     i++)
			b->data[at + i] = b->data[from + i];
		break;
	case 4: /* cut */
		if (next() % 16 == 0)
			b->len = at + 1;
		break;
	default:
		b->data[at] = (uint8_t)next();
		break;
	}
}

static int replay(const char *path, unsigned long rounds)
{
	struct buf original = BUF_INIT(INPUT_MAX), mutated = BUF_INIT(INPUT_MAX);
	struct err e;

	if (fd_read_file(AT_FDCWD, path, &original, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	fuzz_any(LLVMFuzzerTestOneInput(original.data, original.len));
	state = UINT64_C(0x9e3779b97f4a7c15) ^ original.len;
	for (unsigned long round = 0; original.len && round < rounds; round++) {
		unsigned changes = 1 + (unsigned)(next() % CHANGES_MAX);
		uint8_t *exact;

		buf_reset(&mutated);
		if (buf_add(&mutated, original.data, original.len, &e) < 0)
			break;
		while (changes--)
			change(&mutated);
		/* Of just that size, so that a sanitizer sees the first byte too many. */
		exact = malloc(mutated.len);
		if (!exact)
			break;
		memcpy(exact, mutated.data, mutated.len);
		fuzz_any(LLVMFuzzerTestOneInput(exact, mutated.len));
		free(exact);
	}
	buf_fini(&original);
	buf_fini(&mutated);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0;
	int i = 1, rc = 0;

	if (argc > 2 && !strcmp(argv[1], "-n")) {
		rounds = strtoul(argv[2], NULL, 10);
		i = 3;
	}
	for (; i < argc; i++)
		rc |= replay(argv[i], rounds);
	return rc ? 1 : 0;
}
