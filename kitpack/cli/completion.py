"""Completion scripts for shells; what they complete is decided by click and by the types of arguments."""

from __future__ import annotations

from click.shell_completion import FishComplete, ShellComplete, ZshComplete

__all__ = ["script"]

_VARIABLE = "_KITPACK_COMPLETE"

# bash takes a colon for the end of a word, but references have colons: so the words are taken from the line itself,
# and of every answer the part up to the last colon that stands there already is left out again.
_BASH = """\
_kitpack_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" word answer kind
    local -a words answers
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    word="${words[${#words[@]}-1]}"
    local typed=""
    [[ "$COMP_WORDBREAKS" == *:* ]] && typed="${word%"${word##*:}"}"
    COMPREPLY=()
    while IFS= read -r answer; do
        kind="${answer%%,*}"
        answer="${answer#*,}"
        case "$kind" in
            dir) compopt -o dirnames 2> /dev/null ;;
            file) compopt -o default 2> /dev/null ;;
            plain) COMPREPLY+=("${answer#"$typed"}") ;;
        esac
    done < <(COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) _KITPACK_COMPLETE=bash_complete "$1" 2> /dev/null)
}
complete -o nosort -F _kitpack_completion kitpack 2> /dev/null || complete -F _kitpack_completion kitpack
"""


def script(shell: str) -> str:
    """The script that makes a shell ask kitpack: ``bash``, ``zsh`` or ``fish``."""
    from kitpack.cli import kitpack

    if shell == "bash":
        return _BASH
    kinds: dict[str, type[ShellComplete]] = {"zsh": ZshComplete, "fish": FishComplete}
    return kinds[shell](kitpack, {}, "kitpack", _VARIABLE).source()
