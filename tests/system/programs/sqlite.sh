#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Four processes write one SQLite database in WAL mode, whose index they share through mmap.
. "$HOST/setup.sh"
took 'sqlite, 4 writers' python3 - <<'PY'
import os, sqlite3

def connect():
    db = sqlite3.connect("wal.db", timeout=120)
    db.execute("pragma synchronous=full")
    return db

db = connect()
assert db.execute("pragma journal_mode=wal").fetchone()[0] == "wal"
db.execute("create table t(who int, n int, pad blob, primary key(who, n))")
db.commit()
db.close()
children = []
for who in range(4):
    pid = os.fork()
    if pid == 0:
        try:
            db = connect()
            for n in range(150):
                with db:
                    db.execute("insert into t values(?, ?, ?)", (who, n, bytes([n]) * 3000))
                if n % 10 == 0:
                    assert db.execute("select count(*) from t where who = ?", (who,)).fetchone()[0] == n + 1
            os._exit(0)
        finally:
            os._exit(1)
    children.append(pid)
assert all([os.waitpid(pid, 0)[1] == 0 for pid in children])
db = connect()
assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
print("result|%d %s" % db.execute("select count(*), sum(length(pad)) from t").fetchone())
PY
result "$(python3 -c '
import hashlib, sqlite3
h = hashlib.sha256()
for row in sqlite3.connect("wal.db").execute("select who, n, pad from t order by who, n"): h.update(repr(row).encode())
print(h.hexdigest())')"
