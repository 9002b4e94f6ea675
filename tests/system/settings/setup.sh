# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of real programs' settings stand on, beside setup.sh. Read by `.`; gives:
#
#   pack PROGRAM [FILE[:LENS]...]    $scratch/PROGRAM.floe with this machine's program and its declared files;
#                                    1, with a note, when it is not installed; pack_by="ln -s" for programs that are
#                                    large or look for their own parts beside them
#   run_in PROGRAM COMMAND...        a command in the environment PROGRAM
#   reg PROGRAM VERB...              floe registry of that environment
. "${BASH_SOURCE[0]%/*}/../setup.sh"

pack() { # PROGRAM [FILE[:LENS]...]
	local program=$1 tree=$scratch/tree.$1 file configs=()

	shift
	command -v "$program" >/dev/null || { note "$program is not installed"; return 1; }
	mkdir -p "$tree/bin"
	${pack_by:-cp -L} "$(command -v "$program")" "$tree/bin/$program"
	for file in "$@"; do configs+=(--config "$file"); done
	"$floe" sequence -q --from-dir "$tree" --prefix "/opt/$program" --name "$program" -o "$scratch/$program.floe" \
		${configs[@]+"${configs[@]}"} >"$scratch/sequence.log" 2>&1 ||
		{ cat "$scratch/sequence.log"; fail "sequencing $program"; }
}

run_in() { # PROGRAM COMMAND...
	local program=$1

	shift
	"$floe" run --env "$program" --command /usr/bin/env "$scratch/$program.floe" -- -C "$home" \
		PATH="/opt/$program/bin:$PATH" "$@"
}

reg() { # PROGRAM VERB...
	local program=$1 verb=$2

	shift 2
	"$floe" registry "$verb" "$@" --env "$program"
}
