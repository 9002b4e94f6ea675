# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the system tests stand on. Read by `.`; gives:
#
#   $floe $scratch $home       the program, an empty directory, the (scratch) home
#   fail skip note             endings, and a line for the log
#   expect STATUS [REGEX] -- COMMAND    runs, compares status and standard error; output is in $out and $err
#   make_box [MiB [OPTION...]] $box, a small package whose command `box` runs its arguments
#   pack_box [OPTION...]       $box, of $scratch/tree (make_box_tree, and what was added to it) and options of floe sequence
#   in_box ENV COMMAND...      runs a command inside the environment ENV of $box
#   serve_dir DIR              nginx on loopback: $url, $access_log (method, path, status, bytes, range, protocol)
#   free_port                  prints a port of loopback on which nobody listens
#   make_certificate           for localhost, vouched for by itself: $scratch/cert.pem, $scratch/key.pem; or skips
#   link_to PORT [OPTION...]   floe-test-link before a server on that port of loopback: $link_port
#   link_ask COMMAND...        tells the link: rtt, rate, fault, cut, mend, stats (floe-test-link --help)
#   open_display               an X server without a screen ($DISPLAY); or skips
#   manifest PATH...           every entry below, with type, owner, mode, times, size, link target and content
#
# Everything started here ends with the test.
set -u
export LC_ALL=C.UTF-8

: "${FLOE_BUILD:?a build directory with bin/floe}"
floe=$FLOE_BUILD/bin/floe
home=$HOME
scratch=$(mktemp -d "${TMPDIR:-/tmp}/t.XXXXXX") || exit 1
nginx_pid=''
at_end=()

[ -x "$floe" ] || { echo "there is no $floe"; exit 1; }

note() {
	printf -- '-- %s\n' "$*"
}

fail() {
	printf 'FAILED: %s\n' "$*"
	exit 1
}

skip() {
	printf '%s\n' "$*"
	exit 77
}

