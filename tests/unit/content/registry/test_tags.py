"""Tags of repositories that have very many, at registries of every manner."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kitpack.content.registry.repository import Repository
from kitpack.content.target import ListsTagsFrom
from kitpack.errors import NotFoundError, RegistryError
from kitpack.releases.home import Home
from tests.support.bundles import push_artifact
from tests.support.registry import Registry, Reply, Seen, serving, settings_in

TAGS = sorted(["production", *(f"v{number:06}" for number in range(100_000))])
SOME = [TAGS[0], *TAGS[-6000:]]
LOG = [f"production.log.{number:06}.0123abcd" for number in range(1, 2501)]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving(Registry()) as running:
        yield running


@pytest.fixture
def repository(registry: Registry, tmp_path: Path) -> Iterator[Repository]:
    with Repository(registry.address, "team/bot", settings_in(tmp_path)) as made:
        yield made


def listing(
    names: list[str], *, limits: bool = True, knows_last: bool = True, exact: bool = False
) -> Callable[[Seen], Reply | None]:
    """A registry's list of tags, by its manners: whether it limits pages, and what it makes of ``last``."""

    def answer(seen: Seen) -> Reply | None:
        if "/tags/list" not in seen.path:
            return None
        last, count = (seen.query("last") or [""])[0], int(seen.query("n")[0])
        if exact and last and last not in names:
            return Reply(status=404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
        place = names.index(last) + 1 if last in names else 0
        start = place if exact or not knows_last else next((i for i, one in enumerate(names) if one > last), len(names))
        page = names[start : start + count] if limits else names
        more = limits and start + count < len(names)
        link = {"Link": f'<?n={count}&last={page[-1]}>; rel="next"'} if more else {}
        return Reply(body=json.dumps({"tags": page}).encode(), headers=link)

    return answer


def test_a_tag_is_found_without_a_list(registry: Registry, repository: Repository) -> None:
    found = push_artifact(repository, {"a": b"a"}, "v099999")
    registry.tags |= dict.fromkeys(TAGS, str(found.digest))
    registry.seen.clear()
    assert repository.resolve("v050000").digest == found.digest
    assert repository.fetch_named("v050000").digest == found.digest
    assert [seen.method for seen in registry.seen] == ["HEAD", "GET"]


def test_a_hundred_thousand_tags_are_listed_page_by_page(registry: Registry, repository: Repository) -> None:
    registry.rules.append(listing(TAGS))
    found = repository.tags()
    assert next(found) == "production"
    assert len(registry.seen) == 1
    assert sum(1 for _ in found) == len(TAGS) - 1
    assert len(registry.seen) == 101


def test_pages_are_not_kept(registry: Registry, repository: Repository) -> None:
    pages = iter(range(30))
    registry.rules.append(
        lambda seen: (
            Reply(
                body=json.dumps({"tags": [f"v{next_page:03}{number:05}" for number in range(1000)]}).encode(),
                headers={"Link": f'<?n=1000&last={next_page}>; rel="next"'} if next_page < 29 else {},
            )
            if (next_page := next(pages)) >= 0
            else None
        )
    )
    found = repository.tags()
    next(found)
    registry.seen.clear()
    tracemalloc.start()
    assert sum(1 for _ in found) == 29_999
    assert tracemalloc.get_traced_memory()[1] < 3 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("names", "manners", "most"),
    [
        (sorted([*TAGS, *LOG]), {}, 4),
        (sorted([*SOME, *LOG]), {"exact": True}, 12),
        ([*LOG[1000:], *SOME, *LOG[:1000]], {"limits": False}, 1),
        ([*LOG[1000:], *SOME, *LOG[:1000]], {"knows_last": False}, 11),
        ([*SOME[1:3000], *LOG, *SOME[3000:]], {"knows_last": False}, 11),
        (sorted(["aaa", *LOG]), {"limits": False}, 1),
        (sorted(LOG), {}, 5),
        ([], {}, 1),
    ],
    ids=["in order", "wants a tag", "all at once", "no order", "begins in order", "few", "nothing else", "none"],
)
def test_tags_that_begin_alike_are_found_at_every_registry(
    registry: Registry, repository: Repository, names: list[str], manners: dict[str, bool], most: int
) -> None:
    registry.rules.append(listing(names, **manners))
    assert isinstance(repository, ListsTagsFrom)
    wanted = {name for name in names if name.startswith("production.log.")}
    found = list(repository.tags_from("production.log."))
    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert len(registry.seen) <= most
    registry.seen.clear()
    assert set(Home(target=repository, label="x").tags("production.log.")) == wanted


def test_a_repository_that_is_not_there_has_no_tags(registry: Registry, repository: Repository) -> None:
    registry.rule("GET", "tags", Reply(status=404), last_stays=True)
    with pytest.raises(NotFoundError):
        next(repository.tags_from("production.log."))
    assert list(Home(target=repository, label="x").tags("production.log.")) == []


def test_what_is_no_list_is_refused(registry: Registry, repository: Repository) -> None:
    registry.rule("GET", "tags", Reply(body=b'{"tags": 1}'))
    with pytest.raises(RegistryError, match="list of tags"):
        list(repository.tags())
