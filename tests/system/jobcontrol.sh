#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# floe-test: class=quick users=root,user timeout=120
# An application under floe behaves on a terminal and in a pipe as if it ran natively: exit statuses, signals,
# Ctrl-C, Ctrl-Z and fg, the window's size, standard streams, arguments and environment.
. "$(dirname "$0")/setup.sh"

make_box

note "exit statuses"
for status in 0 1 2 42 125 126 127 128 255; do
	expect "$status" -- in_box e sh -c "exit $status"
done

note "signals become 128 + n, and reach the application"
for signal in HUP INT QUIT USR1 SEGV TERM KILL; do
	number=$(kill -l "$signal")
	expect $((128 + number)) -- in_box e sh -c "kill -$signal \$\$; sleep 5"
done
for signal in HUP TERM USR1 USR2; do
	in_box e sh -c "trap 'echo got $signal; exit 7' $signal; echo ready; while :; do sleep 0.05; done" \
		>"$scratch/signal" 2>&1 &
	pid=$!
	until_true 15 grep -q ready "$scratch/signal" || fail "the application does not start"
	# in_box runs in a subshell of its own: floe is its child, unless bash replaced itself.
	target=$(pgrep -P "$pid" -x floe || echo "$pid")
	kill -"$signal" "$target"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 7 ] || fail "status $status after $signal"
	grep -q "got $signal" "$scratch/signal" || fail "$signal did not reach the application"
done

note "standard streams"
[ "$(printf 'a\nb\n' | in_box e tr a-z A-Z | tr '\n' ' ')" = "A B " ] || fail "pipe through"
head -c 5000000 /dev/urandom >"$scratch/bytes"
in_box e cat <"$scratch/bytes" | cmp - "$scratch/bytes" || fail "5 MB through standard input and output"
in_box e sh -c 'echo to-err >&2; echo to-out' >"$out" 2>"$err"
[ "$(cat "$out")" = to-out ] && [ "$(cat "$err")" = to-err ] || fail "streams are mixed: $(cat "$out" "$err")"
in_box e sh -c 'yes | head -n 100000' | head -n 1 | grep -q y || fail "a reader that goes away"
in_box e sh -c 'cat; echo end' </dev/null | grep -q end || fail "empty standard input"
in_box e sh -c 'echo closed' <&- | grep -q closed || fail "closed standard input"

note "arguments and environment"
[ "$("$floe" run --env e --command args "$box" -- 'a b' '' '*' -x --help '$HOME' | tr '\n' '|')" = 'a b||*|-x|--help|$HOME|' ] ||
	fail "arguments"
[ "$(FLOE_TEST_VALUE='x  y' in_box e sh -c 'printf %s "$FLOE_TEST_VALUE"')" = 'x  y' ] || fail "environment"
[ "$(cd / && in_box e pwd)" = / ] || fail "working directory /"
[ "$(cd "$home" && in_box e pwd)" = "$home" ] || fail "working directory home"
[ "$(in_box e id -u)" = "$(id -u)" ] || fail "user id"
[ "$(in_box e sh -c 'umask')" = "$(umask)" ] || fail "umask"

command -v python3 >/dev/null || skip "python3 is not installed (terminal part)"
note "a terminal"
cat >"$scratch/terminal.py" <<'EOS'
import fcntl, os, pty, select, signal, struct, sys, termios, time

floe, box = sys.argv[1:3]
buffer = b""

def start():
    """An interactive shell without job messages in the way, on a terminal of its own."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["PS1"] = "% "
        os.environ["TERM"] = "dumb"
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    return pid, fd

def expect(fd, text, seconds=20):
    global buffer
    end = time.time() + seconds
    text = text.encode()
    while text not in buffer:
        left = end - time.time()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            print("waited in vain for", text, "in", buffer)
            sys.exit(1)
        buffer += os.read(fd, 65536)
    buffer = buffer[buffer.index(text) + len(text):]

def send(fd, text):
    os.write(fd, text.encode())

run = f"{floe} run --env e --command box {box} -- "
pid, fd = start()
expect(fd, "% ")

print("window size")
send(fd, run + "stty size\n")
expect(fd, "33 99\r\n")
expect(fd, "% ")
send(fd, run + "bash -c 'trap \"stty size; echo tra\\\"\\\"pped\" WINCH; echo rea\"\"dy; while :; do read -t 0.2 x; done'\n")
expect(fd, "ready")
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
expect(fd, "44 111")
expect(fd, "trapped")  # bash does not die of a Ctrl-C that comes while its trap's child runs

print("Ctrl-C")
send(fd, "\x03")
expect(fd, "% ")
send(fd, "echo status=$?=\n")
expect(fd, "status=130=")
send(fd, run + "bash -c 'trap \"echo caught; exit 9\" INT; echo rea\"\"dy; while :; do read -t 0.2 x; done'\n")
expect(fd, "ready")
send(fd, "\x03")
expect(fd, "caught")
expect(fd, "% ")
send(fd, "echo status=$?=\n")
expect(fd, "status=9=")

print("Ctrl-Z, jobs, fg")
send(fd, run + "bash -c 'echo rea\"\"dy; read line; echo got $line'\n")
expect(fd, "ready")
send(fd, "\x1a")
expect(fd, "Stopped")
send(fd, "echo alive=$?=\n")
expect(fd, "alive=148=")  # 128 + SIGTSTP, as natively
send(fd, "fg\n")
time.sleep(0.3)
send(fd, "hello\n")
expect(fd, "got hello")
send(fd, "echo status=$?=\n")
expect(fd, "status=0=")

print("background, and an application that stops itself")
send(fd, run + "sh -c 'sleep 0.5; echo from-back' &\n")
expect(fd, "from-back")
send(fd, "wait; echo wai\"\"ted\n")
expect(fd, "waited")
send(fd, run + "sh -c 'kill -STOP $$; echo continued'\n")
expect(fd, "Stopped")
send(fd, "fg\n")
expect(fd, "continued")

print("terminal modes are left as they were")
send(fd, "stty -a >$TMPDIR/before; " + run + "stty size; stty -a | diff $TMPDIR/before - && echo sa\"\"me\n")
expect(fd, "same")

print("Ctrl-\\ and end of file")
send(fd, run + "cat\n")
time.sleep(0.7)
send(fd, "line\n")
expect(fd, "line\r\nline")
send(fd, "\x04")
expect(fd, "% ")
send(fd, run + "sh -c 'echo rea\"\"dy; sleep 60'\n")
expect(fd, "ready")
send(fd, "\x1c")
expect(fd, "% ")
send(fd, "echo status=$?=\n")
expect(fd, "status=131=")

print("a terminal that goes away takes the application with it")
send(fd, run + "sh -c 'echo $$ >$HOME/hup-pid; trap \"echo hup >$HOME/hup-said; exit 3\" HUP; echo rea\"\"dy; while :; do sleep 0.1; done'\n")
expect(fd, "ready")
os.close(fd)
os.waitpid(pid, 0)
EOS
python3 "$scratch/terminal.py" "$floe" "$box" || fail "on a terminal"
until_true 10 sh -c '[ -z "$(pgrep -u "$(id -u)" -f "hup[-]pid")" ]' || fail "the application outlives its terminal"
