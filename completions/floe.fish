# SPDX-License-Identifier: Apache-2.0
# fish completion for floe.

function __floe_environments
    set -l data $XDG_DATA_HOME
    test -n "$data"; or set data ~/.local/share
    test -d $data/floe/envs; and command ls $data/floe/envs
end

function __floe_keys
    set -l words (commandline -opc)
    set -l at (contains -i -- --env $words)
    set -l env
    test -n "$at"; and set env --env $words[(math $at + 1)]
    floe -q registry list --keys $env 2>/dev/null
end

function __floe_packages
    set -l cache $XDG_CACHE_HOME
    test -n "$cache"; or set cache ~/.cache
    for table in $cache/floe/repositories/*/names
        string match -r '^package\t[^\t]+' <$table | string replace -r '^package\t' ''
    end
end

function __floe_repositories
    set -l config $XDG_CONFIG_HOME
    test -n "$config"; or set config ~/.config
    test -d $config/floe/repositories; and command ls $config/floe/repositories
end

function __floe_verb
    not __fish_seen_subcommand_from run info ls verify extract sequence search list update add remove repo serve env registry cache key ps stop doctor
end

complete -c floe -n __floe_verb -f -s q -l quiet -d 'Say only what went wrong'
complete -c floe -n __floe_verb -f -s v -l verbose -d 'Say more'
complete -c floe -n __floe_verb -f -l version -d 'Print the version'
complete -c floe -n __floe_verb -f -a run -d 'Run an application of a package'
complete -c floe -n __floe_verb -f -a info -d 'What a package is, who signed it, how large it is'
complete -c floe -n __floe_verb -f -a ls -d 'List the files of a package'
complete -c floe -n __floe_verb -f -a verify -d 'Check every byte of a package'
complete -c floe -n __floe_verb -f -a extract -d 'Write the files of a package to a directory'
complete -c floe -n __floe_verb -f -a sequence -d 'Make a package of what an installer does'
complete -c floe -n __floe_verb -f -a search -d 'Look for packages in subscribed repositories'
complete -c floe -n __floe_verb -f -a list -d 'Subscribed repositories and their packages'
complete -c floe -n __floe_verb -f -a update -d 'Fetch the lists of repositories again'
complete -c floe -n __floe_verb -f -a add -d 'Subscribe to a repository'
complete -c floe -n __floe_verb -f -a remove -d 'End a subscription'
complete -c floe -n __floe_verb -f -a repo -d 'Publish a directory of packages'
complete -c floe -n __floe_verb -f -a serve -d 'Offer a directory of packages over HTTP'
complete -c floe -n __floe_verb -f -a env -d 'List, show, compare, reset and remove environments'
complete -c floe -n __floe_verb -f -a registry -d 'Read and change settings'
complete -c floe -n __floe_verb -f -a cache -d 'What is kept of packages on this machine'
complete -c floe -n __floe_verb -f -a key -d 'Make, list, trust and revoke signing keys'
complete -c floe -n __floe_verb -f -a ps -d 'What is running'
complete -c floe -n __floe_verb -f -a stop -d 'End what is running'
complete -c floe -n __floe_verb -f -a doctor -d 'Can floe run here'

complete -c floe -n '__fish_seen_subcommand_from run registry' -x -l env -a '(__floe_environments)' -d 'Environment'
complete -c floe -n '__fish_seen_subcommand_from run' -l ephemeral -d 'Remove the environment at the end'
complete -c floe -n '__fish_seen_subcommand_from run' -x -l command -d 'Command of the package'
complete -c floe -n '__fish_seen_subcommand_from run' -r -l share -d "Show the host's path itself"
complete -c floe -n '__fish_seen_subcommand_from run' -r -l private -d 'Keep writes in the environment'
complete -c floe -n '__fish_seen_subcommand_from run' -r -l hide -d 'Do not show'
complete -c floe -n '__fish_seen_subcommand_from run' -x -l net -a 'host none' -d Network
complete -c floe -n '__fish_seen_subcommand_from run env sequence' -x -l engine -a 'auto overlay fuse' -d 'How the union is made'
complete -c floe -n '__fish_seen_subcommand_from run' -x -l mirror -d 'Where the same package is, too'
complete -c floe -n '__fish_seen_subcommand_from run' -l offline -d 'Never ask the network'
complete -c floe -n '__fish_seen_subcommand_from run' -x -l on-loss -a 'wait fail:30' -d 'When the network goes'
complete -c floe -n '__fish_seen_subcommand_from run' -l trust-once -d 'Accept an unknown signer this time'
complete -c floe -n '__fish_seen_subcommand_from run' -l dry-run -d 'Print the plan'
complete -c floe -n '__fish_seen_subcommand_from sequence' -r -s o -l output -d 'The package to write'
complete -c floe -n '__fish_seen_subcommand_from sequence' -x -l name -d Name
complete -c floe -n '__fish_seen_subcommand_from sequence' -x -l launch -d 'Run this once'
complete -c floe -n '__fish_seen_subcommand_from sequence' -r -l profile -d 'What launches elsewhere needed'
complete -c floe -n '__fish_seen_subcommand_from sequence' -r -l from-dir -d 'Package a directory'
complete -c floe -n '__fish_seen_subcommand_from sequence' -r -l prefix -d 'Where it stands'
complete -c floe -n '__fish_seen_subcommand_from env' -f -a 'list show diff set reset remove (__floe_environments)'
complete -c floe -n '__fish_seen_subcommand_from registry' -f -a 'list diff get set unset lock unlock explain history search export import'
complete -c floe -n '__fish_seen_subcommand_from registry; and __fish_seen_subcommand_from get set unset lock unlock explain history' -f -a '(__floe_keys)'
complete -c floe -n '__fish_seen_subcommand_from registry' -l keys -d 'Only the keys'
complete -c floe -n '__fish_seen_subcommand_from registry' -l dry-run -d 'Say what an import would change'
complete -c floe -n '__fish_seen_subcommand_from registry' -x -l limit -d 'So many of the newest changes'
complete -c floe -n '__fish_seen_subcommand_from registry' -r -s o -l output -d 'Write to a file'
complete -c floe -n '__fish_seen_subcommand_from run' -r -l policy -d 'Settings that are given or locked'
complete -c floe -n '__fish_seen_subcommand_from cache' -f -a 'status fill pin unpin quota verify gc export profile'
complete -c floe -n '__fish_seen_subcommand_from cache' -x -l command -d 'Profile of this command only'
complete -c floe -n '__fish_seen_subcommand_from cache' -r -s o -l output -d 'The profile to write'
complete -c floe -n '__fish_seen_subcommand_from key' -f -a 'new list trust revoke'
complete -c floe -n '__fish_seen_subcommand_from run info ls verify' -a '(__floe_packages)'
complete -c floe -n '__fish_seen_subcommand_from update remove' -f -a '(__floe_repositories)'
complete -c floe -n '__fish_seen_subcommand_from search list' -s a -l all -d 'Every version'
complete -c floe -n '__fish_seen_subcommand_from add' -x -l as -d 'Call it so here'
complete -c floe -n '__fish_seen_subcommand_from repo' -a 'add list remove sign'
complete -c floe -n '__fish_seen_subcommand_from repo' -x -l mirror -d 'Another place with the same content'
complete -c floe -n '__fish_seen_subcommand_from repo' -x -l valid -d 'Days'
complete -c floe -n '__fish_seen_subcommand_from stop' -f -a '(__floe_environments)'
complete -c floe -n '__fish_seen_subcommand_from stop' -f -l all -d Everything
complete -c floe -n '__fish_seen_subcommand_from ps env info ls doctor registry' -l json -d 'For programs'
