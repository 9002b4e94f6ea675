#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=180
# A package that is replaced at its address: what runs keeps its version, also for who joins it; when nothing of it
# runs any more the next launch has the new one, and has the one that is here when the network is away.
. "$(dirname "$0")/setup.sh"

mkdir "$scratch/www"
serve_dir "$scratch/www"
ref=$url/word.floe

publish() { # WORD
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/bin" "$scratch/tree/share"
	printf '#!/bin/sh\n[ ! "$1" ] || { echo waits; cat >/dev/null; }\ncat /opt/word/share/word\n' >"$scratch/tree/bin/word"
	chmod 755 "$scratch/tree/bin/word"
	echo "$1" >"$scratch/tree/share/word"
	head -c 300000 /dev/urandom >"$scratch/tree/share/data"
	expect 0 -- "$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/word --name word -o "$scratch/www/new"
	mv "$scratch/www/new" "$scratch/www/word.floe"
	settle
}
settle() { sleep 2.1; } # an answer counts for two seconds

says() { # WORD [OPTION...]
	timeout 60 "$floe" run "${@:2}" "$ref" >"$out" 2>"$err" || { cat "$err"; fail "floe run ${*:2}"; }
	[ "$(cat "$out")" = "$1" ] || fail "it says $(cat "$out"), not $1 (${*:2})"
}

note "nothing runs: the next launch has what is there now"
publish first
says first
says first --env other
publish second
says second
says second --env other

note "unchanged, the question is one request, and nothing is mounted again"
pids=$(floe_pids floe-package)
settle
: >"$access_log"
begun=$(date +%s%N)
says second
[ "$(requests)" = 1 ] || { cat "$access_log"; fail "not one request"; }
note "and another launch at once asks nothing"
says second --env other
[ $((($(date +%s%N) - begun) / 1000000)) -ge 2000 ] || [ "$(requests)" = 1 ] ||
	{ cat "$access_log"; fail "the second launch asked as well"; }
[ "$(floe_pids floe-package)" = "$pids" ] || fail "another package server"

note "what runs keeps its version"
mkfifo "$scratch/go"
timeout 60 "$floe" run "$ref" -- wait <"$scratch/go" >"$scratch/waiting" 2>&1 &
waiting=$!
exec 5>"$scratch/go"
until_true 20 grep -qsx waits "$scratch/waiting" || { cat "$scratch/waiting"; fail "it does not start"; }
publish third
says second
says second --env other
exec 5>&-
wait "$waiting" || { cat "$scratch/waiting"; fail "the launch that waited"; }
[ "$(tail -n 1 "$scratch/waiting")" = second ] || { cat "$scratch/waiting"; fail "the version changed under it"; }
says third

note "not to be asked; and then again"
publish fourth
says third --offline
says fourth

note "a silent server: the version that is here, and what it says later counts for the next launch"
link_to "$port"
direct=$ref ref=http://127.0.0.1:$link_port/word.floe
says fourth
link_ask cut
publish silent
for _ in 1 2; do
	says fourth
	grep -q 'does not answer: this is the version that is here' "$err" || { cat "$err"; fail "not a word about the server"; }
done
link_ask mend
has_heard() { settle; says_something; [ "$(cat "$out")" = silent ]; }
says_something() { timeout 60 "$floe" run "$ref" >"$out" 2>"$err"; }
until_true 40 has_heard || { cat "$err"; fail "the version of after the silence is not run: $(cat "$out")"; }
! grep -q 'does not answer' "$err" || fail "it is said that the server does not answer"
ref=$direct
publish fourth
says fourth

note "without the network; what was opened without it is current no longer"
stop_serving
settle
says fourth
expect 0 -- "$floe" stop --all
holder_leave
says fourth --offline
serve_dir "$scratch/www" "listen 127.0.0.1:$port;"
publish fifth
says fifth

note "a new version by name: what the old one brought does not come again"
apps=$scratch/www/apps
mkdir "$apps"
rm -rf "$scratch/tree"
mkdir -p "$scratch/tree/bin" "$scratch/tree/share"
head -c 4000000 /dev/urandom >"$scratch/tree/share/block"
printf 'floe-touches 1\n0 4000000 opt/name/share/block\n' >"$scratch/profile"
offer() { # VERSION
	printf '#!/bin/sh\necho %s\nexec cat /opt/name/share/block >/dev/null\n' "$1" >"$scratch/tree/bin/name"
	chmod 755 "$scratch/tree/bin/name"
	printf %s "$1" | dd of="$scratch/tree/share/block" bs=1 seek=2000000 conv=notrunc status=none
	expect 0 -- "$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/name --name name --version "$1" \
		--profile "$scratch/profile" -o "$scratch/name-$1.floe"
	expect 0 -- "$floe" repo add "$apps" "$scratch/name-$1.floe"
}
runs() { # VERSION
	timeout 60 "$floe" run name >"$out" 2>"$err" || { cat "$err"; fail "floe run name"; }
	[ "$(cat "$out")" = "$1" ] || fail "it says $(cat "$out"), not $1"
}
bytes() { sleep 0.5; awk '$2 ~ /floe$/ { sum += $4 } END { print sum + 0 }' "$access_log"; }
is_kept() { "$floe" cache status --json | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)["content_bytes"] < 4000000)'; }
offer 1
expect 0 -- "$floe" add "$url/apps"
runs 1
until_true 30 is_kept || fail "the first version is not kept"
offer 2
expect 0 -- "$floe" update
: >"$access_log"
runs 2
sent=$(bytes)
note "$sent bytes for the new version"
[ "$sent" -lt 2000000 ] || { cat "$access_log"; fail "$sent bytes for a change of one"; }
[ "$sent" -gt 1000 ] || fail "nothing was asked for"
