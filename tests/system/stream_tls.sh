#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=60
# Streaming over HTTPS: a certificate that nobody vouches for is refused with the reason, one that the system trusts
# works. (HTTP/2: stream_http2.sh)
. "$(dirname "$0")/setup.sh"

make_box 1
mkdir "$scratch/www"
mv "$box" "$scratch/www/box.floe"
make_certificate
tls_port=$(free_port)
serve_dir "$scratch/www" "listen 127.0.0.1:$tls_port ssl http2; ssl_certificate $scratch/cert.pem; ssl_certificate_key $scratch/key.pem;"
secure=https://localhost:$tls_port/box.floe

note "an unknown certificate"
expect 125 "certificate" -- "$floe" run --command box "$secure" -- true
[ "$(requests)" = 0 ] || fail "something was asked for over an untrusted connection"

if [ "$(id -u)" -eq 0 ]; then
	# The test has a mount namespace of its own: the machine's list stays as it is.
	runs() {
		"$floe" stop --all >/dev/null 2>&1
		holder_leave
		rm -rf "$home/.cache/floe"
		expect 0 -- "$floe" run --command box "$secure" -- cksum /opt/box/share/data
		cksum <"$scratch/tree/share/data" | grep -q "$(cut -d' ' -f1 "$out")" || fail "wrong bytes"
		[ "$(requests)" -gt 0 ] || fail "nothing was asked for"
		: >"$access_log"
	}
	system=/etc/ssl/certs
	cp -a "$system" "$scratch/certs"
	cat "$system/ca-certificates.crt" "$scratch/cert.pem" >"$scratch/certs/ca-certificates.crt"
	mount --bind "$scratch/certs" "$system" || fail "mount"

	note "a certificate of the system's, in its bundle only"
	runs

	note "in its directory only; then the bundle is not even read"
	cp "$scratch/cert.pem" "$system/$(openssl x509 -hash -noout -in "$scratch/cert.pem").0"
	echo "no certificate" >"$system/ca-certificates.crt"
	runs

	note "and where there is no bundle at all"
	rm "$system/ca-certificates.crt"
	runs
fi
