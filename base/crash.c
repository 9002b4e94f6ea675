/* SPDX-License-Identifier: Apache-2.0 */
/* The dying process's side; see crash.h. The handler uses async-signal-safe calls only; backtrace() is one
 * once it has been called before, which crash_listen does. */
#include "base/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/sync.h"

enum { STACK = 48 * 1024, GUARD = 64 * 1024, FD_MIN = 64, LINE = 512, OTHERS_WAIT_MS = 300 };

#define MAGIC "floecr1"
static const int handled[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };

static struct crash_area *area; /* NULL = nobody wants to know; set before other threads exist */
static void (*last_act)(void);
static pid_t owner; /* children of ours have nothing to do with the area */

static _Thread_local bool has_stack;
static _Thread_local uint32_t own_thread;
static pthread_key_t stack_key; /* each thread's stack for the handler: mapped apart, so that it is not there
				   until it is used */

/* ---- making and taking -------------------------------------------------------------------- */

int crash_area_make(void)
{
	const struct crash_head head = { MAGIC, sizeof(struct crash_area), sync_now_ms() };
	int fd = memfd_create("floe-crash", MFD_CLOEXEC | MFD_ALLOW_SEALING), high;

	if (fd < 0)
		return -1;
	high = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
	(void)close(fd);
	if (high < 0)
		return -1;
	if (ftruncate(high, sizeof(struct crash_area)) < 0 ||
	    pwrite(high, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    fcntl(high, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		(void)close(high);
		return -1;
	}
	return high;
}

void crash_adopt(int fd)
{
	struct crash_area *found;
	struct stat st;

	if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 || st.st_size != (off_t)sizeof(*found))
		return;
	found = mmap(NULL, sizeof(*found), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (found == MAP_FAILED)
		return;
	if (memcmp(found->head.magic, MAGIC, sizeof(MAGIC)) != 0 || found->head.size != sizeof(*found)) {
		(void)munmap(found, sizeof(*found));
		return;
	}
	(void)close(fd);
	area = found;
}

/* ---- noting --------------------------------------------------------------------------------- */

static void leave_thread(void *map)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	(void)sigaltstack(&none, NULL);
	(void)munmap(map, STACK + GUARD);
}

/* The kernel may put it right below the thread's own stack, which must not run over into it. Without memory
 * the thread goes without. */
static void prepare_thread(void)
{
	stack_t own = { .ss_size = STACK };

	has_stack = true;
	own_thread = (uint32_t)syscall(SYS_gettid);
	own.ss_sp = mmap(NULL, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (own.ss_sp == MAP_FAILED)
		return;
	if (mprotect((char *)own.ss_sp + STACK, GUARD, PROT_NONE) < 0 ||
	    pthread_setspecific(stack_key, own.ss_sp) != 0)
		(void)munmap(own.ss_sp, STACK + GUARD);
	else
		(void)sigaltstack(&own, NULL);
}

void crash_note(uint32_t what, uint64_t node)
{
	struct crash_request *r;
	struct timespec now;

	if (!area)
		return;
	if (!has_stack)
		prepare_thread();
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	r = &area->requests[__atomic_fetch_add(&area->next, 1, __ATOMIC_RELAXED) % CRASH_REQUESTS];
	__atomic_store_n(&r->what, what, __ATOMIC_RELAXED);
	__atomic_store_n(&r->node, node, __ATOMIC_RELAXED);
	__atomic_store_n(&r->thread, own_thread, __ATOMIC_RELAXED);
	__atomic_store_n(&r->at_ms, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
			 __ATOMIC_RELAXED);
}

/* ---- dying ---------------------------------------------------------------------------------- */

static _Noreturn void die(int signal_no)
{
	sigset_t one;

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)signal(signal_no, SIG_DFL);
	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal_no);
	(void)raise(signal_no);
	(void)pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + signal_no);
}

/* "7f00-7f10 r-xp ...": the permissions stand behind the first blank. */
static void take_line(struct crash_area *a, const char *line, size_t len)
{
	const char *blank = memchr(line, ' ', len);

	if (!blank || (size_t)(blank - line) + 3 >= len || blank[3] != 'x' ||
	    a->maps_len + len > sizeof(a->maps))
		return;
	memcpy(a->maps + a->maps_len, line, len);
	a->maps_len += (uint32_t)len;
}

static void take_maps(struct crash_area *a)
{
	static char text[4096], line[LINE];
	size_t len = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	a->maps_len = 0;
	if (fd < 0)
		return;
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (len < sizeof(line))
				line[len++] = text[i];
			if (text[i] != '\n')
				continue;
			line[len - 1] = '\n';
			take_line(a, line, len);
			len = 0;
		}
	(void)close(fd);
}

static void take_stack(struct crash_area *a)
{
	static void *frames[CRASH_FRAMES];
	int count = backtrace(frames, CRASH_FRAMES);

	for (int i = 0; i < count; i++)
		a->frames[i] = (uint64_t)(uintptr_t)frames[i];
	a->frame_count = count > 0 ? (uint32_t)count : 0;
}

static void on_death(int signal_no, siginfo_t *info, void *context)
{
	struct crash_area *a = area;
	uint32_t thread = (uint32_t)syscall(SYS_gettid);
	uint32_t none = 0;

	(void)context;
	if (getpid() != owner)
		die(signal_no);
	if (!__atomic_compare_exchange_n(&a->progress, &none, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		/* Another thread is at it, which gets a moment; or this one has died while it was. */
		const struct timespec moment = { .tv_nsec = OTHERS_WAIT_MS * 1000000L };

		if (a->thread != thread)
			(void)nanosleep(&moment, NULL);
		die(signal_no);
	}
	a->thread = thread;
	a->died_ms = sync_now_ms();
	a->signal = signal_no;
	a->code = info->si_code;
	a->sender = info->si_code <= 0 ? info->si_pid : 0;
	a->address = info->si_code > 0 ? (uint64_t)(uintptr_t)info->si_addr : 0;
	(void)prctl(PR_GET_NAME, a->thread_name);
	take_maps(a);
	take_stack(a);
	__atomic_store_n(&a->progress, 2, __ATOMIC_RELEASE);
	if (last_act)
		last_act();
	die(signal_no);
}

void crash_listen(void (*last)(void))
{
	struct sigaction act = { .sa_sigaction = on_death, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const struct rlimit none = { 0, 0 };
	void *warm[1];

	if (area && pthread_key_create(&stack_key, leave_thread) != 0)
		area = NULL;
	if (!area)
		return;
	last_act = last;
	owner = getpid();
	(void)backtrace(warm, 1); /* loads what it needs */
	prepare_thread();
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		(void)sigaction(handled[i], &act, NULL);
}
