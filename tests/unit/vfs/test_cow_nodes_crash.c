/* SPDX-License-Identifier: Apache-2.0 */
/* The union's node table after its server was killed, or its memory damaged. A child carries out operations
 * made up from a seed; who takes over must find what all finished ones have made of it, with the one in
 * flight or without. Killed after every single instruction (by tracing it), and at random moments. */
#include "vfs/cow_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/sanitized.h"
#include "tests/unit/vfs/nodes_model.h"

enum { OPS_MAX = 200000 };

struct journal { /* what the child has done, shared with it */
	atomic_uint_fast64_t finished;
	struct {
		uint64_t id, generation;
	} results[OPS_MAX];
};

static struct journal *journal;

static const char *lost_text(uint64_t value, char ret[32])
{
	(void)snprintf(ret, 32, "lost/%lu", (unsigned long)value);
	return ret;
}

/* ---- carrying out */

static int carry_out_seen(struct cow_nodes *t, const struct model *m, const struct model_op *op,
			  struct cow_node *ret)
{
	char text[NAME_MAX + 1];
	struct cow_sighting s = { .parent = m->nodes[op->parent].id,
				  .name = model_text(op->part, text),
				  .type = op->type,
				  .identity = op->identity };

	return op->kind == MODEL_SEEN ? cow_nodes_seen(t, &s, ret) : cow_nodes_add_orphan(t, &s, ret);
}

static int carry_out(struct cow_nodes *t, const struct model *m, const struct model_op *op,
		     struct cow_node *ret)
{
	char text[NAME_MAX + 1], text2[NAME_MAX + 1], lost[32];
	struct cow_rename r = { m->nodes[op->parent].id, m->nodes[op->parent2].id, model_text(op->part, text),
				model_text(op->part2, text2), op->exchange };
	uint64_t id = m->nodes[op->node].id;

	switch (op->kind) {
	case MODEL_SEEN:
	case MODEL_ORPHAN:
		return carry_out_seen(t, m, op, ret);
	case MODEL_FORGET:
		(void)cow_nodes_forget(t, id, op->value, ret);
		return 0;
	case MODEL_LINK:
		return cow_nodes_link(t, id, r.old_parent, text);
	case MODEL_UNLINK:
		cow_nodes_unlink(t, r.old_parent, text);
		return 0;
	case MODEL_BEGIN:
		return cow_nodes_rename_begin(t, &r);
	case MODEL_END:
		cow_nodes_rename_end(t, &r, op->done);
		return 0;
	case MODEL_IDENTITY:
		return cow_nodes_set_identity(t, id, &op->identity);
	case MODEL_FACTS:
		return cow_nodes_set_flags(t, id, op->value & (COW_NODE_LINKED | COW_NODE_LOST),
					   op->value >> 8 & COW_NODE_LINKED);
	case MODEL_LOST:
		return cow_nodes_set_lost_path(t, id, lost_text(op->value, lost));
	default:
		return 0;
	}
}

/* One operation on table and model, the result noted. */
static bool go_on(struct cow_nodes *t, struct model *m, uint64_t *seed, void (*around)(void))
{
	uint64_t number = journal->finished;
	struct model_op op = model_make_up(m, seed);
	struct cow_node n = { 0 };
	unsigned touched;
	int r;

	if (around)
		around();
	r = carry_out(t, m, &op, &n);
	if (around)
		around();
	touched = model_apply(m, &op);
	m->numbers += 100000;
	if (r != 0) {
		print_message("operation %lu (kind %d): %s\n", (unsigned long)number, op.kind, strerror(r));
		return false;
	}
	if (touched) {
		if (m->nodes[touched].id != 0 && m->nodes[touched].id != n.id) {
			print_message("operation %lu (kind %d): another node\n", (unsigned long)number,
				      op.kind);
			return false;
		}
		m->nodes[touched].id = n.id;
		m->nodes[touched].generation = n.generation;
	}
	journal->results[number].id = n.id;
	journal->results[number].generation = n.generation;
	journal->finished = number + 1;
	return true;
}

/* The same on the model alone, from the notes. */
static void follow(struct model *m, uint64_t *seed, uint64_t number)
{
	struct model_op op = model_make_up(m, seed);
	unsigned touched = model_apply(m, &op);

	m->numbers += 100000;
	if (touched) {
		m->nodes[touched].id = journal->results[number].id;
		m->nodes[touched].generation = journal->results[number].generation;
	}
}

/* ---- comparing */

struct told {
	const struct model *m;
	unsigned count;
	bool wrong;
};

