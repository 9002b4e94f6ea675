#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=user timeout=3600
# A package of FLOE_BENCH_FILES=300000 files and FLOE_BENCH_MIB=4096 MiB next to one of 100 files: the time to the first
# byte of a launch from a local file (holder and server new each time, in turns), and the memory of the package server once
# everything has been read through it: streamed from nginx, again from its cache, and from the local file. One reader, then
# eight at once. A quarter of the bytes is in small files, the rest in a hundred large ones; all compress well, none is equal.
. "$(dirname "$0")/setup.sh"
files=${FLOE_BENCH_FILES:-300000}
mib=${FLOE_BENCH_MIB:-4096}
runs=${FLOE_BENCH_RUNS:-9}

make_tree() { # DIR FILES MIB
	mkdir -p "$1/bin"
	printf '#!/bin/sh\nexec "$@"\n' >"$1/bin/box"
	chmod 755 "$1/bin/box"
	echo first >"$1/first"
	python3 - "$@" <<-'PYTHON'
		import os, random, sys
		top, files, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) << 20
		chance = random.Random(1)
		large = 100 if files > 1000 else 0
		small = total // (4 if large else 1) // (files - large)
		for i in range(files - large):
		    if i % 500 == 0:
		        where = f"{top}/share/{i // 50000}/{i // 500}"
		        os.makedirs(where)
		    line = b"file %d: %016x\n" % (i, chance.getrandbits(64))
		    length = chance.randrange(small // 2, small * 3 // 2)
		    with open(f"{where}/file-{i}.txt", "wb") as f:
		        f.write(line * (length // len(line) + 1))
		if large:
		    os.makedirs(f"{top}/lib")
		for i in range(large):
		    with open(f"{top}/lib/large-{i}", "wb") as f:
		        left = (total - total // 4) // large
		        while left:
		            block = (chance.randbytes(65536) * 16)[:left]
		            f.write(block)
		            left -= len(block)
	PYTHON
}

make_package() { # NAME FILES MIB
	make_tree "$scratch/$1" "$2" "$3"
	"$floe" sequence -q --level 3 --from-dir "$scratch/$1" --prefix /opt/box --name "$1" --command box=/opt/box/bin/box \
		-o "$www/$1.floe" >"$scratch/log" 2>&1 || { tail "$scratch/log"; fail "pack $1"; }
	content=$(find "$scratch/$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%.0f", sum }')
	rm -rf "${scratch:?}/$1"
	note "$1: $(stat -c %s "$www/$1.floe") bytes, of which index $("$floe" info --json "$www/$1.floe" | sed -n 's/.*"index": \([0-9]*\).*/\1/p' | head -n 1)"
}

nothing_left() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave || fail "the holder stays"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

first_byte() { # NAME: ms
	local begin

	nothing_left
	begin=$(date +%s%N)
	"$floe" run -q --ephemeral --command box "$www/$1.floe" -- head -c 1 /opt/box/first >/dev/null 2>"$scratch/log" ||
		{ cat "$scratch/log"; fail "run $1"; }
	echo $((($(date +%s%N) - begin) / 10000)) | sed 's/..$/.&/'
}

# What the only package server has now.
memory() { # WHAT SECONDS
	local pid

	pid=$(floe_pids floe-package)
	[ "$(wc -w <<<"$pid")" = 1 ] || fail "package servers: $pid"
	awk -v what="$1" -v s="$2" '{ v[$1] = $2 / 1024 } END {
		printf "| %s | %.1f | %.1f | %.1f | %.1f | %d | %s |\n", what, v["VmRSS:"], v["VmHWM:"], v["RssAnon:"], v["RssFile:"],
			v["Threads:"] * 1024, s }' "/proc/$pid/status"
}

read_all() { # REF READERS: seconds
	local begin

	begin=$(date +%s%N)
	"$floe" run -q --ephemeral --command box "$1" -- sh -c 'cd /opt/box && find . -type f -print0 | xargs -0 -P "$0" -n 500 cat | wc -c' \
		"$2" >"$out" 2>"$scratch/log" || { cat "$scratch/log"; fail "read $1"; }
	[ "$(cat "$out")" = "$content" ] || fail "$(cat "$out") bytes of $1 instead of $content"
	echo $((($(date +%s%N) - begin) / 100000000)) | sed 's/.$/.&/'
}

measure() { # WHAT REF
	local readers seconds keeper=''

	for readers in 1 8; do
		nothing_left
		"$floe" run -q --ephemeral --command box "$2" -- sh -c 'echo; exec sleep 3600' >"$scratch/kept" 2>/dev/null &
		keeper=$!
		until_true 60 test -s "$scratch/kept" || fail "no launch of $2"
		[ "$readers" = 8 ] || memory "$1, launched" ""
		seconds=$(read_all "$2" "$readers") || { echo "$seconds"; exit 1; }
		memory "$1, readers: $readers" "$seconds"
		kill "$keeper" 2>/dev/null
		wait "$keeper" 2>/dev/null || true
	done
}

www=$scratch/www
mkdir -p "$www"
make_package small 100 1
make_package large "$files" "$mib"
serve_dir "$www"
for name in small large; do first_byte "$name" >/dev/null; done
for _ in $(seq "$runs"); do
	for name in small large; do first_byte "$name" >>"$scratch/first.$name" || { cat "$scratch/first.$name"; exit 1; }; done
done
awk -v small="$(median <"$scratch/first.small")" -v large="$(median <"$scratch/first.large")" \
	'BEGIN { printf "first byte: 100 files %.1f ms, large package %.1f ms, ratio %.2f\n", small, large, large / small }'
echo "| $files files, $mib MiB | VmRSS, MiB | VmHWM, MiB | RssAnon, MiB | RssFile, MiB | threads | seconds |"
echo "|---|---|---|---|---|---|---|"
measure "streamed, then from the cache" "$url/large.floe"
measure "local file" "$www/large.floe"
