# Bash completes the flags of exec.sh after `source scripts/dag/completion.bash`: those that its --help lists, whatever they are.
_exec_sh() {
  case $2 in
    -*) mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | grep -oE '^ +(-h, )?--[a-z-]+' | grep -oE -- '--.*')" -- "$2") ;;
  esac
}
complete -o default -F _exec_sh exec.sh ./exec.sh
