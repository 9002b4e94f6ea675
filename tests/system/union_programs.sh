#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=2400
# Real programs inside an environment: natively, with each engine, and while every server of the environment is
# killed five times a second: git, ninja, SQLite in WAL mode with several writers, tar, rsync, npm, PostgreSQL, and
# one that only writes and waits for the disk. What they leave must be what they leave on a plain directory. Then
# settings that are saved while their server is killed, and the holder killed while programs write. What each
# took is printed at the end. FLOE_PROGRAMS and FLOE_ENGINES choose.
. "$(dirname "$0")/setup.sh"

host=$home/host # what lies below; the work is done next to it, in the environment
parts=$(dirname "$0")/programs
mkdir -p "$host"
cp "$parts"/* "$host/"
programs=${FLOE_PROGRAMS-git ninja sqlite tar rsync npm postgres ledger}
missing=''

# ---- what they work on: the same below the host's directory and in the package

make_repository() { # DIR
	local git=(git -C "$1" -c user.email=a@example.org -c user.name=a -c gc.auto=0)

	mkdir -p "$1" && "${git[@]}" -c init.defaultBranch=main init -q . &&
		(cd /usr/include && find . -type f | LC_ALL=C sort | head -n 1200 | tar -cf - -T -) | tar -C "$1" -xf - &&
		"${git[@]}" add -A && "${git[@]}" commit -qm one &&
		(cd "$1" && find . -name '*a*.h' -exec sh -c 'for f; do echo more >>"$f"; done' - {} + && mkdir moved &&
			find . -name '*b*.h' -not -path './moved/*' -exec mv -t moved {} + 2>/dev/null
		true) &&
		"${git[@]}" add -A && "${git[@]}" commit -qm two &&
		"${git[@]}" rm -rq moved && "${git[@]}" commit -qm three
}

make_sources() { # DIR
	mkdir -p "$1" && cp -r "${FLOE_SOURCE:?}/base" "${FLOE_SOURCE:?}/vfs" "$1/"
	{
		echo 'rule cc'
		echo ' command = gcc -O1 -std=c17 -D_GNU_SOURCE -DFLOE_VERSION=\"0\" -MD -MF $out.d -I. -c $in -o $out'
		echo ' depfile = $out.d'
		for file in "$1"/base/*.c "$1"/vfs/u*.c; do
			file=${file#"$1/"}
			echo "build out/${file%.c}.o: cc $file"
		done
	} >"$1/build.ninja"
}

needs() { # PROGRAM: why it cannot be run, if it cannot
	local program

	case $1 in
	git) program='git' ;;
	ninja) program='ninja gcc' ;;
	npm) program='npm node' ;;
	sqlite | ledger) program='python3' ;;
	postgres) program='' && { ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || echo postgresql; } ;;
	*) program=$1 ;;
	esac
	for program in $program; do command -v "$program" >/dev/null || echo "$program"; done
}

make_box_tree "$scratch/tree" 1
kept=''
for name in $programs; do
	lacks=$(needs "$name")
	if [ "$lacks" ]; then missing+=" $name (no $lacks)"; else kept+=" $name"; fi
done
programs=$kept
case $programs in *git* | *tar*) make_repository "$host/repo" >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "the repository"; } ;; esac
case $programs in *git*) cp -a "$host/repo" "$scratch/tree/repo" ;; esac
case $programs in *ninja*) make_sources "$host/source" && cp -a "$host/source" "$scratch/tree/source" ;; esac
mkdir "$host/npm"
echo '{"name":"t","version":"1.0.0","dependencies":{"express":"4","lodash":"4","typescript":"5"}}' >"$host/npm/package.json"
case $programs in *npm*) # fetched once, so that no network is measured
	(cd "$host/npm" && timeout 300 npm install --no-audit --no-fund --loglevel=error --cache "$host/npm-cache") \
		>"$scratch/log" 2>&1 || { tail -n 3 "$scratch/log"; missing+=' npm (its registry cannot be asked)'; programs=${programs/npm/}; }
	rm -rf "$host/npm/node_modules" ;;
esac
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box -o "$scratch/box.floe" >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log"; fail "floe sequence"; }
box=$scratch/box.floe

# ---- running one

killer() { # FILE: kills the environment's servers until it is gone; says whom
	local pid

	while [ -e "$1" ]; do
		sleep 0.2
		for pid in $(floe_pids 'floe-(union|package|environment)-server'); do kill -KILL "$pid" 2>/dev/null && echo "$pid"; done
	done
}

with_kills() { # COMMAND...
	local pid rc=0

	touch "$scratch/killing"
	killer "$scratch/killing" >"$scratch/killed" 2>/dev/null &
	pid=$!
	"$@" || rc=$?
	rm -f "$scratch/killing"
	wait "$pid"
	return "$rc"
}

# What a run printed: "took|WHAT|MS" for the table, "result|..." for the comparison.
note_run() { # WAY NAME
	sed -n "s/^took|/$1|/p" "$scratch/out" >>"$scratch/times"
	sed -n 's/^result|//p' "$scratch/out" >"$scratch/result"
	if [ "$1" = native ]; then
		[ -s "$scratch/result" ] || fail "$2 has no result"
		mv "$scratch/result" "$scratch/result-$2"
	elif ! cmp -s "$scratch/result" "$scratch/result-$2"; then
		diff "$scratch/result-$2" "$scratch/result"
		fail "$2 left something else than natively ($1)"
	fi
}

run_native() { # NAME
	local below=$scratch/below

	mkdir -p "$scratch/native" && rm -rf "$below" && cp -a "$host" "$below"
	(cd "$scratch/native" && WORK=$PWD HOST=$below PACKAGE=$scratch/native-package bash "$host/$1.sh") >"$scratch/out" 2>&1 </dev/null ||
		{ tail -n 30 "$scratch/out"; fail "$1 without floe"; }
	chmod -R u+w "$scratch/native" && rm -rf "$scratch/native" "$below"
	rm -rf "$scratch/native-package" && cp -a "$scratch/tree" "$scratch/native-package"
	note_run native "$1"
}

launch_program() { # ENGINE NAME ENV
	timeout --signal KILL 400 "$floe" run --engine "$1" --env "$3" --command box "$box" -- \
		sh -c 'mkdir -p "$1" && cd "$1" && WORK=$1 HOST=$2 PACKAGE=/opt/box exec bash "$2/$3.sh"' - "$home/work" "$host" "$2" \
		>"$scratch/out" 2>&1 </dev/null
}

run_program() { # ENGINE NAME KILLS
	local engine=$1 name=$2 kills=$3 env=p-$1-$2$3 began

	began=$(date +%s%3N)
	if [ "$kills" ]; then with_kills launch_program "$engine" "$name" "$env"; else launch_program "$engine" "$name" "$env"; fi ||
		{ tail -n 30 "$scratch/out"; "$floe" ps; fail "$name with $engine${kills:+ under kills}"; }
	note_run "$engine$kills" "$name"
	echo "$name with $engine${kills:+ under kills: $(wc -l <"$scratch/killed") servers killed}: $(($(date +%s%3N) - began)) ms ($(sed -n 's/^took|\(.*\)|/\1 /p' "$scratch/out" | paste -sd ,))"
	[ ! -e "$home/work" ] || fail "$name: the host was written to"
	"$floe" stop --all >/dev/null 2>&1
	"$floe" env remove --yes "$env" >"$scratch/log" 2>&1 || { cat "$scratch/log"; fail "env remove"; }
}

# ---- settings saved while everything is killed

settings() { # ENGINE
	local env=settings-$1 key i

	with_kills timeout --signal KILL 300 "$floe" run --engine "$1" --env "$env" --command box "$settings_box" -- \
		bash "$host/settings.sh" >"$scratch/out" 2>&1 </dev/null || { tail "$scratch/out"; fail "settings with $1"; }
	note "settings with $1: $(wc -l <"$scratch/killed") servers killed"
	for key in etc/box.ini new.ini; do
		"$floe" registry list --env "$env" 2>&1 | grep -F "$key:" | sed 's/.*box\///' | LC_ALL=C sort >"$scratch/list"
		for i in $(seq 150); do
			grep -qE "look/k$i( |=|\$).*v$i\b" "$scratch/list" || { "$floe" registry list --env "$env" | tail -n 20; fail "k$i is lost ($key, $1)"; }
		done
		grep -qE 'look/n\b.*\b150\b' "$scratch/list" || { cat "$scratch/list"; fail "an old value ($key, $1)"; }
	done
	"$floe" stop --all >/dev/null 2>&1
}

# ---- the holder killed while programs write

acknowledged() { sed -n 's/^done|//p' "$scratch/said"; }
foreign_mounts() { grep -cE 'floe|/opt/box' /proc/self/mountinfo; }
no_floe() { [ -z "$(floe_pids '')" ]; }
nobody_at_work() { ! pgrep -u "$(id -u)" -f "$home/(work|host)/" >/dev/null; }

holder_killed() { # ENGINE NAME
	local engine=$1 name=$2 env=h-$1-$2 mounts pid run count

	mounts=$(foreign_mounts)
	{
		"$floe" run --engine "$engine" --env "$env" --command box "$box" -- \
			sh -c 'mkdir -p "$1" && cd "$1" && WORK=$1 HOST=$2 exec bash "$2/$3.sh" forever' - "$home/work" "$host" "$name"
		echo "status|$?"
	} >"$scratch/said" 2>&1 </dev/null &
	run=$!
	until_true 60 sh -c "grep -c '^done|' '$scratch/said' | grep -qE '..'" || { cat "$scratch/said"; fail "$name does not start"; }
	if [ "$engine" = fuse ]; then # a server that is just being replaced, too
		for pid in $(floe_pids 'floe-union-server'); do kill -KILL "$pid" 2>/dev/null; done
	fi
	for pid in $(holder_pids); do kill -KILL "$pid"; done
	until_true 20 sh -c "! kill -0 $run 2>/dev/null" || { ps -u "$(id -u)" -o pid,stat,wchan:20,args; fail "$name hangs without its holder ($engine)"; }
	wait "$run"
	grep -qE '^status\|(125|137)$' "$scratch/said" || { tail -n 20 "$scratch/said"; fail "$name: what floe run says of it ($engine)"; }
	until_true 20 nobody_at_work || { ps -u "$(id -u)" -o pid,stat,wchan:20,args; fail "$name outlives the holder ($engine)"; }
	until_true 20 no_floe || { ps -u "$(id -u)" -o pid,stat,args; fail "servers outlive the holder ($engine)"; }
	[ "$(foreign_mounts)" = "$mounts" ] || { cat /proc/self/mountinfo; fail "a mount is left ($engine)"; }
	count=$(acknowledged | wc -l)
	acknowledged >"$home/acknowledged"
	"$floe" run --env "$env" --command box "$box" -- \
		sh -c 'cd "$1" && WORK=$1 HOST=$2 exec bash "$2/$3.sh" check "$4"' - "$home/work" "$host" "$name" "$home/acknowledged" \
		>"$scratch/out" 2>&1 </dev/null || { tail -n 30 "$scratch/out"; fail "$name after a killed holder ($engine)"; }
	rm -f "$home/acknowledged"
	note "$name with $engine, the holder killed: all $count acknowledged writes are there"
	"$floe" stop --all >/dev/null 2>&1
	"$floe" env remove --yes "$env" >/dev/null || fail "env remove"
}

# ---- the test

manifest "$host" >"$scratch/before"
: >"$scratch/times"
cp -a "$scratch/tree" "$scratch/native-package"
for name in $programs; do run_native "$name"; done
for engine in ${FLOE_ENGINES-overlay fuse}; do
	for name in $programs; do run_program "$engine" "$name" ''; done
done
for engine in ${FLOE_ENGINES-overlay fuse}; do
	for name in $programs; do
		# overlayfs has no server; what these read of the package has
		case $engine/$name in fuse/* | overlay/git | overlay/ninja) run_program "$engine" "$name" -kills ;; esac
	done
done
if [ -z "${FLOE_PROGRAMS:-}" ] && command -v python3 >/dev/null; then
	printf '; vendor\n[look]\nn=0\n' >"$scratch/box.ini"
	mkdir -p "$scratch/tree/etc" && cp "$scratch/box.ini" "$scratch/tree/etc/"
	rm -rf "$scratch/tree/repo" "$scratch/tree/source"
	settings_box=$scratch/settings.floe
	"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name settings -o "$settings_box" \
		--config /opt/box/etc/box.ini:ini --config @config/box/new.ini:ini >"$scratch/log" 2>&1 ||
		{ cat "$scratch/log"; fail "floe sequence --config"; }
fi
for engine in ${FLOE_ENGINES-overlay fuse}; do
	[ -z "${settings_box:-}" ] || settings "$engine"
	for name in ledger postgres; do
		case " $programs " in *" $name "*) holder_killed "$engine" "$name" ;; esac
	done
done
same_as_before "$scratch/before" "$host"

awk -F'|' '
	!($2 in at) { at[$2] = ++count; row[count] = $2 }
	{ ms[$2, $1] = $3 }
	function show(way, name,   value, base) {
		value = ms[name, way]; base = ms[name, "native"]
		if (value == "") return "-"
		return base > 0 ? sprintf("%d (%.2f)", value, value / base) : value
	}
	END {
		for (i = 1; i <= count; i++)
			printf "%s: native %s ms, overlay %s, fuse %s, under kills %s\n", row[i], ms[row[i], "native"],
				show("overlay", row[i]), show("fuse", row[i]), show("fuse-kills", row[i])
	}' "$scratch/times"
[ -z "$missing" ] || skip "not run:$missing"
