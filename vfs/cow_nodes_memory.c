/* SPDX-License-Identifier: Apache-2.0 */
/* See cow_nodes_memory.h. A segment belongs to its class for good: records that were given back are used
 * again, memory does not go back to the system before the memfd is closed. */
#include "vfs/cow_nodes_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static const uint64_t table_magic = UINT64_C(0x31656c6261746f6c); /* "lotable1" */

enum {
	BACK = 64 << 10,      /* bytes of memory asked for at a time */
	NODES_AT_REST = 256,  /* free ones at least before one is used again: late ends of its last life */
	SEGMENTS_MIN = 1 << 8 /* of address space */
};

static const uint16_t rooms[COW_NAME_ROOMS] = { 8, 16, 24, 32, 48, 64, 96, 128, 192, 256 };

struct table_header { /* at 0 */
	uint64_t magic;
	uint64_t version;
	uint64_t segments;
	struct cow_request_note notes[COW_NOTES]; /* cow_nodes_note */
	struct cow_time_record times[COW_TIMES];
	uint64_t step_count; /* > 0: a step that is to be carried out (again) */
	struct {
		uint64_t off, value;
	} step[COW_STEP_MAX];
};

_Static_assert(sizeof(struct table_header) <= 4096, "what is backed of the first segment");

struct segment_header {
	uint64_t class_no;
	uint64_t place; /* of a node segment: among those */
	uint64_t used;  /* records handed out at least once */
};

static struct table_header *header_of(const struct cow_memory *m)
{
	return (struct table_header *)(void *)m->base;
}

static struct segment_header *segment_of(const struct cow_memory *m, uint32_t segment)
{
	return (struct segment_header *)(void *)(m->base + (uint64_t)segment * COW_SEGMENT);
}

static size_t record_size(unsigned class_no)
{
	if (class_no == COW_CLASS_NODE)
		return sizeof(struct cow_node_record);
	if (class_no == COW_CLASS_PATH)
		return sizeof(struct cow_path_record);
	return sizeof(struct cow_name_record) + rooms[class_no - COW_CLASS_NAME];
}

unsigned cow_memory_name_class(size_t len)
{
	unsigned i = 0;

	while (rooms[i] < len)
		i++;
	return COW_CLASS_NAME + i;
}

/* ---- segments */

static bool map_segment(struct cow_memory *m, uint32_t segment)
{
	uint64_t off = (uint64_t)segment * COW_SEGMENT;

	return mmap(m->base + off, COW_SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
		    (off_t)off) != MAP_FAILED;
}

static bool back(struct cow_memory *m, uint32_t segment, size_t from, size_t to)
{
	int r;

	do
		r = fallocate(m->fd, FALLOC_FL_KEEP_SIZE, (off_t)((uint64_t)segment * COW_SEGMENT + from),
			      (off_t)(to - from));
	while (r < 0 && errno == EINTR);
	if (r == 0)
		m->backed += to - from;
	return r == 0;
}

static bool note_node_segment(struct cow_memory *m, uint32_t segment)
{
	struct err ignored;
	uint32_t *wider = mem_grow(m->node_segment, m->node_segments + 1, sizeof(*wider), &ignored);

	if (!wider)
		return false;
	m->node_segment = wider;
	m->node_segment[m->node_segments++] = segment;
	return true;
}

static bool add_segment(struct cow_memory *m, unsigned class_no)
{
	uint32_t segment = m->segments;
	uint64_t size = (uint64_t)(segment + 1) * COW_SEGMENT;
	struct stat st;

	if (segment == m->segments_max)
		return false;
	/* A predecessor may have come as far as this. */
	if (fstat(m->fd, &st) < 0 || ((uint64_t)st.st_size < size && ftruncate(m->fd, (off_t)size) < 0))
		return false;
	if (!map_segment(m, segment) || !back(m, segment, 0, BACK))
		return false;
	if (class_no == COW_CLASS_NODE && !note_node_segment(m, segment))
		return false;
	*segment_of(m, segment) =
		(struct segment_header){ .class_no = class_no,
					 .place = class_no == COW_CLASS_NODE ? m->node_segments - 1 : 0 };
	m->segment_class[segment] = (uint8_t)class_no;
	m->segments++;
	cow_memory_set(&header_of(m)->segments, m->segments);
	m->classes[class_no].segment = segment;
	m->classes[class_no].used = 0;
	m->classes[class_no].backed_len = BACK;
	return true;
}

/* ---- records */

static cow_ref ref_of(uint32_t segment, uint64_t off)
{
	return (cow_ref)(segment * COW_SEGMENT_REFS + off / COW_REF_UNIT);
}

static cow_ref take_fresh(struct cow_memory *m, unsigned class_no)
{
	struct cow_memory_class *c = &m->classes[class_no];
	size_t off;

	if ((!c->segment || c->used == c->capacity) && !add_segment(m, class_no))
		return 0;
	off = COW_SEGMENT_HEADER + c->used * c->size;
	while (off + c->size > c->backed_len) {
		if (!back(m, c->segment, c->backed_len, c->backed_len + BACK))
			return 0;
		c->backed_len += BACK;
	}
	c->used++;
	cow_memory_set(&segment_of(m, c->segment)->used, c->used);
	return ref_of(c->segment, off);
}

