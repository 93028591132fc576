"""Releases as files: shared, switched, switched back, kept, mended, watched; and what the log of a folder means."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kitpack
from kitpack import checks, deploying, releasing
from kitpack.artifact.unpacking.deployed import ReleaseFolder, release_name
from kitpack.artifact.unpacking.deploylog import Action, Entry, append_entry, go_back_to, last_change, read_entries
from kitpack.artifact.unpacking.installed import Installed
from kitpack.content.store.locks import exclusive
from kitpack.deploying import Deployed, deploy, rollback
from kitpack.errors import (
    FileConflictError,
    KitpackError,
    NotFoundError,
    ReleaseError,
    StoreError,
    UnreachableError,
    UsageError,
    VerifyError,
)
from kitpack.oci.digest import Digest
from kitpack.settings import Settings
from tests.support.bots import WEIGHTS, write_bot
from tests.support.packing import write_files
from tests.support.registry import Registry, Reply, serving, settings_in

MODEL = "model/bot.gguf"
PROMPT = "prompts/hello.txt"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a store that has three versions."""
    settings = settings_in(tmp_path)
    for version in "123":
        source = write_bot(tmp_path / "source" / version, greeting=f"Hello from {version}\n", version=version)
        kitpack.pack(source, f"bot:{version}", settings=settings)
    return settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "srv"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


def live(folder: Path) -> str:
    return (folder / "current" / PROMPT).read_text().strip().removeprefix("Hello from ")


def versions(folder: Path) -> list[str]:
    texts = [(one / PROMPT).read_text() for one in (folder / "releases").iterdir() if not one.name.startswith(".")]
    return sorted(text.strip().removeprefix("Hello from ") for text in texts)


def put(folder: Path, settings: Settings, *versions: str) -> None:
    for version in versions:
        deploy(f"bot:{version}", folder, settings=settings, keep=9)


def assert_true(folder: Path) -> None:
    """The records of all releases know their files down to the stamp, so that nobody has to read them again."""
    for release in (folder / "releases").iterdir():
        record = Installed.load(release)
        assert record
        assert {path: file.stamped(release / path) for path, file in record.files.items()} == record.files


def test_a_release_is_put_beside_the_others_and_becomes_live(folder: Path, settings: Settings) -> None:
    first = deploy("bot:1", folder, settings=settings)
    assert (first.version, first.before, first.changed, first.shared) == ("1", "", True, 0)
    assert live(folder) == "1"
    assert first.folder == folder / "releases" / Digest.parse(first.digest).short
    second = deploy("bot:2", folder, settings=settings)
    assert (second.before, live(folder), versions(folder)) == (first.digest, "2", ["1", "2"])
    assert (folder / "current").readlink() == Path("releases") / second.folder.name
    assert checks.verify(folder / "current") == []
    assert second.shared > len(WEIGHTS)
    assert second.written < 1000
    assert_true(folder)


