"""Prompts declared in Python: the same rules for everyone, the same files as by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitpack.errors import FileConflictError, KitpackError, NotFoundError, PromptError, RenderError
from kitpack.oci.jsontext import Json
from kitpack.runtime.declare import REGISTRY, PromptRegistry, register_filter, register_prompt, write_prompts
from kitpack.runtime.declared import PromptStatus, PromptVersion
from tests.support.packing import pack_folder, write_files

CHANGELOG = "Reduced temperature from 0.7 to 0.4 to reduce hallucinated features."
SYSTEM = """You are a product copywriter for an eCommerce store.
Rules:
- Maximum 120 words.
- Write in second person ("you", "your")."""
USER = """Product name: {{ product.name }}
Price: {{ product.price | currency }}
Attributes:
{% for key, value in product.attributes.items() %}
- {{ key }}: {{ value }}
{% endfor %}
Write a product description."""


def founding(**changes: Any) -> PromptVersion:
    """The version of the founding listing, word for word as it is registered there."""
    said: dict[str, Any] = {
        "key": "product_description_v2",
        "family": "product_description",
        "version": 2,
        "status": PromptStatus.ACTIVE,
        "provider": "claude",
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 600,
        "temperature": 0.4,
        "changelog": CHANGELOG,
        "system": SYSTEM,
        "user_template": USER,
    }
    return PromptVersion(**{**said, **changes})


def small(version: int = 1, status: str = "active", **changes: Any) -> PromptVersion:
    said = {"family": "triage", "version": version, "system": "Sort.", "changelog": f"Because of reason {version}"}
    return PromptVersion(**{**said, "status": status, **changes})


@pytest.fixture
def registry() -> PromptRegistry:
    return PromptRegistry({"currency": "${:,.2f}"})


BY_HAND = f"""\
---
name: product_description
version: "2"
model: claude-sonnet-4-20250514
parameters:
  temperature: 0.4
  max_tokens: 600
filters:
  currency: "${{:,.2f}}"
changelog: {CHANGELOG}
metadata:
  family: product_description
  provider: claude
  status: active
---
system:
{SYSTEM}

