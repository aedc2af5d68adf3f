# fish completion of gatehouse and of the names it answers to. The program itself knows what may stand where.
function __gatehouse_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete $words "$current" 2>/dev/null)
        switch $line
            case ':files*'
                __fish_complete_path "$current"
            case ':folders*'
                __fish_complete_directories "$current"
            case '?*'
                printf '%s\n' $line
        end
    end
end
for program in @NAMES@
    complete -c $program -f -a '(__gatehouse_complete)'
end