def test_weights_are_one_file_and_everything_else_is_not(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2")
    one, two = sorted((folder / "releases").iterdir())
    assert (one / MODEL).samefile(two / MODEL)
    assert (one / MODEL).stat().st_mode & 0o222 == 0
    for path in ("prompts/triage.md", "config/notes.txt", PROMPT):
        assert not (one / path).samefile(two / path)
    (two / "prompts/triage.md").write_text("edited")
    assert (one / "prompts/triage.md").read_text() != "edited"


def test_only_what_changed_is_fetched(registry: Registry, folder: Path, settings: Settings, tmp_path: Path) -> None:
    name = f"{registry.address}/bot"
    for version in "12":
        kitpack.push(f"bot:{version}", f"{name}:{version}", settings=settings)
    elsewhere = settings_in(tmp_path / "elsewhere")
    deploy(f"{name}:1", folder, settings=elsewhere)
    assert len(registry.asked("GET", str(Digest.of_bytes(WEIGHTS)))) == 1
    registry.seen.clear()
    done = deploy(f"{name}:2", folder, settings=elsewhere)
    fetched = [one.path.rpartition("/")[2] for one in registry.asked("GET", "blobs")]
    assert sorted(fetched) == sorted(
        str(Digest.of_bytes(path.read_bytes())) for path in (done.folder / PROMPT, done.folder / "Kitfile")
    )
    registry.seen.clear()
    rollback(folder)
    assert (live(folder), registry.seen) == ("1", [])
    deploy(f"{name}:2", folder, settings=elsewhere)
    assert registry.asked("GET", "blobs") == [], "it is still there"


def test_a_file_that_moved_is_the_same_file(tmp_path: Path, folder: Path) -> None:
    settings = settings_in(tmp_path)
    for path in ("old/a.gguf", "new/b.gguf"):
        source = write_files(tmp_path / path[:3], {path: WEIGHTS}, f"model: {{path: {path}}}\n")
        kitpack.pack(source, f"bot:{path[:3]}", settings=settings)
    before = deploy("bot:old", folder, settings=settings)
    after = deploy("bot:new", folder, settings=settings)
    assert (before.folder / "old/a.gguf").samefile(after.folder / "new/b.gguf")


def test_archives_are_taken_over_whole(tmp_path: Path, folder: Path, registry: Registry) -> None:
    """Equal files become one layer and an archive beside it."""
    settings = settings_in(tmp_path)
    for version in "12":
        files: dict[str, bytes | str] = {f"docs/{n}.md": "the same" for n in range(3)}
        source = write_files(
            tmp_path / version, {**files, "p.md": version}, "prompts: [{path: p.md}]\ndocs: [{path: docs}]\n"
        )
        kitpack.push(source, f"{registry.address}/bot:{version}", settings=settings)
    deploy(f"{registry.address}/bot:1", folder, settings=settings)
    registry.seen.clear()
    done = deploy(f"{registry.address}/bot:2", folder, settings=settings)
    assert {(done.folder / f"docs/{n}.md").read_text() for n in range(3)} == {"the same"}
    assert len(registry.asked("GET", "blobs")) <= 2  # the prompt, and the Kitfile if it differs
    assert checks.verify(done.folder) == []
    assert_true(folder)


def test_what_somebody_damaged_is_not_taken_over(folder: Path, settings: Settings) -> None:
    first = deploy("bot:1", folder, settings=settings)
    (first.folder / MODEL).chmod(0o644)
    (first.folder / MODEL).write_bytes(b"x" * len(WEIGHTS))
    second = deploy("bot:2", folder, settings=settings)
    assert (second.folder / MODEL).read_bytes() == WEIGHTS
    assert checks.verify(second.folder) == []


def test_rollback_goes_further_back_and_never_forward(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2", "3")
    assert rollback(folder).before
    assert live(folder) == "2"
    rollback(folder)
    assert live(folder) == "1"
    with pytest.raises(NotFoundError):
        rollback(folder)
    assert live(folder) == "1"
    put(folder, settings, "3")
    assert (rollback(folder).version, live(folder)) == ("1", "1"), "3 followed 1 this time"


def test_a_rollback_needs_neither_store_nor_registry(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2")
    shutil.rmtree(settings.home)
    done = rollback(folder)
    assert (done.version, done.action, live(folder)) == ("1", "rollback", "1")


def test_where_nothing_was_deployed_nothing_is_rolled_back(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing was deployed"):
        rollback(folder)
    assert not folder.exists()


def test_a_damaged_release_is_not_rolled_back_to_but_mended_by_deploying_it(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2")
    old = next(one for one in (folder / "releases").iterdir() if one.name != (folder / "current").readlink().name)
    (old / PROMPT).write_text("Hello from nobody")
    with pytest.raises(VerifyError):
        rollback(folder)
    assert live(folder) == "2"
    put(folder, settings, "1")
    assert live(folder) == "1"
    (old / PROMPT).unlink()
    assert not deploy("bot:1", folder, settings=settings).changed
    assert live(folder) == "1"


def test_deploying_what_is_live_changes_and_tells_nothing(folder: Path, settings: Settings) -> None:
    told: list[Deployed] = []
    put(folder, settings, "1")
    log = (folder / "deployments.jsonl").read_bytes()
    assert not deploy("bot:1", folder, settings=settings, notify=told.append).changed
    assert (told, (folder / "deployments.jsonl").read_bytes()) == ([], log)


@pytest.mark.parametrize(("keep", "left"), [(1, ["2", "3"]), (2, ["2", "3"]), (3, ["1", "2", "3"])])
def test_the_old_ones_stay_as_far_as_wanted_and_the_one_to_go_back_to_always(
    folder: Path, settings: Settings, keep: int, left: list[str]
) -> None:
    put(folder, settings, "1", "2")
    done = deploy("bot:3", folder, settings=settings, keep=keep)
    assert versions(folder) == left
    assert len(done.removed) == 3 - len(left)
    assert_true(folder)
    rollback(folder, keep=keep)
    assert live(folder) == "2"


def test_what_was_rolled_back_goes_first(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2")
    rollback(folder)
    assert versions(folder) == ["1", "2"]
    deploy("bot:3", folder, settings=settings, keep=2)
    assert versions(folder) == ["1", "3"]


def test_who_is_told_and_refuses_gets_the_old_release_back(folder: Path, settings: Settings) -> None:
    seen: list[tuple[str, str]] = []

    def notify(done: Deployed) -> None:
        seen.append((done.version, live(folder)))
        if done.version == "2":
            raise OSError("the application does not start")

    deploy("bot:1", folder, settings=settings, notify=notify)
    with pytest.raises(ReleaseError, match=r"2 was live .* does not start; 1 is live again$"):
        deploy("bot:2", folder, settings=settings, notify=notify)
    assert seen == [("1", "1"), ("2", "2"), ("1", "1")]
    assert live(folder) == "1"
    with pytest.raises(NotFoundError):
        rollback(folder)
    deploy("bot:3", folder, settings=settings, notify=notify)
    assert rollback(folder).version == "1", "what was refused is not restored"


def test_the_first_release_stays_when_whoever_is_told_refuses(folder: Path, settings: Settings) -> None:
    def refuse(_: Deployed) -> None:
        raise ReleaseError("no")

    with pytest.raises(ReleaseError, match="nothing was before"):
        deploy("bot:1", folder, settings=settings, notify=refuse)
    assert live(folder) == "1"
    with pytest.raises(ReleaseError, match="but no"):
        deploy("bot:2", folder, settings=settings, notify=refuse)
    assert live(folder) == "1"


def test_a_choice_among_the_files_is_a_release_of_its_own(folder: Path, settings: Settings) -> None:
    part = deploy("bot:1", folder, settings=settings, only=["prompts"])
    assert not (part.folder / MODEL).exists()
    assert (part.folder / PROMPT).exists()
    whole = deploy("bot:1", folder, settings=settings)
    assert whole.folder != part.folder
    assert (whole.folder / MODEL).exists()
    assert deploy("bot:1", folder, settings=settings, only=["prompts"]).folder == part.folder
    with pytest.raises(NotFoundError):
        deploy("bot:1", folder, settings=settings, only=["nothing.txt"])


def test_references_of_every_kind(folder: Path, settings: Settings) -> None:
    releasing.promote("bot:1", "production", settings=settings)
    releasing.promote("bot:2", "production", settings=settings)
    digest = deploy("bot:production", folder, settings=settings).digest
    assert live(folder) == "2"
    deploy("bot:production@{-1}", folder, settings=settings)
    assert live(folder) == "1"
    deploy(f"bot@{digest}", folder, settings=settings)
    assert live(folder) == "2"
    deploy(f"oci:{settings.home}@{deploy('bot:1', folder, settings=settings).digest}", folder, settings=settings)
    assert live(folder) == "1"


@pytest.mark.parametrize("kind", ["file", "folder", "link", "nowhere"])
def test_something_else_called_current_is_left_alone(folder: Path, settings: Settings, kind: str) -> None:
    folder.mkdir()
    link = folder / "current"
    if kind == "file":
        link.write_text("mine")
    elif kind == "folder":
        link.mkdir()
    else:
        link.symlink_to("/" if kind == "link" else "../gone")
    before = link.lstat()
    with pytest.raises(FileConflictError, match="expected a link to a release"):
        deploy("bot:1", folder, settings=settings)
    after = link.lstat()  # a link that is read has another time of access
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)


def test_releases_that_others_put_there_stay(folder: Path, settings: Settings, tmp_path: Path) -> None:
    for name in ("20240101", "0123456789ab"):
        (folder / "releases" / name).mkdir(parents=True)
    (folder / "releases/0123456789cd").symlink_to(tmp_path)
    before = sorted((folder / "releases").iterdir())
    put(folder, settings, "1")
    deploy("bot:2", folder, settings=settings, keep=1)
    assert set(before) < set((folder / "releases").iterdir())
    (folder / "current").unlink()
    (folder / "current").symlink_to("releases/20240101")
    with pytest.raises(FileConflictError, match=r"leads to releases/20240101; expected .* was deployed"):
        deploy("bot:1", folder, settings=settings)


def test_links_in_place_of_releases_lead_nobody_elsewhere(folder: Path, settings: Settings, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("mine")
    put(folder, settings, "1")
    name = deploy("bot:2", folder, settings=settings).folder.name
    rollback(folder)
    (folder / "releases" / name).rename(tmp_path / "away")
    for link in (name, f".building-{release_name(_digest_of('bot:3', settings))}", ".going-x"):
        (folder / "releases" / link).symlink_to(mine)
    with pytest.raises(StoreError, match="no folder that was deployed"):
        deploy("bot:2", folder, settings=settings)
    deploy("bot:3", folder, settings=settings)
    assert live(folder) == "3"
    assert [one.name for one in mine.iterdir()] == ["file"]


def _digest_of(reference: str, settings: Settings) -> Digest:
    return kitpack.inspect(reference, settings=settings).descriptor.digest


def test_two_at_once(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1")
    with exclusive(folder / ".deploy.lock"), pytest.raises(StoreError, match="another kitpack"):
        deploy("bot:2", folder, settings=settings)
    assert live(folder) == "1"


def test_a_release_of_another_digest_under_the_name_is_refused(folder: Path, settings: Settings) -> None:
    first, second = (deploy(f"bot:{version}", folder, settings=settings) for version in "12")
    shutil.rmtree(first.folder)
    second.folder.rename(first.folder)
    (folder / "current").unlink()
    with pytest.raises(StoreError, match="holds"):
        deploy("bot:1", folder, settings=settings)


def test_a_failed_fetch_changes_nothing_and_is_gone_on_with(
    registry: Registry, folder: Path, settings: Settings, tmp_path: Path
) -> None:
    name = f"{registry.address}/bot"
    for version in "12":
        kitpack.push(f"bot:{version}", f"{name}:{version}", settings=settings)
    elsewhere = settings_in(tmp_path / "elsewhere")
    deploy(f"{name}:1", folder, settings=elsewhere)
    prompt = str(Digest.of_bytes(b"Hello from 2\n"))
    registry.rule("GET", prompt, Reply(status=404), last_stays=True)
    with pytest.raises(NotFoundError):
        deploy(f"{name}:2", folder, settings=elsewhere)
    assert (live(folder), versions(folder)) == ("1", ["1"])
    assert checks.verify(folder / "current") == []
    registry.rules.clear()
    deploy(f"{name}:2", folder, settings=elsewhere)
    assert (live(folder), versions(folder)) == ("2", ["1", "2"])
    assert_true(folder)


def test_a_link_that_somebody_moved_counts_as_a_deployment(folder: Path, settings: Settings) -> None:
    put(folder, settings, "1", "2", "3")
    one = next(one for one in (folder / "releases").iterdir() if (one / PROMPT).read_text() == "Hello from 1\n")
    (folder / "current").unlink()
    (folder / "current").symlink_to(Path("releases") / one.name)
    rollback(folder)
    assert live(folder) == "3"


class Looks:
    """Somebody who watches, and does something between two looks."""

    def __init__(self, *between: object) -> None:
        self.between = list(between)
        self.deployed: list[str] = []
        self.troubles: list[str] = []
        self.waited: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        if len(self.waited) == 1:
            return False
        if not self.between:
            return True
        step = self.between.pop(0)
        if callable(step):
            step()
        return False

    def trouble(self, error: KitpackError | OSError) -> None:
        self.troubles.append(type(error).__name__)

    def watch(self, reference: str, folder: Path, settings: Settings, notify: deploying.Notify | None = None) -> None:
        deploying.watch(
            reference,
            folder,
            wait=self.wait,
            on_deployed=lambda done: self.deployed.append(done.version),
            on_trouble=self.trouble,
            notify=notify,
            settings=settings,
        )


def test_watching_follows_the_channel(folder: Path, settings: Settings) -> None:
    def promote(version: str) -> object:
        return lambda: releasing.promote(f"bot:{version}", "production", settings=settings)

    releasing.promote("bot:1", "production", settings=settings)
    looks = Looks(
        None, promote("2"), None, lambda: releasing.rollback("bot:production", settings=settings), promote("3")
    )
    looks.watch("bot:production", folder, settings)
    assert looks.deployed == ["1", "2", "1", "3"]
    assert looks.troubles == []
    assert looks.waited[0] == 0
    assert all(8 <= one <= 10 for one in looks.waited[1:])


def test_watching_does_not_undo_a_rollback_on_the_host(folder: Path, settings: Settings) -> None:
    releasing.promote("bot:1", "production", settings=settings)
    releasing.promote("bot:2", "production", settings=settings)
    put(folder, settings, "1", "2")
    looks = Looks(lambda: rollback(folder), None, lambda: releasing.promote("bot:3", "production", settings=settings))
    looks.watch("bot:production", folder, settings)
    assert looks.deployed == ["2", "3"]
    rollback(folder)
    assert live(folder) == "1"
    again = Looks(None)  # somebody restarts the watch
    again.watch("bot:production", folder, settings)
    assert (again.deployed, live(folder)) == ([], "1")
    deploy("bot:production", folder, settings=settings)
    assert live(folder) == "3", "who asks for it gets it"


def test_watching_does_not_repeat_what_was_refused(folder: Path, settings: Settings) -> None:
    def notify(done: Deployed) -> None:
        if done.version == "2":
            raise ReleaseError("no")

    releasing.promote("bot:1", "production", settings=settings)
    looks = Looks(
        lambda: releasing.promote("bot:2", "production", settings=settings),
        None,
        None,
        lambda: releasing.promote("bot:3", "production", settings=settings),
    )
    looks.watch("bot:production", folder, settings, notify)
    assert looks.deployed == ["1", "3"]
    assert looks.troubles == ["ReleaseError"]


def test_watching_outlives_a_registry_that_is_down(
    registry: Registry, folder: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    name = f"{registry.address}/bot"
    for version in "12":
        kitpack.push(f"bot:{version}", f"{name}:{version}", settings=settings)
    releasing.promote(f"{name}:1", "production", settings=settings)

    def down() -> None:
        registry.rule("HEAD", "", Reply(status=401), last_stays=True)

    def up() -> None:
        registry.rules.clear()
        releasing.promote(f"{name}:2", "production", settings=settings)

    looks = Looks(down, None, None, up)
    looks.watch(f"{name}:production", folder, settings)
    assert looks.deployed == ["1", "2"]
    assert looks.troubles == ["AuthError"]
    assert looks.waited[2] < looks.waited[3] < looks.waited[4], "less and less often"


def test_watching_ends_in_the_middle_of_a_transfer_and_goes_on_next_time(
    registry: Registry, folder: Path, settings: Settings, tmp_path: Path
) -> None:
    name = f"{registry.address}/bot"
    kitpack.push("bot:1", f"{name}:production", settings=settings)
    elsewhere = settings_in(tmp_path / "elsewhere")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy(f"{name}:production", folder, settings=elsewhere, on_event=interrupt)
    assert not (folder / "current").exists()
    deploy(f"{name}:production", folder, settings=elsewhere)
    assert live(folder) == "1"


@pytest.mark.parametrize("what", ["bot@sha256:" + "0" * 64, "bot:production@{yesterday}", "bot"])
def test_what_never_changes_is_not_watched(what: str, folder: Path, settings: Settings) -> None:
    with pytest.raises(UsageError):
        Looks().watch(what, folder, settings)


def test_nobody_answers(folder: Path, settings: Settings) -> None:
    with pytest.raises(UnreachableError):
        deploy("127.0.0.1:1/bot:production", folder, settings=settings)
    assert not folder.exists()


NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)


def entry(release: str, before: str = "", action: Action = "deploy") -> Entry:
    return Entry(time=NOW, action=action, release=release, before=before)


def test_lines_are_only_ever_appended_and_torn_ones_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert read_entries(path) == []
    append_entry(path, entry("a"))
    for torn in (
        b'{"time":"2026',
        b"\xff\xfe",
        b"[]\n",
        b'{"action":"deploy"}\n',
        b'{"time":1,"action":"x","release":"y"}',
    ):
        path.write_bytes(path.read_bytes() + torn)
        append_entry(path, entry("b", "a"))
    assert read_entries(path) == [entry("a"), *[entry("b", "a")] * 5]
    whole = replace(entry("c"), digest="sha256:0", version="1 \u2028 2", reference="x:y\n")
    append_entry(path, whole)
    assert read_entries(path)[-1] == whole


@pytest.mark.parametrize(
    ("entries", "current", "stack"),
    [
        ([], "", []),
        ([entry("a")], "a", []),
        ([entry("a"), entry("b", "a")], "b", ["a"]),
        ([entry("a"), entry("b", "a"), entry("c", "b")], "c", ["b", "a"]),
        ([entry("a"), entry("b", "a"), entry("a", "b", "rollback")], "a", []),
        ([entry("a"), entry("b", "a"), entry("a", "b", "rollback")], "b", ["a"]),  # it was prevented
        ([entry("a"), entry("b", "a")], "a", []),  # it was prevented
        ([entry("a"), entry("b", "a"), entry("c", "a")], "c", ["a"]),  # b was prevented
        ([entry("a"), entry("b", "a"), entry("a", "b", "revert"), entry("c", "a")], "c", ["a"]),
        ([entry("a"), entry("b", "a")], "z", ["b", "a"]),  # by hand
        ([entry("a"), entry("b", "a"), entry("c", "z")], "c", ["z", "b", "a"]),  # by hand, in between
        ([entry("a"), entry("b", "a"), entry("a", "b")], "a", ["b"]),
    ],
)
def test_what_is_left_to_go_back_to(entries: list[Entry], current: str, stack: list[str]) -> None:
    assert go_back_to(entries, current) == stack


def test_the_last_change() -> None:
    log = [entry("a"), entry("b", "a"), entry("a", "b", "rollback")]
    assert last_change([], "") is None
    assert last_change(log, "a") == log[2]
    assert last_change(log, "b") == log[1]
    assert last_change(log, "z") is None


@given(st.lists(st.tuples(st.sampled_from("dr"), st.sampled_from("abcd"), st.booleans()), max_size=12))
def test_crashes_leave_no_trace(steps: list[tuple[str, str, bool]]) -> None:
    """Changes that were written down and prevented are as if they had never been thought of."""
    told: list[Entry] = []
    happened: list[Entry] = []
    current = ""
    for kind, release, prevented in steps:
        back = go_back_to(told, current)
        assert back == go_back_to(happened, current)
        if kind == "r" and back:
            change = entry(back[0], current, "rollback")
        elif kind == "d" and release != current:
            change = entry(release, current)
        else:
            continue
        told.append(change)
        if not prevented:
            happened.append(change)
            current = change.release


def test_a_name_for_each_choice() -> None:
    from kitpack.artifact.select import Selection

    digest = Digest.of_bytes(b"")
    names = {release_name(digest, Selection.parse(words)) for words in ([], ["prompts"], ["configs"], ["*.md"])}
    assert len(names) == 4
    assert release_name(digest) == digest.short
    assert ReleaseFolder(Path("nowhere")).names() == []
