#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=normal users=root,user timeout=240
# Settings of programs that the shim cannot enter: a statically linked one reads, rewrites, replaces and removes
# declared files, is killed in the middle, and gets what others and `floe registry set` have changed. With both
# engines.
. "$(dirname "$0")/setup.sh"
command -v cc >/dev/null || skip "there is no C compiler"

# watch FILE: until something takes its name | show FILE | write FILE TEXT | replace FILE TEXT | remove FILE | killed FILE TEXT | truncated FILE
cat >"$scratch/still.c" <<'C'
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
static int put(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	return fd < 0 || write(fd, text, strlen(text)) < 0 || close(fd) < 0;
}
int main(int argc, char **argv) {
	char new[4096], text[4096];
	const char *what = argv[1], *file = argv[2];
	ssize_t n;
	int fd;
	if (argc < 3) return 9;
	if (!strcmp(what, "show")) {
		fd = open(file, O_RDONLY);
		if (fd < 0) return 3;
		while ((n = read(fd, text, sizeof(text))) > 0) fwrite(text, 1, (size_t)n, stdout);
		return 0;
	}
	if (!strcmp(what, "watch")) {
		const char *base = strrchr(file, '/') + 1;
		sprintf(new, "%.*s", (int)(base - file), file);
		fd = inotify_init();
		if (inotify_add_watch(fd, new, IN_MOVED_TO) < 0) return 5;
		puts("up");
		fflush(stdout);
		while ((n = read(fd, text, sizeof(text))) > 0)
			for (ssize_t at = 0; at < n;) {
				const struct inotify_event *e = (const void *)(text + at);
				if (e->len && !strcmp(e->name, base)) return 0;
				at += (ssize_t)(sizeof(*e) + e->len);
			}
		return 6;
	}
	if (!strcmp(what, "remove")) return unlink(file) != 0;
	if (!strcmp(what, "truncated")) { open(file, O_WRONLY | O_TRUNC); raise(SIGKILL); }
	if (!strcmp(what, "replace")) {
		sprintf(new, "%s.new", file);
		return put(new, argv[3]) || rename(new, file);
	}
	if (put(file, argv[3])) return 4;
	if (!strcmp(what, "killed")) raise(SIGKILL);
	return 0;
}
C
make_box_tree "$scratch/tree" 1
cc -O1 -o "$scratch/tree/bin/loose" "$scratch/still.c" || fail "cc"
cc -O1 -static -o "$scratch/tree/bin/still" "$scratch/still.c" 2>"$scratch/cc" || skip "no static programs: $(cat "$scratch/cc")"
mkdir -p "$scratch/tree/etc" "$home/.config/still"
printf '; vendor\n[look]\nskin = default\nlines=25\n' >"$scratch/tree/etc/still.ini"
printf '# mine\n[host]\nname=real\n' >"$home/.config/still/host.ini"
"$floe" sequence -q --from-dir "$scratch/tree" --prefix /opt/box --name box -o "$scratch/box.floe" \
	--config /opt/box/etc/still.ini:ini --config @config/still/host.ini:ini --config @config/still/made/new.ini:ini \
	--config @home/.stillrc:ini >"$scratch/sequence.log" 2>&1 ||
	{ cat "$scratch/sequence.log"; fail "floe sequence --config"; }
box=$scratch/box.floe
host=$(cat "$home/.config/still/host.ini")
conf=$home/.config/still

still() { "$floe" run --env "$env" --engine "$engine" --command /opt/box/bin/still "$box" -- "$@"; }
sh_in() { "$floe" run --env "$env" --engine "$engine" --command box "$box" -- sh -c "$1"; }
reg() { "$floe" registry "$@" --env "$env"; }

