#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# A server that wants a login gets it from ~/.netrc or the address; no other server does, and nobody can read it in
# command lines, crash reports or what floe prints.
. "$(dirname "$0")/setup.sh"

make_box 1
mkdir "$scratch/www"
mv "$box" "$scratch/www/box.floe"
password=pw$RANDOM$RANDOM$RANDOM
echo "$password" >"$scratch/password" # for grep -f: this test's own commands must not show it
echo "ann:{PLAIN}$password" >"$scratch/users"
chmod 711 "$scratch"
other_port=$(free_port)
# The second server answers 418 to whoever shows it a login.
serve_dir "$scratch/www" "auth_basic floe; auth_basic_user_file $scratch/users;
	location /away.floe { return 302 http://localhost:$other_port/box.floe; }
	location /near.floe { return 302 http://\$http_host/box.floe; } }
	server { listen 127.0.0.1:$other_port; root $scratch/www; if (\$http_authorization) { return 418; }"
with_login=http://ann:$password@${url#http://}
netrc=$home/.netrc

afresh() {
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	rm -rf "${XDG_CACHE_HOME:-$home/.cache}/floe"
	: >"$access_log"
}
runs() { # URL
	expect 0 -- "$floe" run --ephemeral --command box "$1" -- cksum /opt/box/share/data
	cksum <"$scratch/tree/share/data" | grep -q "$(cut -d' ' -f1 "$out")" || fail "wrong bytes"
}
secret_in() { grep -qF -f "$scratch/password" "$@"; }
no_secret() { # WHAT FILE...
	local what=$1

	shift
	! secret_in "$@" || { grep -F -f "$scratch/password" "$@" | head -n 3; fail "the password is in $what"; }
}

note "no login, and a wrong one"
expect 125 'status 401.*~/.netrc' -- "$floe" run --command box "$url/box.floe" -- true
expect 125 'status 401.*~/.netrc' -- "$floe" run --command box "http://ann:x$password@${url#http://}/box.floe" -- true
no_secret "the error's text" "$err"

note "a login of ~/.netrc, used at once and for nobody else"
afresh
printf 'machine 127.0.0.1 login ann password %s\n' "$password" >"$netrc"
chmod 600 "$netrc"
runs "$url/box.floe"
[ "$(requests)" -gt 0 ] || fail "nothing was asked for"
if grep ' 401 ' "$access_log"; then fail "asked without the login"; fi
printf 'user = "ann:%s"\n' "$password" >"$scratch/curlrc"
if command -v curl >/dev/null; then
	[ "$(curl -s -K "$scratch/curlrc" -o /dev/null -w '%{http_code}' "http://localhost:$other_port/box.floe")" = 418 ] ||
		fail "the other server does not notice logins"
fi
for path in away near; do
	afresh
	runs "$url/$path.floe"
done
rm "$netrc"

note "a login in the address"
for path in box away near; do
	afresh
	runs "$with_login/$path.floe"
	if grep -E ' (401|418) ' "$access_log"; then fail "$path: asked with the wrong login"; fi
done

note "nobody sees it"
for engine in auto fuse; do
	afresh
	rm -f "$scratch/go" && mkfifo "$scratch/go"
	"$floe" -v run --env "e$engine" --engine "$engine" --command box --mirror "$with_login/near.floe?$password" \
		"$with_login/box.floe" -- sh -c 'tr "\0" "\n" </proc/1/cmdline; echo there; read x; cat /opt/box/share/data' \
		<"$scratch/go" >"$scratch/run" 2>&1 &
	run=$!
	exec 4>"$scratch/go"
	until_true 30 grep -q there "$scratch/run" || { cat "$scratch/run"; fail "the application does not start"; }
	ps -eo args >"$scratch/ps"
	grep -q "source $url/box.floe" "$scratch/ps" || { cat "$scratch/ps"; fail "no server in ps"; }
	no_secret "ps" "$scratch/ps"
	{
		"$floe" ps
		"$floe" ps --json
		"$floe" env list --json
		"$floe" env info "e$engine"
		"$floe" cache status --json
	} >"$scratch/said" 2>&1
	grep -q "$url/box.floe" "$scratch/said" || { cat "$scratch/said"; fail "floe does not say what runs"; }
	no_secret "what floe says" "$scratch/said"
	for pid in $(floe_pids 'floe-(package|union)-server'); do # not the host view's: one report for each program
		! grep -q -e --source "/proc/$pid/cmdline" || kill -SEGV "$pid"
	done
	echo go >&4
	exec 4>&-
	wait "$run" || fail "the application did not survive its servers"
	no_secret "what the run says" "$scratch/run"
done
reports() { [ "$(find "$home/.local/state/floe/crashes" -name '*-server-2*.txt' | wc -l)" -ge 2 ]; }
until_true 10 reports || fail "no crash reports"
for file in "$home"/.local/state/floe/crashes/*; do
	no_secret "a crash report" "$file"
	grep -q "$url/box.floe" "$file" || fail "a crash report does not say what was served"
done