finish_test() {
	local status=$? command

	trap - EXIT
	set +e
	for command in ${at_end[@]+"${at_end[@]}"}; do eval "$command"; done
	[ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null
	timeout 20 "$floe" stop --all >/dev/null 2>&1
	holder_leave
	chmod -R u+rwX "$scratch" 2>/dev/null
	rm -rf --one-file-system "$scratch"
	exit "$status"
}
trap finish_test EXIT
trap 'exit 130' INT TERM

# A misspelled helper fails the test, also in a subshell.
command_not_found_handle() {
	printf 'FAILED: there is no %s\n' "$1"
	kill "$$"
	exit 127
}

# The holder would stay for the next launch; a test does not leave it behind.
holder_leave() {
	local pid

	for pid in $(holder_pids); do kill "$pid" 2>/dev/null; done
	until_true 10 no_holder
}

no_holder() {
	[ -z "$(holder_pids)" ]
}

# Processes of this floe's, by the beginning of their name ("" = all of libexec/floe), that belong to this test; not
# those that only write to the kernel for a server.
floe_pids() { # NAME
	local pid exe

	for pid in $(pgrep -u "$(id -u)" -f "^([^ ]*/)?${1:-floe-(holder|package|union|host|environment|tools)}" 2>/dev/null); do
		exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || exe=$FLOE_BUILD/libexec/floe/unknown
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != floe-notify ] || continue
		case $exe in "$FLOE_BUILD"/*) echo "$pid" ;; esac
	done
}

holder_pids() {
	floe_pids floe-holder
}

out=$scratch/out
err=$scratch/err

# expect STATUS [REGEX] -- COMMAND...: REGEX (extended) must be found in what it says on standard error.
expect() {
	local want=$1 regex='' got=0

	shift
	if [ "$1" != -- ]; then regex=$1 && shift; fi
	shift
	"$@" >"$out" 2>"$err" </dev/null || got=$?
	if [ "$got" != "$want" ]; then
		sed 's/^/out: /' "$out" | tail -n 20
		sed 's/^/err: /' "$err" | tail -n 20
		fail "status $got instead of $want: $*"
	fi
	if [ -n "$regex" ] && ! grep -qE -- "$regex" "$err"; then
		sed 's/^/err: /' "$err"
		fail "no /$regex/ in the error text of: $*"
	fi
}

# The box: a script as its command, one incompressible file, many small ones, links, a set-uid bit.
make_box_tree() { # DIR
	mkdir -p "$1/bin" "$1/share/many" "$1/empty"
	printf '#!/bin/sh\nexec "$@"\n' >"$1/bin/box"
	printf '#!/bin/sh\nfor a; do printf "%%s\\n" "$a"; done\n' >"$1/bin/args"
	printf '#!/bin/sh\ncat /opt/box/share/data\n' >"$1/bin/data"
	chmod 755 "$1/bin/box" "$1/bin/args" "$1/bin/data"
	head -c $((${2:-3} << 20)) /dev/urandom >"$1/share/data"
	for i in $(seq 200); do echo "file $i" >"$1/share/many/$i"; done
	ln -s ../share/data "$1/bin/link"
	ln "$1/share/data" "$1/share/hard"
	echo original >"$1/share/note"
}

pack_box() { # [OPTION of floe sequence...]
	box=$scratch/box.floe
	"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box -o "$box" "$@" \
		>"$scratch/sequence.log" 2>&1 || { cat "$scratch/sequence.log"; fail "floe sequence --from-dir $*"; }
	[ -s "$box" ] || fail "no package was made"
}

make_box() { # [MiB of data [OPTION of floe sequence...]]
	make_box_tree "$scratch/tree" "${1:-3}"
	pack_box "${@:2}"
}

in_box() { # ENV COMMAND...
	local env=$1

	shift
	"$floe" run --env "$env" --command box "$box" -- "$@"
}

free_port() {
	local port

	for _ in 1 2 3 4 5; do
		port=$((10000 + RANDOM % 10000)) # below what the kernel gives to those who connect
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

make_certificate() {
	command -v openssl >/dev/null || skip "openssl is not installed"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scratch/key.pem" -out "$scratch/cert.pem" -days 2 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null || fail "openssl makes no certificate"
}

serve_dir() { # DIR [NGINX SERVER LINES]
	local dir=$1 extra=${2:-} conf=$scratch/nginx try

	command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || skip "nginx is not installed"
	mkdir -p "$conf"
	access_log=$conf/access.log
	for try in 1 2 3 4 5 6 7 8; do
		port=$((20000 + RANDOM % 20000))
		if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
		cat >"$conf/nginx.conf" <<-CONF
			daemon off;
			worker_processes 1;
			pid $conf/nginx.pid;
			error_log $conf/error.log;
			$([ "$(id -u)" -ne 0 ] || echo "user root;")
			events { worker_connections 128; }
			http {
				log_format ranges '\$request_method \$uri \$status \$body_bytes_sent "\$http_range" \$server_protocol';
				access_log $access_log ranges;
				client_body_temp_path $conf/body; proxy_temp_path $conf/proxy;
				fastcgi_temp_path $conf/fastcgi; uwsgi_temp_path $conf/uwsgi; scgi_temp_path $conf/scgi;
				default_type application/octet-stream;
				server { listen 127.0.0.1:$port; root $dir; $extra }
			}
		CONF
		nginx -p "$conf" -c "$conf/nginx.conf" >"$conf/out" 2>&1 &
		nginx_pid=$!
		for _ in $(seq 50); do
			[ -s "$conf/nginx.pid" ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break 2
			kill -0 "$nginx_pid" 2>/dev/null || break
			sleep 0.1
		done
	done
	kill -0 "$nginx_pid" 2>/dev/null || { cat "$conf/error.log" "$conf/out"; fail "nginx does not start"; }
	url=http://127.0.0.1:$port
}

stop_serving() {
	[ -z "$nginx_pid" ] || { kill "$nginx_pid" && wait "$nginx_pid" 2>/dev/null; }
	nginx_pid=''
}

link_to() { # PORT [OPTION...]
	local to=$1

	shift
	link_control=$scratch/link.$to
	"$FLOE_BUILD/tests/net/floe-test-link" "$@" --control "$link_control" "127.0.0.1:$to" >"$link_control.port" &
	at_end+=("kill $! 2>/dev/null")
	until_true 10 test -s "$link_control.port" || fail "floe-test-link does not start"
	link_port=$(cat "$link_control.port")
}

link_ask() { # COMMAND...
	"$FLOE_BUILD/tests/net/floe-test-link" --ask "$link_control" "$@" || fail "floe-test-link $*"
}

open_display() {
	local display=:$((50 + RANDOM % 400))

	command -v Xvfb >/dev/null && command -v xwininfo >/dev/null || skip "Xvfb or xwininfo is not installed (check --full installs them)"
	Xvfb "$display" -screen 0 1280x900x24 -nolisten tcp >"$scratch/xvfb" 2>&1 &
	at_end+=("kill $!")
	export DISPLAY=$display
	until_true 15 sh -c 'xwininfo -root 2>/dev/null' >/dev/null || fail "Xvfb does not start"
}

requests() {
	sleep 0.1 # nginx writes its log behind the answer
	wc -l <"$access_log" 2>/dev/null || echo 0
}

manifest() { # PATH...
	local path

	for path in "$@"; do
		# Sockets come and go; access times are the kernel's business.
		find "$path" -xdev ! -type s -printf '%p|%y|%m|%U:%G|%T@|%C@|%n|%s|%l\n' 2>/dev/null | LC_ALL=C sort
		find "$path" -xdev -type f -readable -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0r sha256sum 2>/dev/null
	done
}

# same_as_before FILE PATH...: the manifest is still what FILE says.
same_as_before() {
	local file=$1

	shift
	manifest "$@" >"$file.now"
	if ! cmp -s "$file" "$file.now"; then
		diff "$file" "$file.now" | head -n 20
		fail "the host was changed"
	fi
}

# prints WANT COMMAND...: on both its outputs together; WANT "FAILS": it ends with an error.
prints() {
	local want=$1 got

	shift
	got=$("$@" 2>&1) || { [ "$want" = FAILS ] && return; fail "$*: $got"; }
	[ "$got" = "$want" ] || fail "$*: $got"$'\n'"instead of: $want"
}

# until_launched ENV: a launch of it is running: one that is being made ready has no process yet.
until_launched() {
	until_true 20 sh -c "'$floe' ps 2>/dev/null | grep -qE '^ *[1-9][0-9]* +$1 '" || fail "no launch of $1: $("$floe" ps 2>&1)"
}

# until_true SECONDS COMMAND...: polls for an event of another process.
until_true() {
	local end=$(($(date +%s) + $1))

	shift
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}
