/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal output; see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/sync.h"

static const char *log_program = "floe";
static enum log_level log_level_now = LOG_NORMAL;

void log_setup(const char *program, enum log_level level)
{
	log_program = program;
	log_level_now = level;
}

enum log_level log_get_level(void)
{
	return log_level_now;
}

static void line(const char *fmt, va_list ap)
{
	char text[1024];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)fprintf(stderr, "%s: %s\n", log_program, text);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_note(const char *fmt, ...)
{
	va_list ap;

	if (log_level_now < LOG_NORMAL)
		return;
	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_detail(const char *fmt, ...)
{
	va_list ap;

	if (log_level_now < LOG_VERBOSE)
		return;
	va_start(ap, fmt);
	line(fmt, ap);
	va_end(ap);
}

void log_progress_start(struct log_progress *p, const char *what, uint64_t total, bool is_bytes)
{
	*p = (struct log_progress){ .what = what, .total = total, .is_bytes = is_bytes };
	p->is_shown = log_level_now >= LOG_NORMAL && isatty(STDERR_FILENO);
	p->start_ms = sync_now_ms();
}

static void amount(const struct log_progress *p, uint64_t n, char ret[32])
{
	if (p->is_bytes)
		bytes_human(n, ret);
	else
		(void)snprintf(ret, 32, "%llu", (unsigned long long)n);
}

void log_progress_step(struct log_progress *p, uint64_t done)
{
	uint64_t now = sync_now_ms(), spent = now - p->start_ms, rate;
	char have[32], all[32], speed[32];

	if (!p->is_shown || now - p->last_ms < 100)
		return;
	p->last_ms = now;
	rate = spent ? done * 1000 / spent : 0;
	amount(p, done, have);
	amount(p, p->total, all);
	amount(p, rate, speed);
	if (p->total && rate && done <= p->total)
		(void)fprintf(stderr, "\r\033[K%s: %s of %s (%u %%), %s/s, %llu s left", p->what, have, all,
			      (unsigned)(done * 100 / p->total), speed,
			      (unsigned long long)((p->total - done) / rate));
	else
		(void)fprintf(stderr, "\r\033[K%s: %s, %s/s", p->what, have, speed);
	(void)fflush(stderr);
}

void log_progress_end(struct log_progress *p)
{
	if (p->is_shown && p->last_ms)
		(void)fputs("\r\033[K", stderr);
	p->is_shown = false;
}