static cow_ref take_free(struct cow_memory *m, unsigned class_no)
{
	struct cow_memory_class *c = &m->classes[class_no];
	cow_ref ref = c->free;

	if (ref) {
		c->free = ((struct cow_record *)cow_memory_at(m, ref))->next;
		c->free_count--;
	}
	return ref;
}

cow_ref cow_memory_take(struct cow_memory *m, unsigned class_no)
{
	const struct cow_memory_class *c = &m->classes[class_no];
	cow_ref ref = 0;

	if (class_no != COW_CLASS_NODE || c->free_count > NODES_AT_REST)
		ref = take_free(m, class_no);
	if (!ref)
		ref = take_fresh(m, class_no);
	if (!ref)
		ref = take_free(m, class_no);
	return ref;
}

void cow_memory_give(struct cow_memory *m, cow_ref ref)
{
	struct cow_memory_class *c = &m->classes[m->segment_class[ref / COW_SEGMENT_REFS]];

	((struct cow_record *)cow_memory_at(m, ref))->next = 0;
	if (c->free)
		((struct cow_record *)cow_memory_at(m, c->free_last))->next = ref;
	else
		c->free = ref;
	c->free_last = ref;
	c->free_count++;
}

bool cow_memory_has(const struct cow_memory *m, cow_ref ref, unsigned class_no)
{
	uint32_t segment = ref / COW_SEGMENT_REFS;
	uint64_t off = (uint64_t)(ref % COW_SEGMENT_REFS) * COW_REF_UNIT;
	size_t size = m->classes[class_no].size;

	if (segment == 0 || segment >= m->segments || m->segment_class[segment] != class_no ||
	    off < COW_SEGMENT_HEADER || (off - COW_SEGMENT_HEADER) % size)
		return false;
	return (off - COW_SEGMENT_HEADER) / size < cow_memory_used(m, segment);
}

/* The header's word was checked when the segment was taken over; whoever holds the memfd is trusted now. */
uint32_t cow_memory_used(const struct cow_memory *m, uint32_t segment)
{
	return (uint32_t)segment_of(m, segment)->used;
}

cow_ref cow_memory_first(uint32_t segment)
{
	return ref_of(segment, COW_SEGMENT_HEADER);
}

static cow_ref node_ref(const struct cow_memory *m, uint64_t id)
{
	return (cow_ref)((uint64_t)((uint8_t *)cow_memory_node(m, id) - m->base) / COW_REF_UNIT);
}

uint64_t cow_memory_take_node(struct cow_memory *m)
{
	cow_ref ref = cow_memory_take(m, COW_CLASS_NODE);
	uint32_t segment = ref / COW_SEGMENT_REFS;
	uint64_t off = (uint64_t)(ref % COW_SEGMENT_REFS) * COW_REF_UNIT, id;

	if (!ref)
		return 0;
	id = segment_of(m, segment)->place * COW_SEGMENT_NODES +
	     (off - COW_SEGMENT_HEADER) / sizeof(struct cow_node_record);
	if (id >= m->nodes_used)
		m->nodes_used = id + 1;
	return id;
}

void cow_memory_give_node(struct cow_memory *m, uint64_t id)
{
	cow_memory_give(m, node_ref(m, id));
}

/* ---- steps */

static void carry_out(struct cow_memory *m)
{
	struct table_header *h = header_of(m);

	for (uint64_t i = 0; i < h->step_count; i++)
		cow_memory_set((uint64_t *)(void *)(m->base + h->step[i].off), h->step[i].value);
	cow_memory_set(&h->step_count, 0);
}

void cow_memory_do(struct cow_memory *m, const struct cow_step *s)
{
	struct table_header *h = header_of(m);

	if (s->count == 1) {
		cow_memory_set(s->stores[0].at, s->stores[0].value);
		return;
	}
	for (unsigned i = 0; i < s->count; i++) {
		h->step[i].off = (uint64_t)((const uint8_t *)s->stores[i].at - m->base);
		h->step[i].value = s->stores[i].value;
	}
	cow_memory_set(&h->step_count, s->count);
	carry_out(m);
}

/* ---- opening */

static int reserve(struct cow_memory *m, struct err *e)
{
	for (uint32_t count = COW_SEGMENTS_MAX; count >= SEGMENTS_MIN; count /= 2) {
		void *p = mmap(NULL, (size_t)count * COW_SEGMENT, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p != MAP_FAILED) {
			m->base = p;
			m->segments_max = count;
			m->segment_class = mem_alloc(count, 1, e);
			return m->segment_class ? 0 : -1;
		}
	}
	return err_sys(e, errno, "cannot reserve address space for the node table");
}