go_through() {
	local vendor=opt/box/etc/still.ini key

	note "$engine: it sees the defaults of package and host"
	prints $'; vendor\n[look]\nskin = default\nlines=25' still show /opt/box/etc/still.ini
	prints "$host" still show "$conf/host.ini"
	prints FAILS still show "$conf/made/new.ini"
	key=$(reg list --json | sed -n 's/.*"file": "\(.*still\.ini\)".*/\1/p' | head -n 1)
	[ -n "$key" ] || fail "registry list: $(reg list)"

	note "$engine: what it saves are keys, and the shim's programs see it"
	prints '' still write /opt/box/etc/still.ini $'; vendor\n[look]\nskin = dark\nlines=25\n'
	prints dark reg get "$key:look/skin"
	prints '' still replace "$conf/host.ini" $'# mine\n[host]\nname=changed\n'
	prints changed reg get config/still/host.ini:host/name
	prints $'# mine\n[host]\nname=changed' sh_in 'cat $HOME/.config/still/host.ini'
	prints '' sh_in 'mkdir -p $HOME/.config/still/made'
	prints '' still write "$conf/made/new.ini" $'[a b]\nc d = e\n'
	prints e reg get 'config/still/made/new.ini:a b/c d'
	"$floe" env diff "$env" >"$scratch/diff" || fail "env diff"
	! grep -q '\.ini' "$scratch/diff" || fail "settings are told of as files: $(cat "$scratch/diff")"
	[ "$(cat "$conf/host.ini")" = "$host" ] || fail "the host's file was changed"
	[ ! -e "$conf/made" ] || fail "a directory appeared in the host's home"

	note "$engine: it sees what the shim's programs and floe change, also in listings"
	prints '' sh_in 'sed -i s/25/50/ /opt/box/etc/still.ini; echo "x=1" >$HOME/.stillrc'
	prints $'; vendor\n[look]\nskin = dark\nlines=50' still show /opt/box/etc/still.ini
	prints x=1 still show "$home/.stillrc"
	prints .stillrc sh_in 'cd && ls -A .stillrc* | cat; find /opt/box/etc -name ".floe*"'
	reg set "$key:look/skin" blue || fail "registry set"
	prints $'; vendor\n[look]\nskin = blue\nlines=50' still show /opt/box/etc/still.ini
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	reg set "$key:look/skin" green || fail "registry set while nothing runs"
	prints $'; vendor\n[look]\nskin = green\nlines=50' still show /opt/box/etc/still.ini
	prints green reg get "$key:look/skin"

	note "$engine: at once, while a program goes on: keys, locks, and a change that wakes whoever watches"
	mkfifo "$scratch/go"
	"$floe" run --env "$env" --command box "$box" -- sh -c "echo up; read x
		/opt/box/bin/still replace /opt/box/etc/still.ini '[look]
skin = live
lines=50
'; echo saved; read x" <"$scratch/go" >"$scratch/seen" 2>&1 &
	exec 3>"$scratch/go"
	until_true 20 grep -q up "$scratch/seen" || fail "the application does not start: $(cat "$scratch/seen")"
	reg lock "$key:look/lines" 99 || fail "registry lock"
	echo >&3
	until_true 20 sh -c "[ \"\$('$floe' registry get '$key:look/skin' --env '$env')\" = live ]" ||
		fail "what a running program saved is no key: $(cat "$scratch/seen")"
	prints $'[look]\nskin = live\nlines=99' still show /opt/box/etc/still.ini
	reg unlock "$key:look/lines" || fail "registry unlock"
	for program in still loose; do
		"$floe" run --env "$env" --command "/opt/box/bin/$program" "$box" -- watch /opt/box/etc/still.ini \
			>"$scratch/woken" 2>&1 &
		until_true 20 grep -q up "$scratch/woken" || fail "$program does not start: $(cat "$scratch/woken")"
		reg set "$key:look/skin" "$program" || fail "registry set"
		wait $! || fail "$program was not woken: $(cat "$scratch/woken")"
	done
	exec 3>&-
	rm "$scratch/go"
	wait

	note "$engine: saved while it runs beside others, and killed"
	still killed "$conf/host.ini" $'# mine\n[host]\nname=late\n' >/dev/null 2>&1
	prints late reg get config/still/host.ini:host/name
	still truncated "$conf/host.ini" >/dev/null 2>&1
	prints $'# mine\n[host]\nname=late' still show "$conf/host.ini"
	prints late reg get config/still/host.ini:host/name

	note "$engine: the holder is killed before it can harvest"
	still write "$conf/host.ini" $'# mine\n[host]\nname=first\n' || fail "write"
	mkfifo "$scratch/go"
	"$floe" run --env "$env" --command box "$box" -- sh -c \
		"/opt/box/bin/still write $conf/host.ini '[host]
name=orphan
'; echo up; read x" <"$scratch/go" >"$scratch/seen" 2>&1 &
	exec 3>"$scratch/go"
	until_true 20 grep -q up "$scratch/seen" || fail "the application does not start"
	# shellcheck disable=SC2046
	kill -9 $(floe_pids) $! 2>/dev/null
	exec 3>&-
	rm "$scratch/go"
	until_true 10 no_holder
	prints $'[host]\nname=orphan' still show "$conf/host.ini"
	prints orphan reg get config/still/host.ini:host/name

	note "$engine: removed"
	prints '' still remove "$conf/host.ini"
	prints FAILS reg get config/still/host.ini:host/name
	prints FAILS sh_in 'cat $HOME/.config/still/host.ini'
	prints '' sh_in 'rm $HOME/.stillrc'
	prints FAILS still show "$home/.stillrc"
	"$floe" stop --all >/dev/null 2>&1
	holder_leave
	prints FAILS still show "$conf/host.ini"
	[ "$(cat "$conf/host.ini")" = "$host" ] || fail "the host's file was changed"
}

engine=fuse env=by-fuse
go_through
engine=auto env=by-auto
go_through
