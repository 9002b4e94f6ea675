/* SPDX-License-Identifier: Apache-2.0 */
/* The history of changes; see hive_history.h. */
#include "registry-shim/hive_history.h"

#include <string.h>

#include "registry-shim/hive_db.h"

const char *reg_what_name(enum reg_what what)
{
	static const char *const names[] = {
		[REG_WHAT_CHANGED] = "changed",   [REG_WHAT_LOCKED] = "locked",
		[REG_WHAT_UNLOCKED] = "unlocked", [REG_WHAT_REFUSED] = "refused",
		[REG_WHAT_TEXT] = "written",
	};

	return (size_t)what < ARRAY_LEN(names) ? names[what] : "unknown";
}

/* A value as it is kept; may be the value itself. */
static const char *shortened(const char *value, char space[REG_HISTORY_VALUE_MAX + 4])
{
	if (!value || strlen(value) <= REG_HISTORY_VALUE_MAX)
		return value;
	memcpy(space, value, REG_HISTORY_VALUE_MAX);
	memcpy(space + REG_HISTORY_VALUE_MAX, "...", 4);
	return space;
}

/* The event that this refusal repeats; 0 = none. */
static int find_same_refusal(struct reg_hive *h, const char *file, const char *key, const char *new_value,
			     int64_t *ret, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_LAST_NOTE, file, key, e);
	const char *last;
	int step;

	if (!s)
		return -1;
	step = sqlite3_step(s);
	*ret = 0;
	if (step == SQLITE_ROW && sqlite3_column_int(s, 1) == REG_WHAT_REFUSED) {
		last = (const char *)sqlite3_column_text(s, 2);
		if (last && new_value ? !strcmp(last, new_value) : last == new_value)
			*ret = sqlite3_column_int64(s, 0);
	}
	sqlite3_reset(s);
	return step == SQLITE_ROW || step == SQLITE_DONE ? 0 : hive_error(h, e);
}

static int note_again(struct reg_hive *h, int64_t id, const char *file, const char *key, struct err *e)
{
	sqlite3_stmt *s = hive_statement(h, HIVE_NOTE_AGAIN, file, key, e);

	if (!s)
		return -1;
	sqlite3_bind_int64(s, 3, id);
	sqlite3_bind_int64(s, 4, hive_now_ms());
	hive_bind(s, 5, h->program);
	sqlite3_bind_int64(s, 6, h->pid);
	return hive_run(h, s, e);
}

int hive_note(struct reg_hive *h, enum reg_what what, const char *file, const char *key, enum reg_layer layer,
	      const char *old_value, const char *new_value, struct err *e)
{
	char old_space[REG_HISTORY_VALUE_MAX + 4], new_space[REG_HISTORY_VALUE_MAX + 4];
	int64_t same = 0;
	sqlite3_stmt *s;

	old_value = shortened(old_value, old_space);
	new_value = shortened(new_value, new_space);
	if (what == REG_WHAT_REFUSED && find_same_refusal(h, file, key, new_value, &same, e) < 0)
		return -1;
	if (same)
		return note_again(h, same, file, key, e);
	s = hive_statement(h, HIVE_NOTE, file, key, e);
	if (!s)
		return -1;
	sqlite3_bind_int64(s, 3, hive_now_ms());
	hive_bind(s, 4, h->program);
	sqlite3_bind_int64(s, 5, h->pid);
	sqlite3_bind_int(s, 6, (int)layer);
	sqlite3_bind_int(s, 7, (int)what);
	hive_bind(s, 8, old_value);
	hive_bind(s, 9, new_value);
	h->has_noted = true;
	return hive_run(h, s, e);
}

int hive_history_trim(struct reg_hive *h, struct err *e)
{
	auto_free char *sql = mem_printf(
		e, "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - %d", REG_HISTORY_MAX);

	return sql ? hive_exec(h, sql, e) : -1;
}

int reg_hive_note_refused_text(struct reg_hive *h, const char *file, struct err *e)
{
	if (reg_hive_begin(h, e) < 0)
		return -1;
	return reg_hive_end(h, hive_note(h, REG_WHAT_REFUSED, file, "", REG_USER, NULL, NULL, e), e);
}

int reg_hive_count_refused(struct reg_hive *h, int64_t since_ms, uint64_t *ret, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(h->db,
			       "SELECT count(*) FROM (SELECT DISTINCT file, key FROM history WHERE what=?1"
			       " AND time_ms>=?2)",
			       -1, &s, NULL) != SQLITE_OK)
		return hive_error(h, e);
	sqlite3_bind_int(s, 1, (int)REG_WHAT_REFUSED);
	sqlite3_bind_int64(s, 2, since_ms);
	if (sqlite3_step(s) == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(s, 0);
	else
		r = hive_error(h, e);
	sqlite3_finalize(s);
	return r;
}

int reg_hive_each_event(struct reg_hive *h, const char *file, const char *key, size_t max, reg_event_fn *fn,
			void *arg, struct err *e)
{
	static const char sql[] =
		"SELECT * FROM (SELECT id, time_ms, count, program, pid, file, key, layer, what, old, new"
		" FROM history WHERE (?1 IS NULL OR file=?1) AND (?2 IS NULL OR key=?2)"
		" ORDER BY id DESC LIMIT ?3) ORDER BY id";
	sqlite3_stmt *s = NULL;
	int step = SQLITE_DONE, r = 0;

	if (sqlite3_prepare_v2(h->db, sql, -1, &s, NULL) != SQLITE_OK)
		return hive_error(h, e);
	hive_bind(s, 1, file);
	hive_bind(s, 2, key);
	sqlite3_bind_int64(s, 3, max > REG_HISTORY_MAX ? REG_HISTORY_MAX : (int64_t)max);
	while (r == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct reg_event event = {
			.time_ms = sqlite3_column_int64(s, 1),
			.count = (uint64_t)sqlite3_column_int64(s, 2),
			.program = (const char *)sqlite3_column_text(s, 3),
			.pid = (long)sqlite3_column_int64(s, 4),
			.file = (const char *)sqlite3_column_text(s, 5),
			.key = (const char *)sqlite3_column_text(s, 6),
			.layer = (enum reg_layer)sqlite3_column_int(s, 7),
			.what = (enum reg_what)sqlite3_column_int(s, 8),
			.old_value = (const char *)sqlite3_column_text(s, 9),
			.new_value = (const char *)sqlite3_column_text(s, 10),
		};

		r = fn(arg, &event, e);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = hive_error(h, e);
	sqlite3_finalize(s);
	return r;
}
