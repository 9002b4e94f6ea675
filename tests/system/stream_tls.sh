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
	note "a certificate of the system's"
	# The test has a mount namespace of its own: the machine's list stays as it is.
	cat /etc/ssl/certs/ca-certificates.crt "$scratch/cert.pem" >"$scratch/bundle.pem"
	mount --bind "$scratch/bundle.pem" /etc/ssl/certs/ca-certificates.crt || fail "mount"
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	expect 0 -- "$floe" run --command box "$secure" -- cksum /opt/box/share/data
	cksum <"$scratch/tree/share/data" | grep -q "$(cut -d' ' -f1 "$out")" || fail "wrong bytes"
	[ "$(requests)" -gt 0 ] || fail "nothing was asked for"
fi
