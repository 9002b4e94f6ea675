#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# A server that wants a client certificate is shown the one that origins.conf has for it; where it redirects to is not,
# and is believed by its own settings.
. "$(dirname "$0")/setup.sh"

command -v openssl >/dev/null || skip "openssl is not installed"
make_box 1
mkdir "$scratch/www" "$scratch/pki"
mv "$box" "$scratch/www/box.floe"
cd "$scratch/pki" || fail "cd"
make_ca() { # NAME
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null ||
		fail "openssl makes no certificate"
}
sign() { # NAME CA
	openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null &&
		printf 'subjectAltName=DNS:localhost\n' >"$1.ext" &&
		openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 2 -extfile "$1.ext" \
			-out "$1.pem" 2>/dev/null || fail "openssl signs no certificate"
}
make_ca one
make_ca two
sign server-one one
sign server-two two
sign ann one
sign stranger two
cd / || fail "cd"
pki=$scratch/pki
first_port=$(free_port)
second_port=$(free_port)
other_log=$scratch/other.log
# The second server takes any certificate, and notes whether it was shown one.
serve_dir "$scratch/www" "listen 127.0.0.1:$first_port ssl; ssl_certificate $pki/server-one.pem;
	ssl_certificate_key $pki/server-one.key; ssl_client_certificate $pki/one.pem; ssl_verify_client on;
	location /away.floe { return 302 https://localhost:$second_port/box.floe; }
	location /near.floe { return 302 /box.floe; }
	location /round.floe { return 302 /round.floe; }
	location /file.floe { return 302 file:///etc/passwd; } }
	log_format shown 'shown:\$ssl_client_s_dn';
	server { listen 127.0.0.1:$second_port ssl; ssl_certificate $pki/server-two.pem; root $scratch/www;
	access_log $other_log shown;
	ssl_certificate_key $pki/server-two.key; ssl_verify_client optional_no_ca;"
first=https://localhost:$first_port
second=https://localhost:$second_port
conf=$home/.config/floe/origins.conf
mkdir -p "$home/.config/floe"

afresh() {
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	rm -rf "${XDG_CACHE_HOME:-$home/.cache}/floe"
}
refused() { # URL REGEX
	afresh
	expect 125 "$2" -- "$floe" run --ephemeral --command box "$1" -- true
}
runs() { # URL
	afresh
	expect 0 -- "$floe" run --ephemeral --command box "$1" -- cksum /opt/box/share/data
	cksum <"$scratch/tree/share/data" | grep -q "$(cut -d' ' -f1 "$out")" || fail "wrong bytes"
}
configure() { # LINE...
	printf '%s\n' "$@" >"$conf"
}

note "without"
refused "$first/box.floe" 'certificate'
configure "[$first]" "ca = $pki/one.pem"
refused "$first/box.floe" 'status 400'
runs_with=("[$first]" "ca = $pki/one.pem" "certificate = $pki/ann.pem" "key = $pki/ann.key")

note "with it, and a redirect to the same server"
configure "${runs_with[@]}"
runs "$first/box.floe"
runs "$first/near.floe"
refused "$first/round.floe" 'circle'
refused "$first/file.floe" 'protocol other than'

note "a redirect to another server"
refused "$first/away.floe" 'certificate' # nobody vouches for it
configure "${runs_with[@]}" "[$second]" "ca = $pki/two.pem"
runs "$first/away.floe"
grep -q '^shown:$\|^shown:-$' "$other_log" || { cat "$other_log"; fail "the other server was not asked"; }
if grep 'CN=' "$other_log"; then fail "the other server was shown the certificate"; fi

note "the wrong one, and none where one should be"
configure "[$first]" "ca = $pki/one.pem" "certificate = $pki/stranger.pem" "key = $pki/stranger.key"
refused "$first/box.floe" 'status 400'
configure "[$first]" "ca = $pki/one.pem" "certificate = $pki/gone.pem"
refused "$first/box.floe" 'gone.pem'
configure "[$first]" "certificates = $pki/ann.pem"
refused "$first/box.floe" 'origins.conf:2: .*none of'
openssl rsa -aes256 -passout pass:secret -in "$pki/ann.key" -out "$pki/locked.key" 2>/dev/null || fail "openssl rsa"
configure "[$first]" "ca = $pki/one.pem" "certificate = $pki/ann.pem" "key = $pki/locked.key"
refused "$first/box.floe" 'locked.key'
