/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of named fields: round trips, and refusal of everything else as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/wire.h"
#include "tests/unit/cmocka_all.h"

static void build(struct wire_out *m)
{
	struct err e;

	assert_int_equal(wire_put_str(m, "type", "run", &e), 0);
	assert_int_equal(wire_put_u64(m, "count", UINT64_C(1) << 40, &e), 0);
	assert_int_equal(wire_put(m, "blob", "a\0b", 3, &e), 0);
	assert_int_equal(wire_put_str(m, "arg", "one", &e), 0);
	assert_int_equal(wire_put_str(m, "arg", "", &e), 0);
	assert_int_equal(wire_put_str(m, "arg", "three", &e), 0);
}

static void check_built(const struct wire_in *m)
{
	static const char *const arg[] = { "one", "", "three" };
	struct wire_field f;
	size_t pos = 0, n = 0;
	uint64_t count;
	struct err e;
	auto_free char *type = wire_str(m, "type", &e);

	assert_string_equal(type, "run");
	assert_int_equal(wire_u64(m, "count", &count, &e), 0);
	assert_true(count == UINT64_C(1) << 40);
	assert_true(wire_find(m, "blob", &f));
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.value, "a\0b", 3);
	while (wire_next(m, &pos, &f)) {
		if (f.name_len != 3 || memcmp(f.name, "arg", 3) != 0)
			continue;
		assert_true(n < 3);
		assert_int_equal(f.len, strlen(arg[n]));
		assert_memory_equal(f.value, arg[n], f.len);
		n++;
	}
	assert_int_equal(n, 3);
	assert_true(wire_is(m, "type", "run"));
	assert_false(wire_is(m, "type", "ru"));
	assert_false(wire_is(m, "nothing", "run"));
}

static void round_trip_in_memory(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct err e;

	(void)state;
	build(&out);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	check_built(&in);
}

static void round_trip_with_descriptors(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	int s[2], p[2], got;
	struct err e;
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	build(&out);
	assert_int_equal(wire_put_fd(&out, p[1], &e), 0);
	assert_int_equal(wire_send(s[0], &out, &e), 0);
	{
		auto_wire_in struct wire_in in = WIRE_IN_INIT;

		assert_int_equal(wire_recv(s[1], &in, &e), 1);
		check_built(&in);
		assert_int_equal(in.nfds, 1);
		got = wire_steal_fd(&in, 0);
		assert_true(got >= 0);
		assert_int_equal(wire_steal_fd(&in, 0), -1);
		assert_int_equal(wire_steal_fd(&in, 5), -1);
	}
	assert_int_equal(fd_write_all(got, "!", 1, &e), 0);
	assert_int_equal(fd_read_exact(p[0], &c, 1, &e), 0);
	fd_close(got);
	fd_close(p[0]);
	fd_close(p[1]);
	fd_close(s[0]);
	{
		auto_wire_in struct wire_in in = WIRE_IN_INIT;

		assert_int_equal(wire_recv(s[1], &in, &e), 0); /* closed */
	}
	fd_close(s[1]);
}

static void descriptors_that_nobody_takes_are_closed(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	struct wire_in in = WIRE_IN_INIT;
	struct err e;
	int s[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(wire_put_fd(&out, s[0], &e), 0);
	assert_int_equal(wire_send(s[0], &out, &e), 0);
	assert_int_equal(wire_recv(s[1], &in, &e), 1);
	assert_int_equal(in.nfds, 1);
	fd = in.fds[0];
	wire_in_fini(&in);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd_close(s[0]);
	fd_close(s[1]);
}

static void empty_message_is_not_end_of_file(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct err e;
	int s[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(wire_send(s[0], &out, &e), 0);
	assert_int_equal(wire_recv(s[1], &in, &e), 1);
	assert_false(wire_is(&in, "type", ""));
	fd_close(s[0]);
	fd_close(s[1]);
}

/* A prefix is a message only when it ends between two fields. */
static void truncation_is_refused(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	struct err e;
	size_t whole = 0;

	(void)state;
	build(&out);
	for (size_t len = 0; len <= out.buf.len; len++) {
		struct wire_in in = WIRE_IN_INIT;

		if (wire_parse(out.buf.data, len, &in, &e) == 0)
			whole++;
		else
			assert_int_equal(e.code, ERR_FORMAT);
		wire_in_fini(&in);
	}
	assert_int_equal(whole, 7); /* nothing, and behind each of six fields */
}

static void lengths_that_lie_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		uint8_t bytes[12];
	} bad[] = {
		{ "name length 0", 7, { 0, 0, 1, 0, 0, 0, 'x' } },
		{ "name length 65", 12, { 65, 0, 0, 0, 0, 0, 'a', 'b', 'c', 'd', 'e', 'f' } },
		{ "name past the end", 8, { 3, 0, 0, 0, 0, 0, 'a', 'b' } },
		{ "value past the end", 8, { 1, 0, 2, 0, 0, 0, 'a', 'b' } },
		{ "value of 4 GiB", 8, { 1, 0, 255, 255, 255, 255, 'a', 'b' } },
		{ "NUL in a name", 8, { 2, 0, 0, 0, 0, 0, 'a', 0 } },
		{ "head only", 6, { 1, 0, 0, 0, 0, 0 } },
		{ "half a head", 3, { 1, 0, 0 } },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct wire_in in = WIRE_IN_INIT;

		if (wire_parse(bad[i].bytes, bad[i].len, &in, &e) == 0)
			fail_msg("accepted: %s", bad[i].what);
		assert_int_equal(e.code, ERR_FORMAT);
		assert_null(in.data);
	}
}

