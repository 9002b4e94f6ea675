#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=60
# Streaming over HTTPS: a certificate that nobody vouches for is refused with the reason, one that the system trusts
# works. (HTTP/2: stream_http2.sh)
. "$(dirname "$0")/setup.sh"

command -v openssl >/dev/null || skip "openssl is not installed"
make_box 1
mkdir "$scratch/www"
mv "$box" "$scratch/www/box.floe"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/key.pem" -out "$scratch/cert.pem" -days 2 \
	-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null || fail "openssl makes no certificate"
for try in 1 2 3 4 5; do
	tls_port=$((41000 + RANDOM % 20000))
	(exec 3<>"/dev/tcp/127.0.0.1/$tls_port") 2>/dev/null || break
done
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