user:
{USER}
"""


def test_a_declared_prompt_packs_to_the_digest_of_one_written_by_hand(registry: PromptRegistry, tmp_path: Path) -> None:
    registry.register(founding())
    kitfile = "prompts:\n  - path: prompts\n"
    declared = write_files(tmp_path / "declared", {}, kitfile)
    assert registry.write_prompts(declared / "prompts") == ("product_description.md",)
    by_hand = write_files(tmp_path / "hand", {"prompts/product_description.md": BY_HAND}, kitfile)
    assert pack_folder(declared)[1].digest == pack_folder(by_hand)[1].digest


def test_it_renders_with_both_templates(registry: PromptRegistry) -> None:
    registry.register(founding(system="You write for {{ product.shop }}."))
    product: Json = {"name": "Lamp", "price": 1200, "attributes": {"colour": "red"}, "shop": "Lumen"}
    rendered = registry.prompt("product_description").render(product=product)
    assert [one["role"] for one in rendered.messages] == ["system", "user"]
    assert rendered.messages[0]["content"] == "You write for Lumen."
    assert "Price: $1,200.00\n" in rendered.messages[1]["content"]
    assert "- colour: red\n" in rendered.messages[1]["content"]
    assert (rendered.model, rendered.parameters) == (
        "claude-sonnet-4-20250514",
        {"temperature": 0.4, "max_tokens": 600},
    )
    assert str(rendered.identity).startswith("product_description@2 sha256:")
    with pytest.raises(RenderError):
        registry.prompt("product_description").render()


def test_a_filter_may_be_a_function_of_the_application(registry: PromptRegistry) -> None:
    def shout(value: object) -> str:
        return f"{value}!"

    registry.register_filter("shout", shout)
    registry.register(small(system="{{ word | shout }}"))
    assert registry.prompt("triage").render(word="Hey").messages[0]["content"] == "Hey!"
    ((_, raw),) = registry.files()
    assert b"filters:\n  shout: null\n" in raw
    with pytest.raises(KitpackError, match="another meaning"):
        registry.register_filter("shout", "{}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": "product_description_v3"}, "disagrees with family and version: 'product_description_v2'"),
        ({"family": "a b"}, "is no name for a family"),
        ({"family": "../x"}, "is no name for a family"),
        ({"family": "x_v3", "key": ""}, "is no name for a family"),
        ({"family": ""}, "is no name for a family"),
        ({"version": 0}, "not a whole number"),
        ({"version": True}, "not a whole number"),
        ({"version": "2"}, "not a whole number"),
        ({"changelog": ""}, "changelog of version 2 is missing"),
        ({"changelog": "  \n"}, "changelog of version 2 is missing"),
        ({"changelog": "fix"}, "changelog of version 2 is 'fix'"),
        ({"status": "live"}, "status is 'live'"),
        ({"system": " ", "user_template": ""}, "says nothing"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 1.5}, "max_tokens is 1.5"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"parameters": {"temperature": 1}}, "stand in the parameters, too"),
    ],
)
def test_what_is_wrong_with_a_version_is_told(registry: PromptRegistry, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(PromptError) as error:
        registry.register(founding(**changes))
    assert words in str(error.value)
    with pytest.raises(NotFoundError):
        registry.versions("product_description")


def test_all_that_is_wrong_is_told_at_once(registry: PromptRegistry) -> None:
    with pytest.raises(PromptError) as error:
        registry.register(founding(changelog="", status="live", max_tokens=-1))
    assert len(error.value.issues) == 3


def test_the_first_version_needs_no_changelog(registry: PromptRegistry) -> None:
    assert registry.register(small(changelog="")).key == "triage_v1"


def test_a_conflict_raises_and_changes_nothing(registry: PromptRegistry) -> None:
    registry.register(small())
    for other, words in (
        (small(system="Other."), "registered already, with other content"),
        (small(2), "triage_v1 is active already"),
        (small(1, family="Triage"), "nothing but case"),
    ):
        with pytest.raises(PromptError) as error:
            registry.register(other)
        assert words in str(error.value)
    assert registry.register(small()) == registry.versions("triage")[0]
    assert [one.version for one in registry.versions("triage")] == [1]


def test_versions_are_asked_for_by_number_or_the_active_one(registry: PromptRegistry) -> None:
    registry.register(small(1, "deprecated", system="Old."))
    registry.register(small(2, system="New."))
    assert registry.prompt("triage").render().text == "New."
    assert registry.prompt("triage", 1).render().text == "Old."
    with pytest.raises(NotFoundError, match="no version 3"):
        registry.prompt("triage", 3)
    with pytest.raises(NotFoundError, match="no prompt family 'sort'"):
        registry.prompt("sort")


def test_without_an_active_version_a_family_can_be_asked_by_number_and_repaired(registry: PromptRegistry) -> None:
    registry.register(small(1, "shadow"))
    assert registry.prompt("triage", 1).render().text == "Sort."
    with pytest.raises(NotFoundError, match="1 is shadow"):
        registry.prompt("triage")
    with pytest.raises(PromptError, match="triage"):
        registry.check()
    assert registry.activate("triage", 1) == (None, 1)
    registry.check()


def test_activating_moves_in_one_step_and_twice_is_once(registry: PromptRegistry) -> None:
    registry.register(small(1, "deprecated"))
    registry.register(small(2))
    registry.register(small(3, "archived"))
    assert registry.activate("triage", 1) == (2, 1)
    assert registry.activate("triage", 1) == (1, 1)
    assert [one.status for one in registry.versions("triage")] == ["active", "deprecated", "archived"]
    with pytest.raises(KitpackError, match="archived"):
        registry.activate("triage", 3)
    assert registry.prompt("triage").prompt.version == "1"


def run_together(work: Callable[[int], None], count: int) -> list[BaseException]:
    """Do something in several threads that start at the same moment; what they raised."""
    start, raised = threading.Barrier(count), list[BaseException]()

    def one(number: int) -> None:
        start.wait()
        try:
            work(number)
        except PromptError as error:
            raised.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_of_many_threads_exactly_one_registers_the_active_version(registry: PromptRegistry) -> None:
    raised = run_together(lambda number: void(registry.register(small(number + 1))), 16)
    assert len(raised) == 15
    assert [one.status for one in registry.versions("triage")] == ["active"]


def test_exactly_one_version_is_active_while_many_threads_activate(registry: PromptRegistry) -> None:
    for number in range(1, 9):
        registry.register(small(number, "active" if number == 1 else "shadow"))
    seen: list[int] = []

    def activate(number: int) -> None:
        for _ in range(20):
            registry.activate("triage", number + 1)
            seen.append(sum(one.status == "active" for one in registry.versions("triage")))

    assert run_together(activate, 8) == []
    assert set(seen) == {1}


def void(_: object) -> None:
    return None


def test_files_are_the_same_whatever_the_order(tmp_path: Path) -> None:
    versions = [small(1, "deprecated"), small(2), small(3, "shadow"), small(4, "archived"), small(1, family="answer")]
    one, other = PromptRegistry(), PromptRegistry()
    for version in versions:
        one.register(version)
    for version in reversed(versions):
        other.register(version)
    assert one.files() == other.files()
    assert [path for path, _ in one.files()] == ["answer.md", "triage_v1.md", "triage.md", "triage_v3.md"]


def test_writing_replaces_nothing_that_was_changed_unless_told(registry: PromptRegistry, tmp_path: Path) -> None:
    registry.register(small(1, "deprecated"))
    registry.register(small(2))
    assert registry.write_prompts(tmp_path / "prompts") == ("triage_v1.md", "triage.md")
    assert registry.write_prompts(tmp_path / "prompts") == ()
    changed = tmp_path / "prompts/triage.md"
    changed.write_text("mine")
    (tmp_path / "prompts/triage_v1.md").unlink()
    with pytest.raises(FileConflictError):
        registry.write_prompts(tmp_path / "prompts")
    assert [path.name for path in (tmp_path / "prompts").iterdir()] == ["triage.md"]
    assert changed.read_text() == "mine"
    registry.write_prompts(tmp_path / "prompts", force=True)
    assert changed.read_bytes() == dict(registry.files())["triage.md"]


def test_faults_of_templates_are_found_before_anything_is_written(registry: PromptRegistry, tmp_path: Path) -> None:
    registry.register(small(1, system="{% if %}"))
    registry.register(small(1, family="other", system="{{ x | nothing }}"))
    with pytest.raises(PromptError) as error:
        registry.write_prompts(tmp_path / "prompts")
    assert {issue.path for issue in error.value.issues} == {"triage.md", "other.md"}
    assert not (tmp_path / "prompts").exists()


def test_a_text_that_looks_like_another_message_stays_one(registry: PromptRegistry) -> None:
    registry.register(small(1, system="Never answer as\nuser:\nor so.", user_template="{{ a }}"))
    assert [path for path, _ in registry.files()] == ["triage.yaml"]
    rendered = registry.prompt("triage").render(a="x")
    assert [one["role"] for one in rendered.messages] == ["system", "user"]


def test_an_application_may_use_the_registry_that_is_there(tmp_path: Path) -> None:
    register_filter("currency", "${:,.2f}")
    register_prompt(founding())
    assert write_prompts(tmp_path) == ("product_description.md",)
    assert REGISTRY.prompt("product_description", 2).name == "product_description"
