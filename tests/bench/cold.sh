#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=heavy users=root timeout=7200
# Cold start through a link, next to the physical limit, to downloading the whole package first, and to `casync extract`
# of the same tree (its own format's best case: a new directory, zstd), after either of which the application is started:
#
#   T_min = round trips (TCP 1, TLS 1.3 1 more, the request 1) + (header + index + feature block) / bandwidth
#         + what the application itself takes when its files lie in /usr
#
# Slow start is no part of T_min, nor of the link unless it is asked for. What is measured: FLOE_BENCH_RTT="20 100 250"
# (ms), FLOE_BENCH_RATE="20 100 1000" (Mbit/s), FLOE_BENCH_SCHEMES="http https", FLOE_BENCH_APPS="mc octave",
# FLOE_BENCH_RUNS=3 (median), FLOE_BENCH_SLOW_START=1, FLOE_BENCH_WHOLE=0 (leave the other two out),
# FLOE_BENCH_PATIENCE=120 (seconds for each of them), FLOE_BENCH_PACKAGES=DIR (finds APP.floe there, or leaves it there).
#
# No lazy reader of a squashfs over HTTP is in Debian 12 without qemu's block drivers or nbdkit's: none is measured.
. "$(dirname "$0")/setup.sh"
command -v apt-get >/dev/null || skip "no apt-get here"
command -v openssl >/dev/null || skip "openssl is not installed"

rtts=${FLOE_BENCH_RTT:-20 100 250}
rates=${FLOE_BENCH_RATE:-20 100 1000}
schemes=${FLOE_BENCH_SCHEMES:-http https}
apps=${FLOE_BENCH_APPS:-mc octave}
runs=${FLOE_BENCH_RUNS:-3}
patience=${FLOE_BENCH_PATIENCE:-120}
www=$scratch/www
packages=${FLOE_BENCH_PACKAGES:-$scratch/packages}
ready() { python3 "$(dirname "$0")/ready.py" "$@"; }
mkdir -p "$packages" "$www"

# The start of each application, and what it says when it is ready.
command_of() {
	case $1 in
	mc) echo "mc --version" ;;
	octave) echo "octave-cli --eval disp(6*7)" ;;
	*) fail "no command for $1" ;;
	esac
}
sign_of() {
	case $1 in
	mc) echo '(?m)^GNU Midnight Commander 4' ;;
	octave) echo '(?m)^42\r?$' ;;
	esac
}

make_package() { # APP
	[ ! -s "$packages/$1.floe" ] || return 0
	"$floe" sequence -q -o "$packages/$1.floe" --name "$1" --launch "$(command_of "$1")" -- \
		apt-get install -y --no-install-recommends "$1" >"$scratch/log" 2>&1 </dev/null ||
		{ tail "$scratch/log"; fail "sequence $1"; }
}

