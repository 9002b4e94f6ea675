#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# What a command touched comes by itself at its next cold start, and nothing that others did; a running package,
# programs that are no command, and the next build.
. "$(dirname "$0")/setup.sh"

# Each command reads every other file of its own, backwards, behind what the first request may bring. With an
# argument it first says so, and waits for its input's end.
tree=$scratch/tree
mkdir -p "$tree/bin" "$tree/share"
printf '#!/bin/sh\n[ ! "$1" ] || { echo waits; cat >/dev/null; }\nls -r /opt/pair/share/%s*[02468] | xargs cat | sha256sum\n' a >"$tree/bin/one"
sed 's,/a\*,/b*,' "$tree/bin/one" >"$tree/bin/two"
printf '#!/bin/sh\necho waits\ncat >/dev/null\n' >"$tree/bin/other"
chmod 755 "$tree"/bin/*
head -c 6M /dev/urandom >"$tree/share/00"
for i in $(seq 10 49); do
	head -c 100K /dev/urandom >"$tree/share/a$i"
	head -c 100K /dev/urandom >"$tree/share/b$i"
done
mkdir "$scratch/www"
expect 0 -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/pair --name pair -o "$scratch/www/pair.floe" \
	--command one=/opt/pair/bin/one --command two=/opt/pair/bin/two
region=$((40 * 100 * 1024)) # the files of a command and what lies between them
come=$((region * 9 / 10)) # gaps as small as these are fetched along
serve_dir "$scratch/www"
export XDG_CACHE_HOME=$home/.cache
rm -rf "$home/.cache/floe"

sum_of() { # SET
	(cd "$tree/share" && printf '%s\n' "$1"*[02468] | sort -r | xargs cat | sha256sum)
}

nobody_serves() { [ -z "$(floe_pids)" ]; }
bytes() { awk '{ sum += $4 } END { print sum + 0 }' "$access_log"; }
has_come() { [ "$(bytes)" -ge "$1" ]; }

# Everything goes but what was learnt.
evict() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
	until_true 20 nobody_serves || fail "servers stay"
	expect 0 -- "$floe" cache gc --keep 0
	: >"$access_log"
}

run() { # COMMAND [ARGUMENT]
	timeout 60 "$floe" run --engine "$engine" --env "learn-$engine" --command "$1" "$url/pair.floe" -- "${@:2}"
}

launch() { # COMMAND SET
	run "$1" >"$out" 2>"$err" || { cat "$err"; fail "floe run --command $1"; }
	[ "$(cat "$out")" = "$(sum_of "$2")" ] || fail "other bytes than were packed"
}

# A launch that reads nothing yet: what comes is what was learnt.
start_waiting() { # COMMAND
	rm -f "$scratch/go"
	mkfifo "$scratch/go"
	run "$1" wait <"$scratch/go" >"$scratch/waiting" 2>&1 &
	waiting=$!
	exec 5>"$scratch/go"
	until_true 60 grep -qsx waits "$scratch/waiting" || { cat "$scratch/waiting"; fail "$1 does not start"; }
}
end_waiting() { # [SET]
	exec 5>&-
	wait "$waiting" || { cat "$scratch/waiting"; fail "the launch that waited"; }
	[ -z "${1:-}" ] || [ "$(tail -n 1 "$scratch/waiting")" = "$(sum_of "$1")" ] || fail "other bytes than were packed"
}

cold() { # COMMAND SET
	evict
	launch "$@"
	asked=$(requests) sent=$(bytes)
	note "$engine: $1: $asked requests, $sent bytes"
}

second_cold() { # COMMAND SET
	evict
	start_waiting "$1"
	until_true 30 has_come "$come" || fail "what was learnt does not come"
	end_waiting "$2"
	few_requests "$1"
	cold "$@" && few_requests "$1"
}

few_requests() { # COMMAND
	asked=$(requests) sent=$(bytes)
	note "$engine: $1, known: $asked requests, $sent bytes"
	[ "$asked" -le 10 ] || { cat "$access_log"; fail "$asked requests for what is known"; }
	[ "$sent" -lt $((region + region / 4)) ] || { cat "$access_log"; fail "$sent bytes for $region"; }
}

export_profiles() {
	evict
	expect 0 -- "$floe" cache profile "$url/pair.floe"
	cp "$out" "$scratch/of-both"
	expect 0 -- "$floe" cache profile "$scratch/www/pair.floe" --command two -o "$scratch/of-two"
	names "$scratch/of-both" a10 && names "$scratch/of-both" b48 || fail "not all that was touched is exported"
	names "$scratch/of-two" b48 || fail "not what two touched"
	# Chunks are exported, which may hold the end of one file and the beginning of another: not of one in the middle.
	! names "$scratch/of-two" a28 || fail "what only one touched is exported for two"
	awk '{ sum += $2 } END { exit sum > '$((region * 6 / 5))' }' "$scratch/of-both" || fail "what nobody touched is exported"
	expect 125 'nothing was learnt.*nobody' -- "$floe" cache profile "$url/pair.floe" --command nobody
}
names() { # FILE NAME
	grep -qE "^[0-9]+ [0-9]+ opt/pair/share/$2\$" "$1"
}

engines=fuse
if "$floe" run --dry-run --env learn-probe "$scratch/www/pair.floe" | grep -q '^engine  *overlay'; then engines='overlay fuse'; fi
for engine in $engines; do
	evict
	rm -rf "$home/.cache/floe/profiles"
	cold one a
	[ "$asked" -gt 15 ] || fail "$asked requests for what is not known: nothing to be better than"
	cold two b
	second_cold one a
	second_cold two b
	export_profiles

	note "$engine: before anything is read; then another command of the same package"
	evict
	start_waiting one
	until_true 30 has_come "$come" || fail "what was learnt does not come"
	launch two b
	end_waiting a
	[ "$(requests)" -le 10 ] || { cat "$access_log"; fail "more requests than both need"; }
	evict
	start_waiting /opt/pair/bin/other
	until_true 30 has_come "$come" || fail "a program that is no command does not start as the default one"
	[ "$(bytes)" -lt $((region + region / 4)) ] || { cat "$access_log"; fail "more than the default command's"; }
	end_waiting
done

note "into the next build, in which everything lies elsewhere"
head -c 3M /dev/urandom >"$tree/bin/0new"
build() { # FILE [OPTION...]
	expect 0 -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/pair --name pair -o "$scratch/www/$1" \
		--command one=/opt/pair/bin/one --command two=/opt/pair/bin/two "${@:2}"
	expect 0 -- "$floe" info --json "$scratch/www/$1"
	block=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["bytes"]["feature_block"])' <"$out")
	note "$1: a primary feature block of $block bytes"
}
build plain.floe
[ "$block" = 0 ] || fail "a feature block without a profile"
build two.floe --profile "$scratch/of-two"
[ "$block" -gt $((region * 2 / 5)) ] && [ "$block" -lt $((region * 3 / 5)) ] || fail "the block is not what two touched"
build pair.floe --profile "$scratch/of-two" --profile "$scratch/of-both"
[ "$block" -gt $((region * 4 / 5)) ] && [ "$block" -lt $((region * 6 / 5)) ] || fail "the block is not what both touched"
expect 125 'profile: .*not what floe cache profile writes' -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/pair \
	-o "$scratch/bad.floe" --profile "$tree/bin/one"
[ ! -e "$scratch/bad.floe" ] || fail "a package in spite of that"
engine=${engines%% *}
evict
rm -rf "$home/.cache/floe/profiles"
cold two b
[ "$asked" -le 4 ] || { cat "$access_log"; fail "$asked requests for what the block has"; }
