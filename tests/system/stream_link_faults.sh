#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=1200
# A package through a bad link: every fault singly, the loss of the network at bad moments, and a storm of faults
# (FLOE_SEED; ten minutes of it with --full, as the unprivileged user). Every byte is right, or floe says what it promises to say; nothing
# hangs, and nothing stays behind.
. "$(dirname "$0")/setup.sh"

make_box 6
mkdir "$scratch/www"
cp "$box" "$scratch/www/box.floe"
serve_dir "$scratch/www"
link_to "$port" --rtt 10 --rate 100M
far=http://127.0.0.1:$link_port/box.floe
everything='find . -type f | LC_ALL=C sort | xargs cat | sha256sum'
read_all="cd /opt/box && $everything"
want=$(cd "$scratch/tree" && sh -c "$everything")
run_far() { # OPTIONS... -- COMMAND...
	timeout -s KILL 120 "$floe" run --ephemeral --command box "$far" "$@"
}

# What floe says of an answer that it cannot use to begin with. Of a package that is open it waits for a better
# one, but for a server that no longer serves ranges, or compresses them: that is an error to the application.
refusals='signature is wrong|index is damaged|not a floe package|does not serve ranges|compresses ranges|status 40[34]|status 416'
refusals="$refusals|bad magic|does not answer with a package|too early|in time|reset|Recv failure|Empty reply|login page"

leave() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave || fail "the holder stays"
	until_true 10 nothing_runs || fail "stray processes: $(floe_pids)"
}
nothing_runs() { [ -z "$(floe_pids)" ]; }

fresh() {
	leave
	rm -rf "$home/.cache/floe"
	link_ask mend
	link_ask rate 100M
	link_ask zero
}

# all_right WHAT [OPTION...]: a launch reads everything.
all_right() {
	local what=$1

	shift
	run_far "$@" -- sh -c "$read_all" >"$out" 2>"$err" || { cat "$err"; fail "$what: status $?"; }
	[ "$(cat "$out")" = "$want" ] || { cat "$err"; fail "$what: wrong bytes"; }
}

# all_right_or_refused WHAT
all_right_or_refused() {
	local status=0

	run_far -- sh -c "$read_all" >"$out" 2>"$err" || status=$?
	if [ "$status" = 0 ]; then
		[ "$(cat "$out")" = "$want" ] || { cat "$err"; fail "$1: wrong bytes"; }
	else
		[ "$status" = 125 ] && grep -qE "$refusals" "$err" || { cat "$err"; fail "$1: status $status"; }
	fi
	return "$status"
}

# struck KIND: the link did what it was told.
struck() {
	link_ask stats | grep -q " $1=1" || fail "$1 did not strike: $(link_ask stats)"
}

note "each fault, at the first request"
for fault in drop:0 drop:100000 truncate:0 truncate:100000 corrupt:1000000 stall:100000 etag:0 503:1; do
	fresh
	link_ask fault "${fault%:*}" "${fault#*:}"
	all_right "$fault"
	struck "${fault%:*}"
done
for fault in corrupt:100 corrupt:5000 whole:0 gzip:0 portal:0 403:0 404:0 416:0; do
	fresh
	link_ask fault "${fault%:*}" "${fault#*:}"
	if all_right_or_refused "$fault"; then note "$fault: works"; else note "$fault: $(tail -n 1 "$err")"; fi
	struck "${fault%:*}"
	all_right "the launch after $fault"
done

note "each fault, at the second request"
for fault in drop:0 drop:100000 truncate:0 corrupt:1000 stall:0 etag:0 whole:0 gzip:0 portal:0 403:0 404:0 416:0 503:1; do
	fresh
	link_ask fault "${fault%:*}" "${fault#*:}" 1 1
	all_right "$fault"
	struck "${fault%:*}"
done

note "floe extract"
link_ask storm 40 11 drop truncate corrupt etag 503
link_ask fault drop 0 1
"$floe" extract --no-trust -C "$scratch/extracted" "$far" >"$out" 2>"$err" || { cat "$err"; fail "extract: $?"; }
diff -r "$scratch/tree" "$scratch/extracted/opt/box" || fail "extract: other files"

