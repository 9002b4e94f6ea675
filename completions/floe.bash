# SPDX-License-Identifier: Apache-2.0
# bash completion for floe. Names of environments come from the directories, so that a key press costs no process.

_floe_environments() {
	local dir=${XDG_DATA_HOME:-$HOME/.local/share}/floe/envs

	[ -d "$dir" ] && (cd "$dir" && compgen -d -- "$1")
}

# Names of packages in the lists of subscribed repositories.
_floe_packages() {
	cat "${XDG_CACHE_HOME:-$HOME/.cache}"/floe/repositories/*/names 2>/dev/null |
		while IFS=$'\t' read -r kind name _; do
			[ "$kind" = package ] && [[ $name == "$1"* ]] && printf '%s\n' "$name"
		done
}

_floe_repositories() {
	local dir=${XDG_CONFIG_HOME:-$HOME/.config}/floe/repositories

	[ -d "$dir" ] && (cd "$dir" && compgen -f -- "$1")
}

# Keys of an environment (--env among the words before, else the only one). Readline breaks words at ':', so only
# what stands behind the last one is given back.
_floe_keys() { # WORD
	local full=${COMP_LINE:0:COMP_POINT} word=$1 key env=() i

	full=${full##* }
	for ((i = 1; i + 1 < COMP_CWORD; i++)); do
		[ "${COMP_WORDS[i]}" = --env ] && env=(--env "${COMP_WORDS[i + 1]}")
	done
	[ "$word" != : ] || word=
	floe -q registry list --keys "${env[@]}" 2>/dev/null | while IFS= read -r key; do
		[[ $key == "$full"* ]] || continue
		key=${key#"${full%"$word"}"}
		[ -z "$key" ] || printf '%q\n' "$key"
	done
}

_floe() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' at=0 i
	local verbs="run sequence info ls verify extract search list update add remove repo serve env registry cache key ps stop doctor"

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) verb=${COMP_WORDS[i]} at=$i && break ;;
		esac
	done
	if [ -z "$verb" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs -q -v --help --version" -- "$word")
		return
	fi

	case $previous in
	--env) mapfile -t COMPREPLY < <(_floe_environments "$word") && return ;;
	--net) mapfile -t COMPREPLY < <(compgen -W "host none" -- "$word") && return ;;
	--on-loss) mapfile -t COMPREPLY < <(compgen -W "wait fail:" -- "$word") && return ;;
	--engine) mapfile -t COMPREPLY < <(compgen -W "auto overlay fuse" -- "$word") && return ;;
	--share | --private | --hide | --policy | --from-dir | --keep | --rules | --report | -o | -C)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	esac

	local options="--help" subverbs='' names=0
	case $verb in
	run) options="--env --ephemeral --command --share --private --hide --policy --net --engine --mirror --offline --on-loss --trust-once
		--dry-run --help -q -v" ;;
	sequence) options="-o --name --version --summary --command --launch --profile --launch-seconds --engine --config --env
		--path --local --rules --print-rules --report --json --key --level --keep --keep-going --from-dir --prefix --help -q -v" ;;
	info | ps | doctor) options="--json --help" ;;
	ls) options="-l -R --recursive --json --help" ;;
	verify) options="--no-trust --help" ;;
	extract) options="-C --overwrite --no-trust --help" ;;
	serve) options="--port --bind --help" ;;
	search | list) options="--all --json --help" ;;
	add) options="--as --help" ;;
	repo) subverbs="add list remove sign" options="--name --mirror --valid --key --change-key --json --help" ;;
	env) subverbs="list show diff set reset remove" options="--json --engine --files --settings --yes --help" names=1 ;;
	registry) subverbs="list diff get set unset lock unlock explain history search export import" options="--env --json --keys --limit --dry-run -o --help" ;;
	cache) subverbs="status fill pin unpin quota verify gc export profile" options="--json --keep --command --output --help" ;;
	key) subverbs="new list trust revoke" options="--label --json --help" ;;
	stop) options="--all --pid --signal --help" names=1 ;;
	esac

	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [ -n "$subverbs" ] && [ $((at + 1)) -eq "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$subverbs" -- "$word")
	elif [ "$verb" = registry ]; then
		case ${COMP_WORDS[at + 1]} in
		import | export) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
		search) ;;
		*) mapfile -t COMPREPLY < <(_floe_keys "$word") ;;
		esac
	elif [ "$names" = 1 ]; then
		mapfile -t COMPREPLY < <(_floe_environments "$word")
	elif [ "$verb" = sequence ]; then
		compopt -o filenames -o default
		mapfile -t COMPREPLY < <(compgen -c -f -- "$word")
	elif [ "$verb" = update ] || [ "$verb" = remove ]; then
		mapfile -t COMPREPLY < <(_floe_repositories "$word")
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$word"; compgen -f -X '!*.floe' -- "$word"; _floe_packages "$word")
	fi
}

complete -F _floe floe