static void on_pending(void *arg, const struct cow_rename *r)
{
	struct told *told = arg;
	char old_text[NAME_MAX + 1], new_text[NAME_MAX + 1];
	bool found = false;

	told->count++;
	for (unsigned i = 0; i < MODEL_PENDING; i++) {
		const struct model_pending *p = &told->m->pending[i];

		found |= p->is_there && r->old_parent == told->m->nodes[p->old_parent].id &&
			 r->new_parent == told->m->nodes[p->new_parent].id && r->exchange == p->exchange &&
			 strcmp(r->old_name, model_text(p->old_part, old_text)) == 0 &&
			 strcmp(r->new_name, model_text(p->new_part, new_text)) == 0;
	}
	told->wrong |= !found;
}

static const char *compare_node(struct cow_nodes *t, const struct model_node *want)
{
	char path[PATH_MAX], text[32];
	struct cow_node n;
	int r;

	if (cow_nodes_get(t, want->id, &n) != 0)
		return "a node is missing";
	if ((want->generation && n.generation != want->generation) || n.type != want->type ||
	    n.flags != want->flags)
		return "a node differs";
	if (n.identity.layer != want->identity.layer || n.identity.ino != want->identity.ino ||
	    n.identity.dev != want->identity.dev)
		return "an identity differs";
	r = cow_nodes_lost_path(t, want->id, path);
	if (want->lost ? r != 0 || strcmp(path, lost_text(want->lost, text)) != 0 : r != ENOENT)
		return "a lost path differs";
	return NULL;
}

/* Lookups may be as many as they were, not one less: the node is there until the last is forgotten. */
static const char *compare_lookups(struct cow_nodes *t, struct model *m)
{
	struct cow_node n;

	for (unsigned i = MODEL_NODES - 1; i > COW_ROOT; i--) {
		struct model_node *node = &m->nodes[i];

		if (!node->is_there || node->lookups == 0)
			continue;
		if (node->lookups > 1)
			(void)cow_nodes_forget(t, node->id, node->lookups - 1, &n);
		if (cow_nodes_get(t, node->id, &n) != 0)
			return "lookups got lost";
		(void)cow_nodes_forget(t, node->id, 1, &n);
		node->lookups = 0;
		model_settle(m);
		for (unsigned k = 1; k < MODEL_NODES; k++)
			if ((m->nodes[k].is_there || k == i) &&
			    m->nodes[k].is_there != (cow_nodes_get(t, m->nodes[k].id, &n) == 0))
				return "what goes with the last lookup differs";
	}
	return NULL;
}

/* NULL: they agree. The table is used up. */
static const char *compare(struct cow_nodes *t, struct model m)
{
	struct told told = { .m = &m };
	struct cow_nodes_stats stats;
	unsigned nodes, names, pending = 0;
	char text[NAME_MAX + 1];
	struct cow_node n;

	nodes = model_count(&m, &names);
	cow_nodes_stats(t, &stats);
	if (stats.nodes != nodes || stats.names != names)
		return "there are more or less";
	for (unsigned i = 0; i < MODEL_NAMES; i++) {
		struct model_node *want = &m.nodes[m.names[i].node], *parent = &m.nodes[m.names[i].parent];

		if (!m.names[i].node || parent->id == 0)
			continue;
		if (cow_nodes_child(t, parent->id, model_text(m.names[i].part, text), &n) != 0)
			return "a name is missing";
		if (want->id == 0) /* in flight: nobody has been told */
			want->id = n.id;
		if (want->id != n.id)
			return "a name is another's";
	}
	for (unsigned i = 1; i < MODEL_NODES; i++) {
		const char *why = m.nodes[i].is_there && m.nodes[i].id ? compare_node(t, &m.nodes[i]) : NULL;

		if (why)
			return why;
		if (m.nodes[i].is_there && !m.nodes[i].id)
			m.nodes[i].lookups = 0; /* an orphan in flight */
	}
	for (unsigned i = 0; i < MODEL_PENDING; i++)
		pending += m.pending[i].is_there;
	cow_nodes_rename_pending(t, on_pending, &told);
	if (told.wrong || told.count != pending)
		return "the pending renames differ";
	return compare_lookups(t, &m);
}

/* ---- a table's memory, copied */

/* Beginnings of the segments: the test's tables do not need more. */
enum { SEGMENT = 1 << 20, SEGMENTS = 14, BEGINNING = 24 << 10 };

struct copy {
	int fd;
	uint8_t *at; /* of all segments */
	uint8_t shadow[SEGMENTS][BEGINNING];
	size_t segments;
};

