/* SPDX-License-Identifier: Apache-2.0 */
/* Killing a traced child at any of its system calls. */
#ifndef FLOE_TEST_KILL_STEPS_H
#define FLOE_TEST_KILL_STEPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* Lets the child, which is stopped, make `steps` stops at system calls and kills it there; false when it came
 * to its end. */
static inline bool kill_at_step(pid_t child, unsigned steps)
{
	int status;

	for (unsigned i = 0; i < steps; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return true;
}

#endif
