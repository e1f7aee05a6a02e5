# Lets POSIX shells know `conda`; made for `set -u` as well. @PREFIX@ is replaced at installation.
export CONDA_EXE='@PREFIX@/bin/conda'
export CONDA_PYTHON_EXE='@PREFIX@/bin/python'

__conda_evaluate() {
    __conda_statements="$(PS1="${PS1:-}" "$CONDA_EXE" shell.posix "$@")" || return
    \eval "$__conda_statements"
    \unset __conda_statements
}

conda() {
    case "${1-}" in
        activate | deactivate)
            __conda_evaluate "$@"
            ;;
        install | update | upgrade | remove | uninstall)
            "$CONDA_EXE" "$@" || return
            __conda_evaluate reactivate
            ;;
        *)
            "$CONDA_EXE" "$@"
            ;;
    esac
}

if [ -z "${CONDA_SHLVL+x}" ]; then
    export CONDA_SHLVL=0
    case ":${PATH:-}:" in
        *":@PREFIX@/condabin:"*) ;;
        *) export PATH="@PREFIX@/condabin${PATH:+:$PATH}" ;;
    esac
fi
