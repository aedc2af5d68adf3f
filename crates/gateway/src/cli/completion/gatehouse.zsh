#compdef @NAMES@
# zsh completion of gatehouse and of the names it answers to. The program itself knows what may stand where.
_gatehouse() {
    local line
    local -a lines candidates
    lines=("${(@f)$("${(Q)words[1]}" __complete "${(@Q)words[1,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@]}"; do
        case $line in
        :files*) _files ;;
        :folders*) _files -/ ;;
        ?*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    (( ${#candidates} )) && _describe 'gatehouse' candidates
}
if [[ $funcstack[1] == _gatehouse ]]; then
    _gatehouse "$@"
else
    compdef _gatehouse @NAMES@
fi
