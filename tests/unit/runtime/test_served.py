"""A prompt that an application asks for: its own filters, its limits, and its identity while it is served."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import kitpack
from kitpack.errors import RenderError
from kitpack.prompts.meter import Limits
from kitpack.runtime.logs import active_identity
from tests.support.packing import write_files

FILES = {
    "price.md": "---\nfilters: {euro: '€{:.2f}', loud: }\nvariables: [price]\n---\n{{ price | euro }} {{ 'x' | loud }}",
    "plain.md": "---\nversion: '7'\nvariables: [model, values, record_values]\n---\n"
    "{{ model }}{{ values }}{{ record_values }}",
    "long.md": "---\nvariables: [n]\n---\n{% for i in range(n) %}0123456789{% endfor %}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "mine", {**FILES})


def test_filters_that_an_application_brings_reach_the_prompts_that_want_them(folder: Path) -> None:
    bot = kitpack.load(folder, filters={"loud": lambda text: str(text).upper()})
    assert bot.prompt("price").render(price=3).text == "€3.00 X"
    assert bot.prompt("plain").render({"model": 1, "values": 2, "record_values": 3}).text == "123"
    with pytest.raises(RenderError, match="loud"):
        kitpack.load(folder).prompt("price").render(price=3)


def test_limits(folder: Path) -> None:
    assert len(kitpack.load(folder).prompt("long").render(n=50).text) == 500
    with pytest.raises(RenderError):
        kitpack.load(folder, limits=Limits(output=499)).prompt("long").render(n=50)


def test_the_version_of_a_prompt_is_its_own(folder: Path) -> None:
    bot = kitpack.load(folder)
    assert bot.prompt("plain").identity.prompt_version == "7"
    assert bot.prompt("price").identity.prompt_version == ""
    assert bot.prompt("plain").identity.bundle_reference == str(folder)


def test_what_is_served_is_in_the_logs_meanwhile(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rendered = kitpack.load(folder).prompt("plain").render({"model": 1, "values": 2, "record_values": 3})
    caplog.handler.addFilter(identities := kitpack.IdentityFilter())
    try:
        with caplog.at_level(logging.INFO), rendered.active():
            assert active_identity() == rendered.identity
            logging.getLogger("application").info("asking")
    finally:
        caplog.handler.removeFilter(identities)
    (record,) = (one for one in caplog.records if one.name == "application")
    assert record.__dict__["gen_ai.prompt.name"] == "plain"
    assert record.__dict__["kitpack.prompt.fingerprint"] == rendered.identity.fingerprint
    assert not [name for name in record.__dict__ if name.startswith("gen_ai.prompt.variable")]
    assert active_identity() is None


def test_nothing_secret_is_in_a_repr(folder: Path) -> None:
    prompt = kitpack.load(folder).prompt("plain")
    rendered = prompt.render({"model": "s3cret", "values": 2, "record_values": 3}, record_values=True)
    assert "s3cret" not in repr(rendered) + repr(prompt) + repr(rendered.identity)
