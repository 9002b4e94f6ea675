# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# One line per test, and the count at the end. Read by `.`. Results are lines of the file $report_results,
# so that runners started as programs of their own add to the same count.

: "${report_results:?}"
export report_results
report_width=52

# report STATUS NAME SECONDS [LOG]: STATUS is ok, FAIL or skip.
report() {
	local status=$1 reason=

	if [ "$status" = skip ]; then
		[ -z "${4:-}" ] || reason=$(grep -v '^[[:space:]]*$' "$4" 2>/dev/null | tail -n 1)
		[ "${MUST_WORK:-0}" != 1 ] || status=FAIL
	fi
	printf '%s %s\n' "$status" "$2" >>"$report_results"
	if [ "$status" = FAIL ] && [ -n "${4:-}" ]; then
		reason=$(tail -n "${report_tail:-40}" "$4" 2>/dev/null | sed 's/^/      | /')
		reason=$'\n'$reason$'\n'"      whole log: $4"
	fi
	# At once: others may report at the same time.
	printf '%-4s  %-*s %6.1f s  %s\n' "$status" "$report_width" "$2" "$3" "$reason"
}

report_now() {
	date +%s.%N
}

# report_wait COMMAND...: runs it in the background as a process group of its own and waits, so that a signal to
# us is acted upon at once and report_stop reaches all of it.
report_wait() {
	local rc=0

	set -m
	"$@" </dev/null &
	report_child=$!
	set +m
	wait "$report_child" || rc=$?
	report_child=
	return "$rc"
}

# report_stop SIGNAL: ends what report_wait waits for.
report_stop() {
	[ -n "${report_child:-}" ] || return 0
	kill "-$1" -- "-$report_child" 2>/dev/null
	wait "$report_child" 2>/dev/null
	report_child=
}

# report_run NAME LOG COMMAND...: runs it and reports by its exit status (77 = skipped).
report_run() {
	local name=$1 log=$2 start status=ok rc=0

	shift 2
	start=$(report_now)
	report_wait "$@" >"$log" 2>&1 || rc=$?
	case $rc in
	0) ;;
	77) status=skip ;;
	124 | 137) status=FAIL && echo "killed: took longer than it may" >>"$log" ;;
	*) status=FAIL && echo "exit status $rc" >>"$log" ;;
	esac
	report "$status" "$name" "$(awk "BEGIN { print $(report_now) - $start }")" "$log"
	return "$rc"
}

# The last line of a whole run; its status is the run's.
report_summary() {
	local passed failed skipped

	passed=$(grep -c '^ok ' "$report_results")
	failed=$(grep -c '^FAIL ' "$report_results")
	skipped=$(grep -c '^skip ' "$report_results")
	if [ "$failed" -gt 0 ]; then
		echo
		sed -n 's/^FAIL /failed: /p' "$report_results"
	fi
	if [ "$skipped" -gt 0 ]; then
		echo "$passed passed, $failed failed, $skipped skipped"
	else
		echo "$passed passed, $failed failed"
	fi
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
