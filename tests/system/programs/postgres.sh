#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# PostgreSQL under pgbench, killed and recovered. "forever" commits and says each until it is ended; "check FILE"
# looks for all that was said.
. "$HOST/setup.sh"
bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 | tail -n 1)
export PGDATA=$PWD/data PGDATABASE=postgres
PGHOST=$(mktemp -d /tmp/pg.XXXXXX) # a socket's name is short
export PGHOST
trap '"$bin/pg_ctl" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$PGHOST"' EXIT

start() { "$bin/pg_ctl" -w -t 120 -o "-k $PGHOST -h ''" -l server.log start >/dev/null || { tail server.log; return 1; }; }
sql() { "$bin/psql" -XAtc "$1"; }
say() { # WRITER: commits numbers, and says each
	for ((i = 0; ; i++)); do echo "insert into said values('$1 $i') returning 'done|' || what;"; done |
		"$bin/psql" -XAtq
}

if [ "${1:-}" = check ]; then
	rm -f "$PGDATA/postmaster.pid"
	start
	sql 'select what from said' | LC_ALL=C sort >found
	LC_ALL=C sort "$2" >wanted
	LC_ALL=C comm -13 found wanted >lost
	test ! -s lost || { echo "lost:"; cat lost; exit 1; }
	sql 'select count(*) from said'
	"$bin/pg_ctl" -w stop >/dev/null
	exit
fi

took initdb "$bin/initdb" -A trust -k --no-instructions >initdb.log
start
if [ "${1:-}" = forever ]; then
	sql 'create table said(what text)' >/dev/null
	say a &
	say b
	exit
fi
took 'pgbench -i' "$bin/pgbench" -i -q -s 5 >init.log 2>&1
took 'pgbench' "$bin/pgbench" -c 4 -j 2 -t 250 >bench.log
want=$(sql 'select sum(abalance) from pgbench_accounts')
"$bin/pg_ctl" -m immediate stop >/dev/null # committed is committed: it recovers from its log
start
test "$(sql 'select sum(abalance) from pgbench_accounts')" = "$want"
test "$(sql 'select sum(delta) from pgbench_history')" = "$want"
result "$(sql 'select count(*) from pgbench_history') $(sql 'select count(*) from pgbench_accounts')"
"$bin/pg_ctl" -w stop >/dev/null
"$bin/pg_checksums" -c >checksums || { cat checksums; exit 1; }