least() { sort -n | head -n 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# But what was found out about this kernel, once, by whatever was run first.
nothing_left() {
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave || fail "the holder stays"
	[ ! -d "$HOME/.cache/floe" ] || find "$HOME/.cache/floe" -mindepth 1 -maxdepth 1 ! -name engine -exec rm -rf {} +
}

# start REF COMMAND [ARGUMENT...]: ms to ready.
start() {
	local ref=$1 command=$2

	shift 2
	ready "$sign" "$floe" run -q --trust-once --ephemeral --command "$command" "$ref" -- "$@"
}

cold_start() { # as start
	nothing_left
	start "$@"
}

extract() { # APP: into $scratch/tree
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree"
	"$floe" extract --no-trust -C "$scratch/tree" "$packages/$1.floe" >/dev/null 2>"$scratch/log" || { cat "$scratch/log"; fail "extract $1"; }
}

# The application with its files in /usr, in a mount namespace of its own: the fastest start but for the first.
native_start() { # APP
	# shellcheck disable=SC2046
	unshare --mount sh -c 'mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr && ldconfig -C "$1/cache" || exit
		runs=$2 sign=$3 ready=$4; shift 4
		for i in $(seq $((runs + 1))); do python3 "$ready" "$sign" "$@" || exit; done' \
		sh "$scratch/tree" "$((runs > 5 ? runs : 5))" "$sign" "$(dirname "$0")/ready.py" $(command_of "$1") >"$scratch/log" 2>&1 ||
		{ cat "$scratch/log"; fail "$1 does not start natively"; }
	rm -f "$scratch/tree/cache"
	tail -n +2 "$scratch/log" | least
}

make_index() { # APP: for casync, of $scratch/tree
	command -v casync >/dev/null || { note "casync is not installed: it is left out"; return; }
	casync make --compression=zstd --store="$www/store" "$www/$1.caidx" "$scratch/tree" >"$scratch/log" 2>&1 ||
		{ cat "$scratch/log"; fail "casync make"; }
}

# both_take MS COMMAND...: ms of the command and MS; - = it does not end within the patience.
both_take() {
	local more=$1 begin status=0

	shift
	begin=$(date +%s%N)
	timeout "$patience" "$@" >"$scratch/log" 2>&1 || status=$?
	[ "$status" != 124 ] || { echo "> ${patience}000"; return; }
	[ "$status" = 0 ] || { tail "$scratch/log"; fail "$1"; }
	echo $((($(date +%s%N) - begin) / 1000000 + more))
}

by_casync() { # APP URL: ms, requests
	local before took

	[ -e "$www/$1.caidx" ] || { echo "-"; return; }
	before=$(requests)
	mkdir "$scratch/got"
	took=$(both_take "$native_ms" casync extract --store="$2/store" "$2/$1.caidx" "$scratch/got") || { echo "$took"; exit 1; }
	[[ $took = '>'* ]] || diff -r --no-dereference "$scratch/tree" "$scratch/got" >"$scratch/log" 2>&1 || fail "casync brought something else"
	rm -rf "$scratch/got"
	echo "$took in $(($(requests) - before)) requests"
}

field() { # FILE NAME: a number of floe info's
	"$floe" info --json "$1" 2>/dev/null | sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" | head -n 1
}

serve() {
	local tls_port

	make_certificate
	cp -a /etc/ssl/certs "$scratch/certs"
	cat "$scratch/cert.pem" >>"$scratch/certs/ca-certificates.crt"
	cp "$scratch/cert.pem" "$scratch/certs/$(openssl x509 -hash -noout -in "$scratch/cert.pem").0"
	mount --bind "$scratch/certs" /etc/ssl/certs || fail "mount"
	tls_port=$(free_port)
	serve_dir "$www" "sendfile on; listen 127.0.0.1:$tls_port ssl http2; ssl_protocols TLSv1.3; ssl_certificate $scratch/cert.pem; ssl_certificate_key $scratch/key.pem;"
	link_to "$port"
	http_link=$link_control http=http://localhost:$link_port
	link_to "$tls_port"
	https_link=$link_control https=https://localhost:$link_port
}

cell() { # APP SCHEME RTT RATE
	local app=$1 scheme=$2 rtt=$3 rate=$4 url link_control trips=2 i before least download=- casync=- argv

	read -ra argv <<<"$(command_of "$app")"
	if [ "$scheme" = https ]; then link_control=$https_link url=$https trips=3; else link_control=$http_link url=$http; fi
	link_ask rtt "$rtt"
	link_ask rate "${rate}M"
	if [ "${FLOE_BENCH_SLOW_START:-0}" = 1 ]; then link_ask slow-start on; fi
	: >"$scratch/times"
	: >"$scratch/asked"
	: >"$scratch/bytes"
	for i in $(seq "$runs"); do
		before=$(requests)
		link_ask zero
		cold_start "$url/$app.floe" "${argv[@]}" >>"$scratch/times" || fail "no cold start of $app, $scheme $rtt $rate"
		link_ask stats | sed 's/.*down=\([0-9]*\).*/\1/' >>"$scratch/bytes"
		nothing_left
		echo $(($(requests) - before - 1)) >>"$scratch/asked"
	done
	if [ "${FLOE_BENCH_WHOLE:-1}" = 1 ]; then
		download=$(both_take "$local_ms" curl -sS -o "$scratch/whole.floe" "$url/$app.floe") || { echo "$download"; exit 1; }
		casync=$(by_casync "$app" "$url") || { echo "$casync"; exit 1; }
	fi
	least=$(awk -v t="$trips" -v rtt="$rtt" -v b="$bytes" -v r="$rate" -v app="$native_ms" \
		'BEGIN { printf "%d", t * rtt + b * 8 / r / 1000 + app }')
	awk -v app="$app" -v link="$scheme, $rtt ms, $rate Mbit/s" -v cold="$(median <"$scratch/times")" -v best="$(least <"$scratch/times")" \
		-v least="$least" \
		-v asked="$(median <"$scratch/asked")" -v got="$(median <"$scratch/bytes")" -v whole="$download" -v casync="$casync" 'BEGIN {
		printf "| %s | %s | %d | %d | %d | %.2f | %d | %.2f | %s | %s |\n", app, link, cold, best, least, cold / least, asked, got / 1e6,
			whole, casync }'
}

for app in $apps; do
	make_package "$app"
	ln -s "$(realpath "$packages/$app.floe")" "$www/$app.floe"
done
serve
lines=()
for app in $apps; do
	sign=$(sign_of "$app") package=$packages/$app.floe
	read -ra argv <<<"$(command_of "$app")"
	bytes=$((4096 + $(field "$package" index) + $(field "$package" feature_block)))
	extract "$app"
	make_index "$app"
	native_ms=$(native_start "$app") || { echo "$native_ms"; exit 1; }
	local_ms=$(for i in $(seq 3); do cold_start "$package" "${argv[@]}"; done | median)
	warm_ms=$(for i in $(seq 3); do start "$package" "${argv[@]}"; done | median)
	note "$app: $(command_of "$app"); package $(field "$package" file) bytes, content $(field "$package" content), header, index and feature block $bytes; starts natively in $native_ms ms, with floe from a local file in $local_ms ms, warm in $warm_ms ms"
	for scheme in $schemes; do
		for rtt in $rtts; do
			for rate in $rates; do
				line=$(cell "$app" "$scheme" "$rtt" "$rate") || { echo "$line"; exit 1; }
				lines+=("$line")
				note "$line"
			done
		done
	done
done
echo "| application | link | cold start, ms | its best | T_min, ms | ratio | requests after the first | MB received | whole download, then start, ms | casync extract, then start, ms |"
echo "|---|---|---|---|---|---|---|---|---|---|"
printf '%s\n' "${lines[@]}"