/* Any bytes at all: either refused, or every field lies inside the message. */
static void garbage_never_leads_outside(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	uint8_t bytes[256];
	struct err e;
	unsigned seed = 20240807;

	(void)state;
	build(&out);
	for (int round = 0; round < 20000; round++) {
		struct wire_in in = WIRE_IN_INIT;
		struct wire_field f;
		size_t pos = 0, len = out.buf.len;

		memcpy(bytes, out.buf.data, len);
		for (int flips = 1 + rand_r(&seed) % 4; flips > 0; flips--)
			bytes[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
		if (wire_parse(bytes, len, &in, &e) < 0)
			continue;
		while (wire_next(&in, &pos, &f)) {
			assert_true(f.name >= (const char *)in.data);
			assert_true(f.value + f.len <= in.data + in.len);
		}
		wire_in_fini(&in);
	}
}

static void accessors_refuse_the_wrong_kind(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	struct err e;
	uint64_t n = 3;

	(void)state;
	build(&out);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	assert_null(wire_str(&in, "blob", &e)); /* NUL inside */
	assert_int_equal(e.code, ERR_FORMAT);
	assert_null(wire_str(&in, "nothing", &e));
	assert_int_equal(wire_u64(&in, "type", &n, &e), -1);
	assert_int_equal(n, 3);
	assert_int_equal(wire_u64_or(&in, "type", 9), 9);
	assert_int_equal(wire_u64_or(&in, "nothing", 9), 9);
	assert_true(wire_u64_or(&in, "count", 9) == UINT64_C(1) << 40);
}

static void limits_hold_for_writers(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_free uint8_t *big = calloc(1, WIRE_MAX);
	char name[66];
	struct err e;
	size_t len;

	(void)state;
	memset(name, 'n', 65);
	name[65] = 0;
	assert_int_equal(wire_put_str(&out, name, "", &e), -1);
	assert_int_equal(wire_put_str(&out, "", "x", &e), -1);
	assert_int_equal(wire_put(&out, "big", big, WIRE_MAX, &e), -1);
	assert_int_equal(out.buf.len, 0); /* nothing of a field that did not fit */
	assert_int_equal(wire_put_str(&out, "small", "x", &e), 0);
	len = out.buf.len;
	assert_int_equal(wire_put(&out, "big", big, WIRE_MAX - 20, &e), -1);
	assert_int_equal(out.buf.len, len);
	for (int i = 0; i < WIRE_FDS_MAX; i++)
		assert_int_equal(wire_put_fd(&out, 0, &e), 0);
	assert_int_equal(wire_put_fd(&out, 0, &e), -1);
}

static void errors_travel(void **state)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT, fine = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT, in_fine = WIRE_IN_INIT;
	struct err why, e;

	(void)state;
	(void)err_sys(&why, ENOSPC, "cache");
	assert_int_equal(wire_put_err(&out, &why, &e), 0);
	assert_int_equal(wire_parse(out.buf.data, out.buf.len, &in, &e), 0);
	assert_int_equal(wire_error(&in, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(e.sys, ENOSPC);
	assert_string_equal(e.msg, "cache: No space left on device");
	build(&fine);
	assert_int_equal(wire_parse(fine.buf.data, fine.buf.len, &in_fine, &e), 0);
	assert_int_equal(wire_error(&in_fine, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_in_memory),
		cmocka_unit_test(round_trip_with_descriptors),
		cmocka_unit_test(empty_message_is_not_end_of_file),
		cmocka_unit_test(truncation_is_refused),
		cmocka_unit_test(lengths_that_lie_are_refused),
		cmocka_unit_test(garbage_never_leads_outside),
		cmocka_unit_test(accessors_refuse_the_wrong_kind),
		cmocka_unit_test(limits_hold_for_writers),
		cmocka_unit_test(descriptors_that_nobody_takes_are_closed),
		cmocka_unit_test(errors_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
