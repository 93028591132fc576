"""Release logs as JSON, for machines: the same names wherever they are shown."""

from __future__ import annotations

from kitpack.oci.digest import Digest
from kitpack.oci.jsontext import Json, JsonObject
from kitpack.releases.chain import Log
from kitpack.releases.record import Record, Route
from kitpack.releases.status import Version, Versions

__all__ = ["log_report", "record_report", "status_report"]


def record_report(record: Record) -> JsonObject:
    """A record."""
    return {
        "channel": record.channel,
        "sequence": record.sequence,
        "action": record.action,
        "target": str(record.target),
        "targetVersion": record.target_version,
        "source": _text(record.source),
        "sourceVersion": record.source_version,
        "previous": _text(record.previous),
        "actor": record.actor,
        "time": record.time.isoformat().replace("+00:00", "Z"),
        "reason": record.reason,
        "undo": [str(one) for one in record.undo],
        "routes": [_route(one) for one in record.routes],
        "gates": [{"name": one.name, "passed": one.passed, "detail": one.detail} for one in record.gates],
        "override": record.override,
        "digest": _text(record.digest),
    }


def log_report(log: Log, limit: int = 0) -> JsonObject:
    """A log, the newest record first.

    Args:
        log: It.
        limit: How many records are wanted; 0 for all.
    """
    shown = log.records[-limit:] if limit else log.records
    return {
        "channel": log.channel,
        "tagged": _text(log.tagged),
        "live": _text(log.live),
        "records": [record_report(one) for one in reversed(shown)],
        "lost": [record_report(one) for one in reversed(log.lost)],
        "breaks": _breaks(log),
    }


def status_report(found: Versions) -> JsonObject:
    """Where all versions stand, and what is live at each channel."""
    channels: JsonObject = {}
    for name, log in found.logs.items():
        routes: list[Json] = [_route(one) for one in (log.head.routes if log.head else ())]
        channels[name] = {
            "live": _text(log.live),
            "tagged": _text(log.tagged),
            "records": len(log.records),
            "routes": routes,
            "breaks": _breaks(log),
        }
    return {"versions": [_version(one) for one in found.versions], "channels": channels}


def _version(version: Version) -> JsonObject:
    return {
        "digest": str(version.digest),
        "names": list(version.names),
        "status": version.status,
        "live": list(version.live),
        "routes": {name: {"percent": one.percent, "shadow": one.shadow} for name, one in version.routes.items()},
        "served": record_report(version.served) if version.served else None,
    }


def _route(route: Route) -> JsonObject:
    return {
        "digest": str(route.digest),
        "version": route.version,
        "percent": route.percent,
        "shadow": route.shadow,
        "salt": route.salt,
    }


def _breaks(log: Log) -> list[Json]:
    return [{"kind": one.kind, "text": one.text} for one in log.breaks]


def _text(digest: Digest | None) -> str | None:
    return str(digest) if digest else None