static uint8_t *map_all(int fd)
{
	uint8_t *p = mmap(NULL, (size_t)SEGMENTS * SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Has anything changed since the last time? */
static bool take_copy(struct copy *c, int fd, const uint8_t *from)
{
	size_t segments = (size_t)lseek(fd, 0, SEEK_END) / SEGMENT;
	bool is_new = segments != c->segments;

	assert_true(segments <= SEGMENTS);
	c->segments = segments;
	for (size_t i = 0; i < segments; i++)
		if (memcmp(c->shadow[i], from + i * SEGMENT, BEGINNING) != 0) {
			memcpy(c->shadow[i], from + i * SEGMENT, BEGINNING);
			is_new = true;
		}
	return is_new;
}

static struct cow_nodes *open_copy(struct copy *c, struct err *e)
{
	struct cow_nodes *t = NULL;

	assert_int_equal(ftruncate(c->fd, (off_t)(c->segments * SEGMENT)), 0);
	for (size_t i = 0; i < c->segments; i++)
		memcpy(c->at + i * SEGMENT, c->shadow[i], BEGINNING);
	return cow_nodes_open(c->fd, true, &t, e) == 0 ? t : NULL;
}

/* Does what was copied agree with one of the models? */
static void check_copy(struct copy *c, const struct model *before, const struct model *after, uint64_t number,
		       const struct model_op *op)
{
	const char *why_not_before, *why_not_after;
	struct cow_nodes *t;
	struct err e;

	t = open_copy(c, &e);
	if (!t) {
		fail_msg("operation %lu (kind %d): %s", (unsigned long)number, op->kind, e.msg);
		return;
	}
	why_not_before = compare(t, *before);
	cow_nodes_close(t);
	if (!why_not_before)
		return;
	t = open_copy(c, &e);
	assert_non_null(t);
	why_not_after = compare(t, *after);
	cow_nodes_close(t);
	if (why_not_after)
		fail_msg("operation %lu (kind %d): not the old state: %s; not the new: %s",
			 (unsigned long)number, op->kind, why_not_before, why_not_after);
}

/* ---- after every instruction */

static void stop_here(void)
{
	(void)raise(SIGUSR1);
}

static void traced_child(int fd, uint64_t seed, unsigned ops)
{
	struct model m = model_new();
	struct cow_nodes *t;
	struct err e;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	if (cow_nodes_open(fd, false, &t, &e) < 0)
		_exit(1);
	for (unsigned i = 0; i < ops; i++)
		if (!go_on(t, &m, &seed, stop_here))
			_exit(2);
	_exit(0);
}

/* Lets the child go on in that manner until it stops for SIGUSR1 or ends. False: it has ended. */
static bool until_stop(pid_t child, int how, int *ret_status, void (*each)(void *arg), void *arg)
{
	for (int signal_no = 0;;) {
		if (ptrace(how, child, NULL, (void *)(intptr_t)signal_no) < 0)
			assert_int_equal(errno, ESRCH); /* killed by `each` */
		assert_int_equal(waitpid(child, ret_status, 0), child);
		if (!WIFSTOPPED(*ret_status))
			return false;
		if (WSTOPSIG(*ret_status) == SIGUSR1)
			return true;
		signal_no = WSTOPSIG(*ret_status) == SIGTRAP ? 0 : WSTOPSIG(*ret_status);
		if (each)
			each(arg);
	}
}

struct watch {
	struct copy *copy;
	int fd;
	const uint8_t *from;
	struct model before, after;
	struct model_op op;
	uint64_t number, states, instructions;
};

static void after_instruction(void *arg)
{
	struct watch *w = arg;

	w->instructions++;
	if (take_copy(w->copy, w->fd, w->from)) {
		w->states++;
		check_copy(w->copy, &w->before, &w->after, w->number, &w->op);
	}
}

/* The child stands before an operation: what there is, and what will be. */
static void look_ahead(struct watch *w, struct model *m, uint64_t *seed)
{
	uint64_t ahead;

	for (; w->number < journal->finished; w->number++)
		follow(m, seed, w->number);
	w->before = w->after = *m;
	ahead = *seed;
	w->op = model_make_up(&w->before, &ahead);
	(void)model_apply(&w->after, &w->op);
	(void)take_copy(w->copy, w->fd, w->from);
}

static pid_t start(void (*child_main)(int fd, uint64_t seed, unsigned ops), int fd, uint64_t seed,
		   unsigned ops)
{
	pid_t child;

	journal->finished = 0;
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		child_main(fd, seed, ops);
	return child;
}

static struct watch new_watch(void)
{
	struct watch w = { .copy = calloc(1, sizeof(*w.copy)), .fd = memfd_create("table", MFD_CLOEXEC) };

	assert_non_null(w.copy);
	w.copy->fd = memfd_create("copy", MFD_CLOEXEC);
	assert_true(w.fd >= 0 && w.copy->fd >= 0);
	w.from = map_all(w.fd);
	w.copy->at = map_all(w.copy->fd);
	return w;
}

static void end_watch(struct watch *w)
{
	(void)munmap((void *)(uintptr_t)w->from, (size_t)SEGMENTS * SEGMENT);
	(void)munmap(w->copy->at, (size_t)SEGMENTS * SEGMENT);
	fd_close(w->fd);
	fd_close(w->copy->fd);
	free(w->copy);
}

static void killed_after_any_instruction(void **state)
{
	enum { OPS = IS_SANITIZED ? 20 : 150 };
	struct watch w = new_watch();
	uint64_t seed = 1;
	struct model m = model_new();
	pid_t child = start(traced_child, w.fd, seed, OPS);
	int status;

	(void)state;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		end_watch(&w);
		skip();
	}
	do
		look_ahead(&w, &m, &seed);
	while (until_stop(child, PTRACE_SINGLESTEP, &status, after_instruction, &w) &&
	       until_stop(child, PTRACE_CONT, &status, NULL, NULL));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(journal->finished, OPS);
	print_message("%d operations, %lu instructions, %lu states of the memory\n", OPS,
		      (unsigned long)w.instructions, (unsigned long)w.states);
	assert_true(w.states > 5 * OPS);
	end_watch(&w);
}

/* ---- in the middle of taking over */

static void traced_successor(int fd, uint64_t seed, unsigned ops)
{
	struct cow_nodes *t;
	struct err e;

	(void)seed;
	(void)ops;
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	(void)raise(SIGUSR1);
	_exit(cow_nodes_open(fd, true, &t, &e) == 0 ? 0 : 1);
}

struct countdown {
	struct watch *w;
	uint64_t states;
	pid_t child;
};

static void kill_at_state(void *arg)
{
	struct countdown *c = arg;

	if (c->states && take_copy(c->w->copy, c->w->fd, c->w->from) && --c->states == 0)
		(void)kill(c->child, SIGKILL);
}

static void killed_while_taking_over(void **state)
{
	enum { ROUNDS = IS_SANITIZED ? 2 : 8, OPS = 60 };

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct watch w = new_watch();
		uint64_t seed = round * 977;
		struct model m = model_new();
		struct countdown c = { &w, 1 + round % 7, start(traced_child, w.fd, seed, OPS) };
		int status;

		assert_int_equal(waitpid(c.child, &status, 0), c.child);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
			end_watch(&w);
			skip();
		}
		for (unsigned i = 0; i < 2 * (OPS - round); i++)
			assert_true(until_stop(c.child, PTRACE_CONT, &status, NULL, NULL));
		look_ahead(&w, &m, &seed);
		if (until_stop(c.child, PTRACE_SINGLESTEP, &status, kill_at_state, &c)) {
			assert_int_equal(kill(c.child, SIGKILL), 0);
			assert_int_equal(waitpid(c.child, &status, 0), c.child);
		}
		c.child = start(traced_successor, w.fd, 0, 0);
		assert_int_equal(waitpid(c.child, &status, 0), c.child);
		assert_false(until_stop(c.child, PTRACE_SINGLESTEP, &status, after_instruction, &w));
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		assert_true(w.states > 10);
		end_watch(&w);
	}
}

