# bash completion of gatehouse and of the names it answers to. The program itself knows what may stand where.
_gatehouse() {
    local candidate help current="${COMP_WORDS[COMP_CWORD]}"
    local -a words=("${COMP_WORDS[@]:0:COMP_CWORD+1}")
    COMPREPLY=()
    while IFS=$'\t' read -r candidate help; do
        case $candidate in
        :files)
            compopt -o filenames 2>/dev/null
            while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -f -- "$current")
            ;;
        :folders)
            compopt -o filenames 2>/dev/null
            while IFS= read -r candidate; do COMPREPLY+=("$candidate"); done < <(compgen -d -- "$current")
            ;;
        ?*) COMPREPLY+=("$(printf '%q' "$candidate")") ;;
        esac
    done < <("$1" __complete "${words[@]}" 2>/dev/null)
}
complete -F _gatehouse @NAMES@
