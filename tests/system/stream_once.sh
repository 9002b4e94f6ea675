#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=600
# Processes that share the cache do not fetch what another one is fetching: the package's server and the union's server of
# the fuse engine, with a profile and without one; `floe cache fill` beside a run, and beside another one.
. "$(dirname "$0")/setup.sh"

tree=$scratch/tree
mkdir -p "$tree/bin" "$tree/share" "$scratch/www"
printf '#!/bin/sh\ncat /opt/x/share/* | sha256sum\n' >"$tree/bin/all"
printf '#!/bin/sh\nls -r /opt/x/share/*[02468] | xargs cat | sha256sum\n' >"$tree/bin/half"
chmod 755 "$tree"/bin/*
for i in $(seq 10 59); do head -c 150K /dev/urandom >"$tree/share/a$i"; done
# A primary feature block, and much behind it.
{ echo floe-touches 1; for i in $(seq 10 19); do echo "0 153600 opt/x/share/a$i"; done; } >"$scratch/profile"
expect 0 -- "$floe" sequence -q --from-dir "$tree" --prefix /opt/x --name x -o "$scratch/www/x.floe" \
	--command all=/opt/x/bin/all --command half=/opt/x/bin/half --profile "$scratch/profile"
expect 0 -- "$floe" info --json "$scratch/www/x.floe"
block_end=$(python3 -c 'import json, sys; b = json.load(sys.stdin)["bytes"]; print(4096 + b["index"] + b["feature_block"])' <"$out")
# Slow enough for the processes to meet.
serve_dir "$scratch/www" 'limit_rate 4m; limit_rate_after 64k;'
export XDG_CACHE_HOME=$home/.cache

nobody_serves() { [ -z "$(floe_pids)" ]; }

forget() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
	until_true 20 nobody_serves || fail "servers stay"
	expect 0 -- "$floe" cache gc --keep 0
	: >"$access_log"
}

# Bytes that came more than once: but for the header, and what the server sends before the first request is cut short.
expect_once() { # WHAT
	sleep 0.1 # nginx writes its log behind the answer
	python3 - "$access_log" "$(stat -c %s "$scratch/www/x.floe")" "$1" "$block_end" <<-'PYTHON' || fail "$1: bytes came twice"
		import re, sys
		size = int(sys.argv[2])
		times = bytearray(size)
		asked = sent = 0
		for line in open(sys.argv[1]):
		    fields = line.split()
		    start = int(re.search(r'bytes=(\d+)-', line).group(1))
		    end = min(start + int(fields[3]), size)
		    asked += 1
		    sent += end - start
		    if not start:
		        end = min(end, int(sys.argv[4]))
		    for at in range(max(start, 4096), end):
		        times[at] = min(times[at] + 1, 2)
		    if 2 in times[max(start, 4096):max(end, 0)]:
		        print('again:', line.strip())
		twice = times.count(2)
		print(f'-- {sys.argv[3]}: {asked} requests, {sent} bytes of {size}, {twice} of them twice', flush=True)
		sys.exit(twice > 0)
	PYTHON
}

sum_of() { # GLOB-END
	(cd "$tree/share" && printf '%s\n' *$1 | sort "${@:2}" | xargs cat | sha256sum)
}
all=$(sum_of '')
half=$(sum_of '[02468]' -r)

launch() { # COMMAND SUM
	timeout 100 "$floe" run --engine "$engine" --env "once-$engine" --command "$1" "$url/x.floe" >"$out" 2>"$err" || { cat "$err"; fail "run $1"; }
	[ "$(cat "$out")" = "$2" ] || fail "other bytes than were packed"
}

engines=fuse
if "$floe" run --dry-run --env once-probe "$scratch/www/x.floe" | grep -q '^engine  *overlay'; then engines='fuse overlay'; fi
for engine in $engines; do
	rm -rf "$home/.cache/floe/profiles"
	for known in unknown known; do
		forget
		launch half "$half"
		expect_once "$engine, half, $known"
		forget
		launch all "$all"
		expect_once "$engine, all, $known"
	done
	forget
	"$floe" cache fill "$url/x.floe" >"$scratch/fill" 2>&1 &
	filling=$!
	launch all "$all"
	wait "$filling" || { cat "$scratch/fill"; fail "fill beside a run"; }
	expect_once "$engine, beside fill"
done

note "two that fill"
forget
"$floe" cache fill "$url/x.floe" >"$scratch/fill" 2>&1 &
filling=$!
expect 0 -- "$floe" cache fill "$url/x.floe"
wait "$filling" || { cat "$scratch/fill"; fail "fill beside fill"; }
expect_once "two that fill"

note "a server that knows no ranges: the beginning, and then all in one go"
stop_serving
serve_dir "$scratch/www" 'max_ranges 0;'
for engine in $engines; do
	forget
	launch all "$all"
	# The union's server asks once more whether it still is the package.
	[ "$(requests)" -le 4 ] || { cat "$access_log"; fail "$(requests) requests"; }
done