/* ---- at random moments */

static void busy_child(int fd, uint64_t seed, unsigned ops)
{
	struct model m = model_new();
	struct cow_nodes *t;
	struct err e;

	if (cow_nodes_open(fd, false, &t, &e) < 0)
		_exit(1);
	for (unsigned i = 0; i < ops; i++)
		if (!go_on(t, &m, &seed, NULL))
			_exit(2);
	for (;;)
		(void)pause();
}

static void killed_at_random_moments(void **state)
{
	enum { ROUNDS = IS_SANITIZED ? 40 : 300 };
	uint64_t moments = 4711, ops = 0;

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct watch w = new_watch();
		uint64_t seed = round * 7919;
		struct model m = model_new();
		struct timespec nap = { 0, (long)(model_random(&moments) % 8000000) };
		pid_t child = start(busy_child, w.fd, seed, OPS_MAX);
		int status;

		while (journal->finished == 0 && waitpid(child, &status, WNOHANG) == 0)
			;
		(void)nanosleep(&nap, NULL);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		look_ahead(&w, &m, &seed);
		check_copy(w.copy, &w.before, &w.after, w.number, &w.op);
		ops += w.number;
		end_watch(&w);
	}
	print_message("%d kills, %lu operations\n", ROUNDS, (unsigned long)ops);
}

