/* SPDX-License-Identifier: Apache-2.0 */
/* The hive's insides, for hive*.c alone: the database, its statements, its errors, its transactions.
 *
 * One row per (file, key, layer); the highest layer counts, NULL is a tombstone. Names and values are the
 * files' own bytes, valid UTF-8 or not, so nothing compares or converts them but as bytes. WAL with
 * synchronous=FULL: a commit is on disk before it returns, a crash leaves all of it or nothing. */
#ifndef FLOE_REG_HIVE_DB_H
#define FLOE_REG_HIVE_DB_H

#include <sqlite3.h>

#include "registry-shim/hive_history.h"
#include "registry-shim/hive_text.h"

enum hive_statement {
	HIVE_BELOW,
	HIVE_PUT,
	HIVE_DROP,
	HIVE_LAYER,
	HIVE_HAS_LOCKS,
	HIVE_TEXT,
	HIVE_PUT_TEXT,
	HIVE_DROP_TEXT,
	HIVE_DECLARE,
	HIVE_DECLARED,
	HIVE_NOTE,
	HIVE_LAST_NOTE,
	HIVE_NOTE_AGAIN,
	HIVE_STATEMENTS
};

enum { HIVE_PROGRAM_MAX = 64 };

struct reg_hive {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *made[HIVE_STATEMENTS];
	unsigned depth; /* of transactions */
	bool is_failed; /* a part of this transaction: all of it goes */
	bool has_noted; /* in this transaction */
	char program[HIVE_PROGRAM_MAX];
	long pid;
};

/* What SQLite says last, as an error; returns -1. */
int hive_error(struct reg_hive *h, struct err *e);
int hive_exec(struct reg_hive *h, const char *sql, struct err *e) FLOE_MUST_USE;
/* A prepared statement, reset, with ?1 = file and ?2 = key (unless NULL); borrowed. */
sqlite3_stmt *hive_statement(struct reg_hive *h, enum hive_statement which, const char *file, const char *key,
			     struct err *e) FLOE_MUST_USE;
/* Steps a statement that gives no rows, and resets it. */
int hive_run(struct reg_hive *h, sqlite3_stmt *s, struct err *e) FLOE_MUST_USE;
/* A copy of a column; NULL with *e on lack of memory. */
char *hive_column(sqlite3_stmt *s, int i, struct err *e) FLOE_MUST_USE;
void hive_bind(sqlite3_stmt *s, int i, const char *text); /* NULL ok; borrowed until the next reset */
int64_t hive_pragma(struct reg_hive *h, const char *sql, int64_t fallback);
int64_t hive_now_ms(void);
/* ERR_USAGE, ERR_LIMIT. key and value may be NULL. */
int hive_check_names(const char *file, const char *key, const char *value, struct err *e) FLOE_MUST_USE;

/* ---- hive_schema.c: brings the database to today's schema, in one transaction */
int hive_schema_make(struct reg_hive *h, struct err *e) FLOE_MUST_USE;

/* ---- hive.c */
/* In a transaction: changes of the user layer; locked keys are an error, or (is_application) stay. */
int hive_apply_all(struct reg_hive *h, const char *file, const struct reg_change *changes, size_t count,
		   bool is_application, struct reg_saved *saved, struct err *e) FLOE_MUST_USE;

/* ---- hive_history.c: in a transaction */
int hive_note(struct reg_hive *h, enum reg_what what, const char *file, const char *key, enum reg_layer layer,
	      const char *old_value, const char *new_value, struct err *e) FLOE_MUST_USE;
/* Lets the oldest go; reg_hive_end calls it. */
int hive_history_trim(struct reg_hive *h, struct err *e) FLOE_MUST_USE;

#endif
