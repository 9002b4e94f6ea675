#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=600
# apt-get in a session: packages with maintainer scripts, users, services and alternatives go through to the end;
# dpkg's database, the files of the host and its services stay what they were.
. "$(dirname "$0")/setup.sh"

command -v apt-get >/dev/null || skip "no apt-get here"
lists=''
ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || lists='apt-get update -qq && '

pick() { # the first of these packages that is not installed here
	local package

	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed' || { echo "$package"; return; }
	done
	return 1
}
package=$(pick mc nano-tiny joe jed) || skip "everything that could be sequenced is installed here"
service=$(pick openbsd-inetd vsftpd tinyproxy-bin rsync) || service=''
watched=(/etc/apt /etc/alternatives /etc/systemd /etc/init.d /etc/default /etc/mc /etc/ld.so.cache /usr/bin /usr/sbin /usr/share/applications /var/lib/dpkg /var/lib/apt /var/cache/apt /var/log)
manifest "${watched[@]}" >"$scratch/host"
dpkg -l >"$scratch/dpkg"
unchanged() {
	same_as_before "$scratch/host" "${watched[@]}"
	dpkg -l | cmp -s "$scratch/dpkg" - || fail "dpkg's list changed"
}

note "$package"
expect 0 -- "$floe" sequence -o "$scratch/a.floe" --report "$scratch/a.json" -- \
	sh -c "$lists apt-get install -y --no-install-recommends $package"
unchanged
python3 - "$scratch/a.json" "$package" <<-'PY' || { cat "$scratch/a.json"; fail "the report"; }
	import json, sys
	r, name = json.load(open(sys.argv[1])), sys.argv[2]
	assert r["manifest"]["name"] == name and r["manifest"]["version"], r["manifest"]
	assert r["manifest"]["summary"], r["manifest"]
	assert name in [p["name"] for p in r["taken"]["distribution_packages"]]
	assert r["manifest"]["commands"], r["manifest"]
	left = {p for rule in r["left_out"] for p in rule["paths"]}
	assert "/var/lib/dpkg/status" in left, left
	assert not any("policy-rc.d" in p for p in left)
PY
if [ "$package" = mc ]; then
	expect 0 -- "$floe" run --ephemeral "$scratch/a.floe" -- --version
	grep -q 'Midnight Commander' "$out" || fail "mc --version"
fi

if [ -n "$service" ]; then
	note "$service, which wants a user and a running service"
	expect 0 -- "$floe" sequence -o "$scratch/s.floe" -- \
		sh -c "$lists apt-get install -y --no-install-recommends $service"
	unchanged
	grep -qE 'systemd unit|init script|user "' "$out" || { cat "$out"; fail "nothing reported as not virtualised"; }
fi

note "removing a package deletes its files in the package, too"
victim=$(pick_installed() { for p; do dpkg -s "$p" >/dev/null 2>&1 && { echo "$p"; return; }; done; }; pick_installed less file patch)
if [ -n "$victim" ]; then
	expect 0 -- "$floe" sequence -q --name without -o "$scratch/r.floe" --report "$scratch/r.json" -- \
		sh -c "dpkg --purge --force-depends $victim && echo x >/opt/marker"
	python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["taken"]["deleted"] > 2' "$scratch/r.json" ||
		fail "purging $victim deleted nothing"
	unchanged
fi
