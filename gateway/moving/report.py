"""What a move came to: counts for each table, and what did not fit, row by row with its reason."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SHOWN = 20  # rows told for each reason; all are counted


@dataclass(slots=True)
class Oddity:
    """Rows of one table that have the same thing the matter with them."""

    table: str
    reason: str
    count: int = 0
    rows: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row_id: int, detail: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self.rows.append((row_id, detail))


class Report:
    """Filled in while rows are moved. Secrets and what was said don't belong in it."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.oddities: dict[tuple[str, str], Oddity] = {}

    def added(self, table: str, count: int = 1) -> None:
        self.counts[table]["added"] += count

    def here(self, table: str, count: int = 1) -> None:
        """Rows that an earlier run brought, or that were here anyway."""
        self.counts[table]["already here"] += count

    def left_out(self, table: str, row_id: int, reason: str, detail: str = "") -> None:
        self.counts[table]["left out"] += 1
        self.odd(table, row_id, reason, detail)

    def odd(self, table: str, row_id: int, reason: str, detail: str = "") -> None:
        """A row that came over otherwise than it stood there."""
        self.oddities.setdefault((table, reason), Oddity(table, reason)).add(row_id, detail)

    @property
    def has_changes(self) -> bool:
        return any(counter["added"] for counter in self.counts.values())

    def lines(self) -> Iterator[str]:
        """For people."""
        for table, counter in self.counts.items():
            parts = (f"{counter[name]:,} {name}" for name in ("added", "already here", "left out") if counter[name])
            yield f"{table:<18}{', '.join(parts)}"
        for oddity in self.oddities.values():
            yield f"! {oddity.table}: {oddity.count:,} x {oddity.reason}"
            for row_id, detail in oddity.rows:
                yield f"    {oddity.table} {row_id}{': ' if detail else ''}{detail}"
            if oddity.count > len(oddity.rows):
                yield f"    and {oddity.count - len(oddity.rows):,} more"

    def content(self) -> dict[str, Any]:
        """For programs."""
        return {
            "counts": {
                table: {name.replace(" ", "_"): counter[name] for name in ("added", "already here", "left out")}
                for table, counter in self.counts.items()
            },
            "did_not_fit": [
                {
                    "table": oddity.table,
                    "reason": oddity.reason,
                    "count": oddity.count,
                    "rows": [{"id": row_id, "detail": detail} for row_id, detail in oddity.rows],
                }
                for oddity in self.oddities.values()
            ],
        }
