"""What strangers wrote, on its way to a terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest

from kitpack.cli.progress import progress
from kitpack.cli.render import heading, print_json, print_table, safe_text, say, show_error, show_issues
from kitpack.content.events import Event
from kitpack.errors import Issue, KitpackError

HOSTILE = "a\x1b]0;PWNED\x07\x1b[2J\x9b31m\x7f\u202e\u2028\n\tb"
RAW = {"\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2028", "\t"}


class Tty(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", [HOSTILE, HOSTILE * 20, "[red]" + HOSTILE])
def test_bars_show_names_that_do_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    terminal = Tty()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with progress("copying") as meter:
        meter(Event(kind="started", name=name, size=10))
    shown = terminal.getvalue()
    assert "copying" in shown
    assert r"\n\tb" in shown
    assert not {"\x1b]", "\x1b[2J\x9b", "\x07", "\x9b", "\x7f", "\u202e", "\u2028"} & set(shown)
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown


def test_json_holds_the_same_value_in_harmless_characters(capsys: pytest.CaptureFixture[str]) -> None:
    value = {HOSTILE: ["\u00e4\u4e2d\U0001f600", "\ud800", *map(chr, range(256)), *map(chr, range(0x2000, 0x2100))]}
    print_json(value)
    shown = capsys.readouterr().out
    assert json.loads(shown) == value
    assert not RAW & set(shown)
    assert not [char for char in shown if 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000]
    assert "\u00e4\u4e2d\U0001f600" in shown


def test_what_is_one_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    heading(HOSTILE)
    print_table([("Type", HOSTILE), ("Digest", "sha256:1")])
    say(HOSTILE)
    show_error(KitpackError(HOSTILE, hint=HOSTILE), as_json=False)
    show_issues([Issue(path=HOSTILE, message=HOSTILE, hint=HOSTILE)], err=True)
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 4
    assert len(shown.err.splitlines()) == 4
    assert not RAW & set(shown.out + shown.err)


def test_prompts_keep_their_lines() -> None:
    assert safe_text("a\n\tb\x1b") == "a\n\tb\\x1b"
