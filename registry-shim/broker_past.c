/* SPDX-License-Identifier: Apache-2.0 */
/* Earlier texts; see broker_past.h. */
#include "registry-shim/broker_past.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

struct broker_client broker_client_of(long pid, uint64_t said_ns)
{
	struct broker_client c = { .pid = pid };
	auto_buf struct buf stat = BUF_INIT(4096);
	unsigned long long ticks;
	char path[64];
	const char *at;
	struct err ignored;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (pid <= 0 || fd_read_file(AT_FDCWD, path, &stat, &ignored) < 0 || !buf_text(&stat, &ignored))
		return (struct broker_client){ 0 };
	/* The name, in parentheses, may have anything in it; the start is the 20th field behind it. */
	at = strrchr((char *)stat.data, ')');
	for (int field = 0; at && field < 20; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &ticks) != 1)
		return (struct broker_client){ 0 };
	c.started_ns = ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	if (said_ns > c.started_ns)
		c.started_ns = said_ns;
	return c;
}

void broker_past_fini(struct broker_past *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->list[i].text);
	free(p->list);
	*p = (struct broker_past){ 0 };
}

static void forget_oldest(struct broker_past *p)
{
	p->bytes -= p->list[0].len;
	free(p->list[0].text);
	p->count--;
	memmove(p->list, p->list + 1, p->count * sizeof(*p->list));
}

void broker_past_add(struct broker_past *p, char *text, size_t len, long by)
{
	auto_free char *owned = text;
	struct err ignored;

	if (!p->list)
		p->list = mem_alloc(BROKER_PAST_TEXTS, sizeof(*p->list), &ignored);
	if (!p->list || !owned || len > BROKER_PAST_BYTES)
		return;
	while (p->count == BROKER_PAST_TEXTS || p->bytes + len > BROKER_PAST_BYTES)
		forget_oldest(p);
	p->list[p->count++] = (struct broker_past_text){ mem_steal(owned), len, now_ns(), by };
	p->bytes += len;
}

size_t broker_past_since(const struct broker_past *p, const struct broker_client *client)
{
	size_t first = p->count;

	if (!client->pid)
		return first;
	while (first > 0 && p->list[first - 1].until_ns >= client->started_ns &&
	       p->list[first - 1].by != client->pid)
		first--;
	return first;
}

bool broker_past_has(const struct broker_past *p, size_t from, const char *text, size_t len)
{
	for (size_t i = from; i < p->count; i++)
		if (p->list[i].len == len && !memcmp(p->list[i].text, text, len))
			return true;
	return false;
}