static int make(struct cow_memory *m, struct err *e)
{
	if (ftruncate(m->fd, 0) < 0 || ftruncate(m->fd, COW_SEGMENT) < 0 || !back(m, 0, 0, 4096) ||
	    !map_segment(m, 0))
		return err_sys(e, errno, "cannot make the node table");
	header_of(m)->version = COW_TABLE_VERSION;
	header_of(m)->segments = m->segments = 1;
	cow_memory_set(&header_of(m)->magic, table_magic);
	return 0;
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, ERR_FORMAT, "the node table that was left behind is damaged: %s", what);
}

static int keep_segment(struct cow_memory *m, uint32_t segment, struct err *e)
{
	struct segment_header *h = segment_of(m, segment);
	struct cow_memory_class *c;
	size_t end;

	if (h->class_no >= COW_CLASSES)
		return bad(e, "a segment of no class");
	c = &m->classes[h->class_no];
	if (h->used > c->capacity)
		return bad(e, "a segment that is more than full");
	if (h->class_no == COW_CLASS_NODE) {
		if (h->place != m->node_segments)
			return bad(e, "node segments are out of order");
		if (m->node_segments && cow_memory_used(m, m->node_segment[h->place - 1]) != c->capacity)
			return bad(e, "a node segment has a gap");
		if (!note_node_segment(m, segment))
			return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (h->class_no == COW_CLASS_NODE)
		m->nodes_used = h->place * COW_SEGMENT_NODES + h->used;
	m->segment_class[segment] = (uint8_t)h->class_no;
	end = COW_SEGMENT_HEADER + h->used * c->size;
	c->segment = segment;
	c->used = (uint32_t)h->used;
	c->backed_len = (end + BACK - 1) / BACK * BACK;
	m->backed += c->backed_len;
	return 0;
}

static int finish_step(struct cow_memory *m, struct err *e)
{
	struct table_header *h = header_of(m);

	if (h->step_count > COW_STEP_MAX)
		return bad(e, "a step that is too long");
	for (uint64_t i = 0; i < h->step_count; i++) {
		uint64_t off = h->step[i].off;

		if (off % sizeof(uint64_t) || off / COW_SEGMENT < 1 || off / COW_SEGMENT >= m->segments ||
		    off % COW_SEGMENT < COW_SEGMENT_HEADER)
			return bad(e, "a step to nowhere");
	}
	carry_out(m);
	return 0;
}

static int keep_all(struct cow_memory *m, uint64_t size, struct err *e)
{
	const struct table_header *h = header_of(m);

	if (h->magic != table_magic || h->version != COW_TABLE_VERSION)
		return bad(e, "it is none of this version");
	if (h->segments < 1 || h->segments > m->segments_max || h->segments > size / COW_SEGMENT)
		return bad(e, "it is cut off");
	m->segments = (uint32_t)h->segments;
	m->backed = 4096;
	for (uint32_t i = 1; i < m->segments; i++) {
		if (!map_segment(m, i))
			return err_sys(e, errno, "cannot map the node table");
		if (keep_segment(m, i, e) < 0)
			return -1;
	}
	return finish_step(m, e);
}

int cow_memory_open(int fd, bool keep, struct cow_memory *ret, bool *ret_made, struct err *e)
{
	struct cow_memory m = { .fd = fd };
	struct stat st;
	int r;

	for (unsigned i = 0; i < COW_CLASSES; i++) {
		m.classes[i].size = record_size(i);
		m.classes[i].capacity = (uint32_t)((COW_SEGMENT - COW_SEGMENT_HEADER) / record_size(i));
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, errno, "cannot look at the node table");
	if (reserve(&m, e) < 0) {
		cow_memory_close(&m);
		return -1;
	}
	keep = keep && st.st_size > 0;
	if (keep && (st.st_size < COW_SEGMENT || st.st_size % COW_SEGMENT)) {
		r = bad(e, "its size makes no sense");
	} else if (keep && !map_segment(&m, 0)) {
		r = err_sys(e, errno, "cannot map the node table");
	} else {
		/* Who died while making it had told nobody anything. */
		if (keep && header_of(&m)->magic == 0 && header_of(&m)->segments <= 1)
			keep = false;
		r = keep ? keep_all(&m, (uint64_t)st.st_size, e) : make(&m, e);
	}
	if (r < 0) {
		cow_memory_close(&m);
		return -1;
	}
	*ret = m;
	*ret_made = !keep;
	return 0;
}

struct cow_request_note *cow_memory_note(const struct cow_memory *m, uint64_t number)
{
	return &header_of(m)->notes[number % COW_NOTES];
}

struct cow_time_record *cow_memory_times(const struct cow_memory *m)
{
	return header_of(m)->times;
}

void cow_memory_close(struct cow_memory *m)
{
	if (m->base)
		(void)munmap(m->base, (size_t)m->segments_max * COW_SEGMENT);
	free(m->segment_class);
	free(m->node_segment);
	*m = (struct cow_memory){ .fd = -1 };
}
