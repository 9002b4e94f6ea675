/* SPDX-License-Identifier: Apache-2.0 */
/* Lack of memory at every allocation that a message or a path needs: an error each time, no leak, no
 * descriptor left open. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/wire.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/faults.h"

static int send_and_receive(void *arg)
{
	auto_wire_out struct wire_out out = WIRE_OUT_INIT;
	auto_wire_in struct wire_in in = WIRE_IN_INIT;
	auto_free char *text = NULL;
	static char filler[4096];
	auto_fd int a = -1, b = -1, null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct err e;
	int s[2], rc;

	(void)arg;
	memset(filler, 'f', sizeof(filler) - 1);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s) < 0)
		return -1;
	a = s[0];
	b = s[1];
	if (wire_put_str(&out, "small", "x", &e) < 0 || wire_put_str(&out, "large", filler, &e) < 0 ||
	    wire_put_fd(&out, null, &e) < 0 || wire_send(a, &out, &e) < 0) {
		assert_int_equal(e.code, ERR_NOMEM);
		return -1;
	}
	rc = wire_recv(b, &in, &e);
	text = rc == 1 ? wire_str(&in, "large", &e) : NULL;
	if (!text) {
		assert_int_equal(e.code, ERR_NOMEM);
		return -1;
	}
	return 0;
}

static int write_and_read(void *arg)
{
	auto_buf struct buf b = BUF_INIT(4096);
	auto_free char *path = NULL;
	struct err e;

	path = path_join(arg, "x/../file", &e);
	if (path) {
		char *abs = path_absolute(path, &e);

		free(path);
		path = abs;
	}
	if (!path || fd_write_file(AT_FDCWD, path, "content", 7, 0600, &e) < 0 ||
	    fd_read_file(AT_FDCWD, path, &b, &e) < 0 || !buf_text(&b, &e)) {
		assert_int_equal(e.code, ERR_NOMEM);
		return -1;
	}
	assert_string_equal((const char *)b.data, "content");
	return 0;
}

static void messages_survive_lack_of_memory(void **state)
{
	int before = dup(0), after;

	(void)state;
	assert_true(faults_sweep(send_and_receive, NULL) >= 4);
	fd_close(before);
	after = dup(0);
	assert_int_equal(after, before); /* the lowest free descriptor is still the same */
	fd_close(after);
}

static void files_survive_lack_of_memory(void **state)
{
	char dir[] = "/tmp/floe-test-faults-XXXXXX";
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_true(faults_sweep(write_and_read, dir) >= 3);
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_survive_lack_of_memory),
		cmocka_unit_test(files_survive_lack_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
