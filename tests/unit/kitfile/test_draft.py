"""A first Kitfile for a folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitpack.kitfile.check import check_files
from kitpack.kitfile.draft import draft_kitfile
from kitpack.kitfile.load import parse_kitfile
from kitpack.kitfile.model import Kitfile

APACHE = "\n                                 Apache License\n                           Version 2.0, January 2004\n"
MIT = "Copyright (c) X\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"
BSD = "Redistribution and use in source and binary forms, with or without\n\n3. Neither the name of\n"
GPL = "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007\n"
AGPL = "                    GNU AFFERO GENERAL PUBLIC LICENSE\n                       Version 3, 19 November 2007\n"


def fill(folder: Path, *names: str, **contents: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents.get(name, "x"))


def drafted(folder: Path, name: str | None = None) -> Kitfile:
    """What the draft says; it has to load and to fit its folder."""
    text = draft_kitfile(folder, name=name)
    kitfile = parse_kitfile(text.encode(), "Kitfile")
    assert check_files(kitfile, folder) == []
    return kitfile


def listed(folder: Path) -> dict[str, str]:
    return {entry.path: entry.role for entry in drafted(folder).entries}


def test_a_whole_folder_is_put_in_order(tmp_path: Path) -> None:
    expected = {
        "models/llama3.gguf": "model",
        "models/config.json": "model-part",
        "models/tokenizer.json": "model-part",
        "models/mmproj-a.gguf": "model-part",
        "scripts/prompt_selector.py": "code",
        "prompts/__init__.py": "code",
        "pyproject.toml": "code",
        "Dockerfile": "code",
        "test_cases/prompt_validation.json": "dataset",
        "data/train.jsonl": "dataset",
        "golden/cases.yaml": "dataset",
        "LICENSE": "doc",
        "README.md": "doc",
        "docs/guide.html": "doc",
        "prompts/README.md": "doc",
        "prompts/triage.md": "prompt",
        "prompts/deep/reply.json": "prompt",
        "greeting.prompt": "prompt",
        "chat.prompty": "prompt",
        "mail.j2": "prompt",
        "system_prompt.txt": "prompt",
        "config/prompt_config.yaml": "config",
        "settings.toml": "config",
    }
    fill(tmp_path, *expected)
    assert listed(tmp_path) == expected


def test_sections_are_sorted_and_the_text_is_always_the_same(tmp_path: Path) -> None:
    fill(tmp_path, "prompts/b.md", "prompts/a.md", "prompts/c/x.md", "z.py", "m.onnx")
    assert [one.path for one in drafted(tmp_path).prompts] == ["prompts/a.md", "prompts/b.md", "prompts/c/x.md"]
    assert draft_kitfile(tmp_path) == draft_kitfile(tmp_path)


def test_shards_become_one_model(tmp_path: Path) -> None:
    names = [f"model-0000{index}-of-00003.safetensors" for index in (1, 2, 3)]
    fill(tmp_path, *names, "adapter_model.safetensors", "model.safetensors.index.json", "generation_config.json")
    model = drafted(tmp_path).model
    assert model is not None
    assert (model.name, model.path, model.format, model.framework) == ("model", names[0], "safetensors", "")
    assert [(part.path, part.type) for part in model.parts] == [
        ("adapter_model.safetensors", ""),
        ("generation_config.json", "config"),
        (names[1], ""),
        (names[2], ""),
        ("model.safetensors.index.json", "config"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.gguf", b"GGUF\3\0\0\0", ("gguf", "")),
        ("weights", b"GGUF\3\0\0\0", ("gguf", "")),
        ("ggml.bin", b"GGUF\3\0\0\0", ("gguf", "")),
        ("pytorch_model.bin", b"x", ("", "pytorch")),
        ("m.pt", b"x", ("pytorch", "pytorch")),
        ("m.onnx", b"x", ("onnx", "")),
        ("m.tflite", b"x", ("tflite", "tensorflow-lite")),
    ],
)
def test_the_format_is_named_and_the_framework_only_when_certain(
    tmp_path: Path, name: str, content: bytes, expected: tuple[str, str]
) -> None:
    (tmp_path / name).write_bytes(content)
    model = drafted(tmp_path).model
    assert model is not None
    assert (model.format, model.framework) == expected


def test_without_weights_nothing_is_a_part(tmp_path: Path) -> None:
    fill(tmp_path, "config.json", "tokenizer.json", "data/x.bin", "data/y.h5")
    kitfile = drafted(tmp_path)
    assert kitfile.model is None
    assert {one.path for one in kitfile.datasets} == {"data/x.bin", "data/y.h5"}
    assert "#   path: model.gguf" in draft_kitfile(tmp_path)


def test_datasets_get_the_purpose_that_their_names_tell(tmp_path: Path) -> None:
    names = ["a/train.csv", "b/val/x.csv", "data/latest.csv", "dev.tsv", "test/train.csv", "evals/x.jsonl"]
    fill(tmp_path, *names)
    purposes = {one.path: one.purpose for one in drafted(tmp_path).datasets}
    assert [purposes[name] for name in names] == ["train", "validation", "", "validation", "test", "test"]


SECRETS = [
    ".env",
    ".env.local",
    "prod.env",
    "key.pem",
    "tls.key",
    "id_rsa",
    "id_ed25519",
    "credentials.json",
    "credentials",
]
SECRETS += ["aws_credentials", "secrets.yaml", ".netrc", ".npmrc", "service-account-x.json", "a/b/.env", "keys/x.p12"]
HARMLESS = ["tokenizer.json", "token.md", "secretary.md", "keys.md", "environment.yml", "id_rsa_howto.md"]


def test_what_looks_like_a_secret_is_named_but_never_listed(tmp_path: Path) -> None:
    fill(tmp_path, *SECRETS, *HARMLESS, "prompts/.env", "m.gguf")
    assert set(listed(tmp_path)) == {*HARMLESS, "m.gguf"}
    text = draft_kitfile(tmp_path)
    assert all(f"#   {name}\n" in text for name in [*SECRETS, "prompts/.env"])


def test_a_template_of_a_secret_is_none(tmp_path: Path) -> None:
    fill(tmp_path, ".env.example", "config/secrets.yaml.template")
    assert "secrets;" not in draft_kitfile(tmp_path)


def test_what_tools_put_there_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "a.py", "__pycache__/a.pyc", "node_modules/x/y.js", ".git/config", ".vscode/x.json", "x/.hidden.md")
    fill(tmp_path, "myenv/pyvenv.cfg", "myenv/lib/x.py", "bot.egg-info/top.txt")
    assert listed(tmp_path) == {"a.py": "code"}
    assert "Left out" not in draft_kitfile(tmp_path)


def test_kitignore_is_respected(tmp_path: Path) -> None:
    fill(tmp_path, "a.py", "b.py", "out/x.py", "out/keep/y.py", "weights/w.gguf")
    (tmp_path / ".kitignore").write_text("b.py\nout\n!out/keep\nweights\n")
    assert listed(tmp_path) == {"a.py": "code", "out/keep/y.py": "code"}


def test_what_is_unclear_is_named_up_to_a_limit(tmp_path: Path) -> None:
    fill(tmp_path, *(f"x{number:02}.xyz" for number in range(25)))
    text = draft_kitfile(tmp_path)
    assert drafted(tmp_path).entries == ()
    assert "#   x19.xyz\n#   and 5 more\n" in text


def test_links_out_of_the_folder_are_named_but_not_listed(tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    fill(folder, "a.md", "sub/b.md")
    fill(tmp_path, "secret.md")
    (folder / "out.md").symlink_to(tmp_path / "secret.md")
    (folder / "gone.md").symlink_to("nowhere")
    (folder / "sub2").symlink_to("sub")
    (folder / "in.md").symlink_to("a.md")
    os.mkfifo(folder / "pipe.md")
    assert set(listed(folder)) == {"a.md", "in.md", "sub/b.md"}
    text = draft_kitfile(folder)
    assert all(f"#   {name}\n" in text for name in ["out.md", "gone.md", "sub2", "pipe.md"])


def test_git_lfs_pointers_are_pointed_out(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull\n#   m.gguf\n" in draft_kitfile(tmp_path)
    assert listed(tmp_path) == {"m.gguf": "model"}


class TestManyFiles:
    def test_up_to_fifty_prompts_are_listed_one_by_one(self, tmp_path: Path) -> None:
        fill(tmp_path, *(f"prompts/{number}.md" for number in range(50)))
        assert len(drafted(tmp_path).prompts) == 50

    def test_more_are_listed_by_folder(self, tmp_path: Path) -> None:
        fill(tmp_path, *(f"prompts/{number}.md" for number in range(51)), "x.prompt")
        assert listed(tmp_path) == {"prompts": "prompt", "x.prompt": "prompt"}

    @pytest.mark.parametrize("other", [".env", "__pycache__/x.pyc", "tool.py", "x.xyz", ".hidden"])
    def test_a_folder_that_holds_anything_else_is_not_listed_whole(self, tmp_path: Path, other: str) -> None:
        fill(tmp_path, *(f"prompts/a/{number}.md" for number in range(51)), f"prompts/b/{other}", "prompts/b/y.md")
        paths = listed(tmp_path)
        assert "prompts" not in paths
        assert paths["prompts/a"] == paths["prompts/b/y.md"] == "prompt"

    def test_a_folder_of_data_for_two_purposes_is_not_listed_whole(self, tmp_path: Path) -> None:
        fill(tmp_path, *(f"data/{kind}/{number}.csv" for kind in ("train", "test") for number in range(30)))
        datasets = drafted(tmp_path).datasets
        assert [(one.path, one.purpose) for one in datasets] == [("data/test", "test"), ("data/train", "train")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [(APACHE, "Apache-2.0"), (MIT, "MIT"), (BSD, "BSD-3-Clause"), (GPL, "GPL-3.0"), (AGPL, ""), ("mine", "")],
)
@pytest.mark.parametrize("name", ["LICENSE", "LICENSE.md", "license.txt", "COPYING"])
def test_the_licence_is_recognised_or_left_out(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    assert drafted(tmp_path).package.license == expected


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("My Bot", None, "my-bot"),
        ("b\u00e4r_2", None, "bar-2"),
        ("\u4e2d", None, "bundle"),
        ("x", "Support: bot", "Support: bot"),
        ("x", "1.10", "1.10"),
        ("x", "null", "null"),
        ("x", "a\nb", "a-b"),
        ("x", "", "x"),
    ],
)
def test_the_package_has_a_name_and_a_version(tmp_path: Path, folder: str, name: str | None, expected: str) -> None:
    (tmp_path / folder).mkdir()
    package = drafted(tmp_path / folder, name).package
    assert (package.name, package.version) == (expected, "0.1.0")


def test_odd_names_are_quoted_or_named_in_a_comment(tmp_path: Path) -> None:
    good = [
        "a: b.md",
        "- c.md",
        "#d.md",
        "e #f.md",
        "'q'.md",
        '"r".md',
        "{s}.md",
        "&t.md",
        "*u.md",
        "!v.md",
        "%w.md",
        "~",
    ]
    good += ["null.md", "\u00e4.md", "\U0001f600.md", "@x.md", "`y.md", "k\u00adl.md", "yes", "Prompt.md"]
    bad = ["new\nline.md", "es\x1bc.md", "back\\slash.md", " blank.md", "rtl\u202e.md"]
    fill(tmp_path, *good, *bad)
    paths = set(listed(tmp_path))
    assert paths == {name for name in good if name.endswith(".md")}
    text = draft_kitfile(tmp_path)
    assert all(ascii(name) in text for name in bad if not name.isprintable())


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="names are always UTF-8 there")
def test_names_that_are_not_utf8_are_named_in_a_comment(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("x")
    text = draft_kitfile(tmp_path)
    assert drafted(tmp_path).entries == ()
    assert "'\\udcff.md'" in text
    text.encode()


PARTS = st.one_of(
    st.sampled_from(["prompts", "config", "tests", "data", "models", "docs", "src", ".git", "venv"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6),
)
SUFFIXES = st.sampled_from(
    ["", ".md", ".gguf", ".bin", ".json", ".py", ".csv", ".env", ".prompt", ".yaml", ".j2", ".pem"]
)
PATHS = st.tuples(st.lists(PARTS, min_size=1, max_size=3), SUFFIXES).map(lambda one: "/".join(one[0]) + one[1])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATHS, st.sampled_from(["", "text\n", "GGUF\0", "version https://git-lfs.github.com/spec/v1"])))
def test_whatever_is_in_a_folder_its_draft_loads_and_fits(tree: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for path, content in tree.items():
            place = Path(name, "root", path)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(content)
            except OSError:
                continue
        Path(name, "root").mkdir(exist_ok=True)
        drafted(Path(name, "root"))
