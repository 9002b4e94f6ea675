# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What ./check and ./quickstart need of a Debian machine, put there only when it is missing. Read by `.`.
# Everything that changes the machine is said on one line. Packages stay; all else is undone by
# machine_restore, which the reader calls from its EXIT trap.

build_packages="gcc libc6-dev cmake ninja-build pkg-config libfuse3-dev libsqlite3-dev libzstd-dev
 libcurl4-openssl-dev libssl-dev libjansson-dev libseccomp-dev libmicrohttpd-dev libaugeas-dev"
check_packages="git htop vim clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev shellcheck man-db
 nginx-light python3 tmux bubblewrap procps curl sqlite3 attr openssl"
full_packages="libglib2.0-bin xvfb x11-utils xdotool dbus chromium imagemagick rsync acl npm nodejs postgresql
 mousepad featherpad kcalc libkf5config-bin xfce4-appfinder xfconf"
quickstart_packages="nginx-light tmux procps curl"

machine_made_user=
machine_made_policy=

machine_say() {
	printf '==> %s\n' "$*"
}

# machine_packages PACKAGE...: installs those that are missing; services that they bring are not started.
machine_packages() {
	local missing=() package policy=/usr/sbin/policy-rc.d

	for package in "$@"; do
		case $package in # another package of the same purpose will do
		nginx-light) [ -x /usr/sbin/nginx ] && continue ;;
		pkg-config | npm | git | rsync) command -v "$package" >/dev/null && continue ;;
		nodejs) command -v node >/dev/null && continue ;;
		postgresql) ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 && continue ;;
		esac
		[ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] ||
			missing+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "missing packages; as root: apt-get install ${missing[*]}" >&2
		return 1
	fi
	machine_say "installing with apt-get: ${missing[*]}"
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && machine_made_policy=$policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >"$machine_log" 2>&1 ||
		{ apt-get update </dev/null >"$machine_log" 2>&1 &&
			apt-get install -y --no-install-recommends "${missing[@]}" </dev/null >>"$machine_log" 2>&1; } ||
		{
			echo "apt-get could not install them:" >&2
			tail -n 15 "$machine_log" >&2
			return 1
		}
	machine_drop_policy
}

machine_drop_policy() {
	[ -z "$machine_made_policy" ] || rm -f "$machine_made_policy"
	machine_made_policy=
}

# Users need /dev/fuse; udev gives it 0666 where it runs.
machine_fuse() {
	if [ ! -e /dev/fuse ]; then
		echo "there is no /dev/fuse: load the kernel module fuse, or give the container the device" >&2
		return 1
	fi
	case $(stat -c %a /dev/fuse) in *6 | *7) return 0 ;; esac
	[ "$(id -u)" -eq 0 ] || return 1
	machine_say "opening /dev/fuse to users (chmod 0666, as udev does elsewhere)"
	chmod 0666 /dev/fuse
}

# machine_user NAME: an unprivileged user for the time of the run.
machine_user() {
	if id "$1" >/dev/null 2>&1; then
		# One that an earlier, killed run left behind is ours as well.
		[ "$(getent passwd "$1" | cut -d: -f5)" != "made by floe" ] || machine_made_user=$1
		return 0
	fi
	machine_say "making the unprivileged user $1 for the time of this run"
	useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin \
		--comment "made by floe" "$1" || return 1
	machine_made_user=$1
}

machine_restore() {
	machine_drop_policy
	[ -z "$machine_made_user" ] || userdel "$machine_made_user" >/dev/null 2>&1 || true
	machine_made_user=
}
