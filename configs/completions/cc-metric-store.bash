# Completion of bash for cc-metric-store; /usr/share/bash-completion/completions/cc-metric-store
_cc_metric_store() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local flags="-check-config -cleanup-checkpoints -config -dev -gops -h -help -logdate -loglevel -size -version"
    COMPREPLY=()
    case $previous in
        -config | --config)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        -loglevel | --loglevel)
            mapfile -t COMPREPLY < <(compgen -W "debug info warn err crit" -- "$current")
            return
            ;;
        -size | --size)
            compopt -o nospace 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -W "hosts=" -- "$current")
            return
            ;;
    esac
    # Two dashes do as well.
    if [[ $current == --* ]]; then
        mapfile -t COMPREPLY < <(compgen -P - -W "$flags" -- "${current#-}")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
}
complete -F _cc_metric_store cc-metric-store
