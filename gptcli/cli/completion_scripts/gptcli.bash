# bash completion for gptcli: as Typer writes it (`gptcli --show-completion`), but that bash cuts
# words at colons, which names of models have: they are put together, and what is typed is left out.

_gptcli_completion() {
    local IFS=$'\n' number=-1 after= before typed
    local -a words=()
    for typed in "${COMP_WORDS[@]:0:COMP_CWORD + 1}"; do
        if [[ $number -ge 0 && ( $typed == :* || $after == *: ) ]]; then
            words[number]+=$typed
        else
            words[++number]=$typed
        fi
        after=$typed
    done
    before=${words[number]%"${words[number]##*:}"}
    [[ $COMP_WORDBREAKS == *:* ]] || before=
    COMPREPLY=( $( env COMP_WORDS="${words[*]}" COMP_CWORD=$number \
                   _GPTCLI_COMPLETE=complete_bash $1 ) )
    COMPREPLY=( "${COMPREPLY[@]#"$before"}" )
    return 0
}

complete -o default -F _gptcli_completion gptcli