note "the network goes right after a launch"
for loss in cut refuse "fault portal 0 0"; do
	fresh
	all_right "before $loss"
	# shellcheck disable=SC2086
	link_ask $loss
	leave
	all_right "launched again after $loss"
done

mkfifo "$scratch/go"
exec 8<>"$scratch/go"
# begin_reading [OPTION...]: in the background, $reader; the application runs, and most of the package is still
# to come.
begin_reading() {
	link_ask rate 10M
	timeout -s KILL 120 "$floe" run --ephemeral --command box "$far" "$@" -- \
		sh -c "echo open; read go; $read_all" >"$out" 2>"$err" <&8 &
	reader=$!
	until_true 60 grep -q open "$out" || { cat "$err"; fail "the application does not start"; }
}
ends_right() { # WHAT
	wait "$reader" || { cat "$err"; fail "$1: status $?"; }
	[ "$(tail -n 1 "$out")" = "$want" ] || fail "$1: wrong bytes"
}

note "the network goes while the application reads, and comes back"
for loss in cut reset refuse "fault portal 0 0" "fault 404 0 0"; do
	fresh
	begin_reading
	echo >&8
	sleep 0.5
	# shellcheck disable=SC2086
	link_ask $loss
	sleep 3
	[ "$loss" = reset ] || kill -0 "$reader" || { cat "$err"; fail "$loss: the application did not wait"; }
	link_ask mend
	link_ask rate 100M
	ends_right "$loss"
done

note "--on-loss=fail"
fresh
begin_reading --on-loss fail:2
link_ask cut
echo >&8
wait "$reader" # its own status: xargs ends with 123
grep -q 'Input/output error' "$err" || { cat "$err"; fail "no error was reported to the application"; }
if [ "$(tail -n 1 "$out")" = "$want" ]; then fail "everything was read over a cut link"; fi

note "a waiting application can be ended"
fresh
begin_reading
link_ask cut
echo >&8
sleep 1
kill -TERM "$reader" || fail "the application ended by itself"
until_true 20 eval '! kill -0 $reader 2>/dev/null' || fail "the application outlives SIGTERM"
link_ask mend

# Each round another storm; in every third, a storm that was there before the launch.
seed=${FLOE_SEED:-$RANDOM}
seconds=20 kinds=(drop truncate corrupt whole etag gzip portal 403 404 416 503)
if [ "${FLOE_FULL:-0}" = 1 ]; then
	[ "$FLOE_WHO" != user ] || seconds=600
	kinds+=(stall)
fi
note "a storm for $seconds s: FLOE_SEED=$seed"
end=$(($(date +%s) + seconds)) rounds=0 refused=0
while [ "$(date +%s)" -lt "$end" ]; do
	fresh
	rounds=$((rounds + 1))
	if [ $((rounds % 3)) = 0 ]; then
		link_ask storm 25 $((seed + rounds)) "${kinds[@]}"
		all_right_or_refused "storm $((seed + rounds)) before the launch" || refused=$((refused + 1))
	else
		begin_reading
		link_ask storm 25 $((seed + rounds)) "${kinds[@]}"
		link_ask rate 50M
		echo >&8
		ends_right "storm $((seed + rounds))"
	fi
	link_ask stats | sed 's/.*down=[0-9]*//' >>"$scratch/struck"
done
note "$rounds rounds, $refused of them refused at the launch; struck: $(tr ' ' '\n' <"$scratch/struck" | awk -F= '
	NF > 1 { n[$1] += $2 } END { for (kind in n) printf "%s %d, ", kind, n[kind] }')"
[ "$rounds" -gt 0 ] && [ "$refused" -lt "$rounds" ] || fail "no round got through"
[ -s "$scratch/struck" ] && grep -q = "$scratch/struck" || fail "the storm never struck"
link_ask calm
fresh
all_right "after the storm"
leave