/* ---- damage */

static void end_rename(void *arg, const struct cow_rename *r)
{
	cow_nodes_rename_end(arg, r, true);
}

struct ids {
	uint64_t list[1024];
	size_t count;
};

static void note_id(void *arg, const struct cow_node *n)
{
	struct ids *ids = arg;

	assert_true(strlen(n->name) <= NAME_MAX);
	if (ids->count < 1024)
		ids->list[ids->count++] = n->id;
}

/* Whatever the table says is fine, so long as it says something. */
static void use(struct cow_nodes *t, struct model m, uint64_t seed)
{
	struct ids ids = { .count = 0 };
	char path[PATH_MAX];
	struct cow_node n;
	int r;

	cow_nodes_rename_pending(t, end_rename, t);
	for (unsigned i = 0; i < 40; i++) {
		struct model_op op = model_make_up(&m, &seed);

		(void)carry_out(t, &m, &op, &n);
	}
	cow_nodes_each(t, note_id, &ids);
	for (size_t i = 0; i < ids.count; i++) {
		r = cow_nodes_lost_path(t, ids.list[i], path);
		assert_true(r == 0 || r == ENOENT);
	}
	for (size_t i = 0; i < ids.count; i++)
		(void)cow_nodes_forget(t, ids.list[i], UINT64_MAX, &n);
	assert_int_equal(cow_nodes_get(t, COW_ROOT, &n), 0);
}

static uint64_t *random_word(struct copy *c, uint64_t *seed)
{
	size_t segment = model_random(seed) % c->segments;
	size_t end = segment == 0 ? 2304 : BEGINNING / 4, off = model_random(seed) % end;

	if (model_random(seed) % 8 == 0)
		off %= 64;
	return (uint64_t *)(void *)(c->shadow[segment] + off / 8 * 8);
}

static void damage(struct copy *c, uint64_t *seed)
{
	unsigned count = 1 + (unsigned)(model_random(seed) % 6);

	for (unsigned i = 0; i < count; i++) {
		uint64_t *word = random_word(c, seed);

		switch (model_random(seed) % 5) {
		case 0:
			*word ^= UINT64_C(1) << model_random(seed) % 64;
			break;
		case 1:
			*word = model_random(seed) << 11 ^ model_random(seed);
			break;
		case 2:
			*word = *random_word(c, seed); /* what looks right */
			break;
		case 3:
			*word = (*word & UINT64_C(0xffffffff00000000)) | model_random(seed) % 64;
			break;
		default:
			*word = (*word & UINT64_C(0xffffffff)) | (model_random(seed) % 64) << 32;
			break;
		}
	}
}

static void damage_is_refused_or_survived(void **state)
{
	enum { ROUNDS = IS_SANITIZED ? 600 : 6000 };
	struct watch w = new_watch();
	uint64_t seed = 99, refused = 0, damages = 20221;
	struct model m = model_new();
	uint8_t(*good)[BEGINNING] = malloc(sizeof(w.copy->shadow));
	struct cow_nodes *t = NULL;
	size_t segments;
	struct err e;

	(void)state;
	assert_non_null(good);
	journal->finished = 0;
	assert_int_equal(cow_nodes_open(w.fd, false, &t, &e), 0);
	while (journal->finished < 400 || !m.pending[0].is_there)
		assert_true(go_on(t, &m, &seed, NULL));
	(void)take_copy(w.copy, w.fd, w.from);
	cow_nodes_close(t);
	segments = w.copy->segments;
	memcpy(good, w.copy->shadow, sizeof(w.copy->shadow));
	(void)alarm(300); /* no circle may hold anybody */
	for (unsigned round = 0; round < ROUNDS; round++) {
		memcpy(w.copy->shadow, good, sizeof(w.copy->shadow));
		w.copy->segments = segments;
		damage(w.copy, &damages);
		t = open_copy(w.copy, &e);
		if (t)
			use(t, m, round + 1);
		else
			assert_int_equal(e.code, ERR_FORMAT);
		refused += t == NULL;
		cow_nodes_close(t);
	}
	(void)alarm(0);
	print_message("%lu of %d damaged tables were refused\n", (unsigned long)refused, ROUNDS);
	assert_true(refused > 0 && refused < ROUNDS);
	free(good);
	end_watch(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_after_any_instruction),
		cmocka_unit_test(killed_while_taking_over),
		cmocka_unit_test(killed_at_random_moments),
		cmocka_unit_test(damage_is_refused_or_survived),
	};

	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (journal == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
