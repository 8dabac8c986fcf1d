"""What is said to the user, on the terminal and in ``log.txt``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


class Log:
    """Prints lines and keeps them in a file."""

    def __init__(self, console: Console | None, path: Path | None = None) -> None:
        self.console = console
        self._path = path

    def __call__(self, text: str) -> None:
        """Say one line."""
        if self.console is not None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")
