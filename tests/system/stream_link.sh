#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=300
# The link emulator against plain curl and nginx: never faster than the link that was asked for, about as fast, and each
# fault is what it says.
. "$(dirname "$0")/setup.sh"
command -v curl >/dev/null || skip "curl is not installed"

mkdir "$scratch/www"
head -c 1000000 /dev/urandom >"$scratch/www/file"
make_certificate
tls_port=$(free_port)
serve_dir "$scratch/www" "listen 127.0.0.1:$tls_port ssl; ssl_protocols TLSv1.3; ssl_certificate $scratch/cert.pem; ssl_certificate_key $scratch/key.pem;"
link_to "$port"
plain=http://127.0.0.1:$link_port/file plain_control=$link_control
link_to "$tls_port"
secure=https://127.0.0.1:$link_port/file secure_control=$link_control

# take URL: "TIME-TO-FIRST-BYTE TOTAL" of a download in ms, of the best of five. A busy machine makes some slow, none fast.
take() {
	for _ in 1 2 3 4 5; do
		curl -ks -o /dev/null -w '%{time_starttransfer} %{time_total} %{http_code}\n' "$1"
	done | awk '$3 != 200 { exit 1 }
		NR == 1 || $2 < total { first = $1; total = $2 }
		END { if (NR) printf "%d %d\n", first * 1000, total * 1000 }'
}

# between WHAT GOT LEAST: at least what the link costs, and not twice as much.
between() {
	[ "$2" -ge "$3" ] || fail "$1: $2 ms, and the link alone takes $3 ms"
	[ "$2" -le $(($3 * 2 + 100)) ] || fail "$1: $2 ms, where the link takes $3 ms"
}

note "round trips and bandwidth"
for rtt in 0 20 100; do
	for rate in 20 100 1000; do
		link_control=$plain_control
		link_ask rtt "$rtt"
		link_ask rate "${rate}M"
		read -r first total < <(take "$plain") || fail "$plain"
		between "http $rtt ms $rate Mbit/s, first byte" "$first" $((2 * rtt))
		between "http $rtt ms $rate Mbit/s, all" "$total" $((2 * rtt + 8000 / rate))
		note "http, $rtt ms, $rate Mbit/s: first byte $first ms, all $total ms of $((2 * rtt + 8000 / rate))"
	done
	link_control=$secure_control
	link_ask rtt "$rtt"
	link_ask rate 100M
	read -r first total < <(take "$secure") || fail "$secure"
	between "https $rtt ms, first byte" "$first" $((3 * rtt))
	between "https $rtt ms, all" "$total" $((3 * rtt + 80))
done

note "the line is shared, in turns"
# Each has a clock of its own, and they do not begin together: hence 800 and not 840.
link_control=$plain_control
link_ask rtt 20
link_ask rate 40M
begun=$(date +%s%N)
for i in 1 2 3 4; do
	curl -s -o /dev/null -w '%{time_total}\n' "$plain" >"$scratch/shared.$i" &
	shared[i]=$!
done
for pid in "${shared[@]}"; do wait "$pid" || fail "a transfer that shares the line: status $?"; done
took=$((($(date +%s%N) - begun) / 1000000))
sort -n "$scratch"/shared.* | awk -v took="$took" '
	{ t[NR] = $1 }
	END { exit !(NR == 4 && took >= 800 && t[1] > t[4] / 2) }' || fail "not shared: $(cat "$scratch"/shared.*)"

note "slow start"
link_ask rtt 50
link_ask rate 0
link_ask slow-start on
read -r first total < <(take "$plain") # 14,600 bytes, then twice as many each round trip: the seventh brings the millionth
between "slow start" "$total" $((50 * 8))
link_ask slow-start off

# sees KIND [AT]: curl's "EXIT-STATUS HTTP-STATUS BYTES" of a range, the head in $scratch/head.
sees() {
	rm -f "$scratch/body"
	link_ask fault "$@"
	curl -s -m 2 -r 0-99999 -D "$scratch/head" -o "$scratch/body" -w '%{exitcode} %{http_code} %{size_download}' "$plain"
}
is() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: curl says $2 instead of $3"
}
head_has() {
	grep -qi "$1" "$scratch/head" || { cat "$scratch/head"; fail "no $1"; }
}

note "each fault, as curl sees it"
link_ask rtt 0
is none "$(curl -s -r 0-99999 -o "$scratch/want" -w '%{exitcode} %{http_code} %{size_download}' "$plain")" "0 206 100000"
is "drop at once" "$(sees drop)" "56 000 0"
is "drop" "$(sees drop 5000)" "56 206 5000"
is "stall at once" "$(sees stall)" "28 000 0"
is "stall" "$(sees stall 5000)" "28 206 5000"
is "truncate at once" "$(sees truncate)" "52 000 0"
is "truncate" "$(sees truncate 5000)" "18 206 5000"
is "corrupt" "$(sees corrupt 5000)" "0 206 100000"
is "corrupt, where" "$(cmp -l "$scratch/body" "$scratch/want" | awk '{ print $1 }')" 5001
is "whole" "$(sees whole)" "0 200 1000000"
is "etag" "$(sees etag)" "0 206 100000"
head_has '^ETag: "changed'
is "gzip" "$(sees gzip)" "0 206 100000"
head_has '^Content-Encoding: gzip'
got=$(sees portal)
is "portal" "${got% *}" "0 200"
grep -qi '<html>' "$scratch/body" || fail "the portal is no page"
for status in 403 404 416; do is "$status" "$(sees "$status")" "0 $status 0"; done
is "503" "$(sees 503 7)" "0 503 0"
head_has '^Retry-After: 7'
link_ask fault drop 0 2 1
for want in 0 56 56 0; do
	curl -s -o /dev/null "$plain"
	is "skip 1, 2 times" "$?" "$want"
done
link_ask refuse
curl -s -o /dev/null "$plain"
is refuse "$?" 7
link_ask mend
link_ask cut
curl -s -m 1 -o /dev/null "$plain"
is cut "$?" 28
(sleep 1 && link_ask mend) &
curl -s -o "$scratch/body" "$plain" || fail "a cut link that was mended: $?"
cmp -s "$scratch/body" "$scratch/www/file" || fail "wrong bytes after a cut"
link_control=$secure_control
link_ask fault corrupt 100000 0 1 # the turn after that of the handshake
curl -ks -o /dev/null "$secure" && fail "TLS does not see a wrong bit"
link_ask stats | grep -q 'requests=0 .*corrupt=[1-9]' || fail "stats: $(link_ask stats)"

note "the same seed, the same storm"
link_control=$plain_control
storm() {
	link_ask zero
	link_ask storm 40 7 drop truncate corrupt 503
	for _ in $(seq 30); do curl -s -o /dev/null "$plain"; done
	link_ask calm
	link_ask stats | sed 's/.*down=[0-9]*//'
}
link_ask rate 0
once=$(storm)
is "storm" "$(storm)" "$once"
case $once in *drop=*truncate=*corrupt=*503=*) ;; *) fail "a storm of$once" ;; esac
