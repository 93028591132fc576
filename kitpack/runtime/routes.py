"""Who got which release when the registry was last there, so that a restart without it changes nothing for users."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from kitpack.errors import InvalidDigestError
from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import JsonObject, parse_object
from kitpack.releases.record import Route
from kitpack.runtime.cache import Cache

__all__ = ["recall_routes", "remember_routes"]


def remember_routes(cache: Cache, reference: str, stable: Digest, routes: tuple[Route, ...]) -> None:
    """Note the routes beside a release, unless the same ones are noted already.

    Args:
        cache: Where to.
        reference: The channel.
        stable: The release that its tag stands for.
        routes: Who else gets traffic.

    Raises:
        OSError: When the folder cannot be written.
    """
    path = _path(cache, reference)
    if not routes:
        path.unlink(missing_ok=True)
    elif recall_routes(cache, reference, stable) != routes:
        cache.write(path, {"stable": str(stable), "routes": [_written(route) for route in routes]})


def recall_routes(cache: Cache, reference: str, stable: Digest) -> tuple[Route, ...]:
    """The routes that were noted beside a release; none when what is noted is about another one, or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, InvalidDigestError):
        value = parse_object(_path(cache, reference).read_bytes())
        listed = value["routes"]
        if value["stable"] == str(stable) and isinstance(listed, list):
            return tuple(_read(one) for one in listed if isinstance(one, dict))
    return ()


def _path(cache: Cache, reference: str) -> Path:
    return cache.root / "routes" / f"{sha256(reference.encode()).hexdigest()}.json"


def _written(route: Route) -> JsonObject:
    return {
        "digest": str(route.digest),
        "version": route.version,
        "percent": route.percent,
        "shadow": route.shadow,
        "salt": route.salt,
    }


def _read(value: JsonObject) -> Route:
    percent = value["percent"]
    if not isinstance(percent, int | float):
        raise TypeError("a percentage is a number")
    return Route(
        digest=Digest.parse(str(value["digest"])),
        version=str(value["version"]),
        percent=float(percent),
        shadow=value["shadow"] is True,
        salt=str(value["salt"]),
    )
