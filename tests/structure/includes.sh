#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Data flows downwards: which folder may include which, and which file may include which library.
. "$(dirname "$0")/sources.sh"

# What a folder may include besides itself.
below() {
	case $1 in
	base) ;;
	package-format) echo base ;;
	streaming) echo base package-format ;;
	vfs) echo base package-format streaming ;;
	registry-shim) echo base package-format ;;
	launcher) echo base package-format streaming vfs registry-shim ;;
	sequencer) echo base package-format streaming vfs registry-shim launcher ;;
	esac
}

# header <TAB> pattern of the files that may include it; tests may include what they test with.
third_party='curl/	^streaming/curl_library\.h$
fuse	^vfs/(cow_ops(_[a-z]+)?|fuse_refuse|fuse_session|fuse_waiter|package_ops)\.[ch]$
sqlite3.h	^(package-format/index[a-z_]*|streaming/cache[a-z_]*|registry-shim/hive[a-z_]*)\.[ch]$
zstd	^package-format/chunk\.c$
openssl/	^package-format/(key|digest)\.c$
jansson.h	^(package-format/(manifest|repository)[a-z_]*|launcher/[a-z_]+|sequencer/[a-z_]+)\.[ch]$
seccomp.h	^(launcher/filter(_application)?|sequencer/pretend)\.c$
microhttpd.h	^launcher/cmd_serve[a-z_]*\.c$
augeas.h	^registry-shim/augeas_[a-z]+\.c$
archive	^sequencer/[a-z_]*(archive|import)[a-z_]*\.c$'

own_include() { # FILE LINE HEADER
	local folder=${1%%/*} target=${3%%/*} allowed
	local subject=$folder

	[ -e "$3" ] || { finding "$1:$2: \"$3\" is not a path from the top of the checkout"; return; }
	case $1 in
	tests/unit/*) subject=${1#tests/unit/} subject=${subject%%/*} ;;
	tests/*) return ;;
	esac
	[ "$3" = launcher/server_protocol.h ] && return
	allowed=" $subject $(below "$subject") tests "
	case $allowed in
	*" $target "*) ;;
	*) finding "$1:$2: $subject/ may not include $3 (it stands on: $(below "$subject"))" ;;
	esac
}

library_include() { # FILE LINE HEADER
	local prefix pattern

	case $1 in tests/*) return ;; esac
	while IFS='	' read -r prefix pattern; do
		case $3 in
		"$prefix"*)
			[[ $1 =~ $pattern ]] || finding "$1:$2: <$3> belongs into one place: $pattern"
			return
			;;
		esac
	done <<<"$third_party"
}

while IFS=: read -r file line text; do
	case $text in
	*\"*) own_include "$file" "$line" "$(sed 's/[^"]*"\([^"]*\)".*/\1/' <<<"$text")" ;;
	*\<*) library_include "$file" "$line" "$(sed 's/[^<]*<\([^>]*\)>.*/\1/' <<<"$text")" ;;
	esac
done < <(c_files | xargs grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null)
verdict "an include against the arrow (see the map in README.md)"
