"""The exceptions of vitrine, one small tree.

::

    VitrineError                 base of everything raised on purpose
    ├── InputError               the user's input is wrong            exit code 2
    │   ├── StudyError           a study file or an override
    │   ├── DataError            a table, a dump, a model folder, a store entry
    │   │   └── StoreError       the store cannot be used: no room, no permission
    │   └── MissingExtra         an optional dependency is not installed
    └── RunError                 the work itself went wrong           exit code 1
        ├── EngineError          LAMMPS stopped or answered nonsense
        │   └── EngineLost       its process ended: killed, or crashed
        └── TaskError            a task of a campaign failed for good
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VitrineError(Exception):
    """Base class; ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(VitrineError):
    """The user's input is wrong; the message names it and says what would be right."""

    exit_code = 2


class StudyError(InputError):
    """A study file, an override or a joint between two parts is wrong."""


class DataError(InputError):
    """A file that was read is not what it should be."""


class StoreError(DataError):
    """The store cannot be used: no work can go on."""


class MissingExtra(InputError):
    """A part needs an optional dependency.

    Parameters
    ----------
    package: the import name that was not found.
    extra: the extra of vitrine that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; install it with\n"
            f"  pip install -c constraints.txt 'vitrine[{extra}]'"
        )


class RunError(VitrineError):
    """The work itself went wrong."""


class EngineError(RunError):
    """A simulation engine stopped or answered nonsense."""


class EngineLost(EngineError):
    """The process of an engine ended on its own: it was killed, or it crashed."""


class TaskError(RunError):
    """A task of a campaign failed for good."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` or the list of what is known.

    >>> did_you_mean("specimen", ["specimens", "atoms"])
    "; did you mean 'specimens'?"
    >>> did_you_mean("zzz", ["b", "a"])
    '; known: a, b'
    """
    names = sorted(known)
    plain = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), plain, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {plain[close[0]]!r}?"
    return f"; known: {', '.join(names)}" if names else ""
