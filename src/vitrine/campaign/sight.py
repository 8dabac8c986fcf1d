"""Whether the workers of a cluster run the same vitrine and see the folder of the store."""

from __future__ import annotations

import platform
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrine.campaign.execute import Order
from vitrine.errors import InputError, StoreError
from vitrine.tasks import Outcome

MARKER = "store-id"
"""file in the root of a store; what it holds is no other store's"""
PATIENCE = 10.0
"""seconds for a network file system to show a new file"""


def mark(root: Path) -> str:
    """The identity of a store, made at the first call.

    Raises
    ------
    StoreError: the file cannot be written.
    """
    path = root / MARKER
    try:
        with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(uuid.uuid4().hex)
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write to the store: {error.strerror or error} ({path})") from error


def sees(root: str, identity: str) -> bool:
    """Whether this process sees that store there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            if (Path(root) / MARKER).read_text(encoding="utf-8") == identity:
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)


def look(root: str, identity: str) -> dict[str, Any]:
    """What a worker is asked for when it is met; runs there."""
    import vitrine

    return {
        "host": platform.node(),
        "vitrine": vitrine.__version__,
        "python": list(sys.version_info[:2]),
        "sees": sees(root, identity),
    }


def check(answers: Mapping[str, Any], root: Path) -> None:
    """Judge what workers answered.

    Parameters
    ----------
    answers: address of a worker -> what :func:`look` gave there, or the exception that it met.

    Raises
    ------
    InputError: a worker cannot take part, and why.
    """
    import vitrine

    for address, answer in answers.items():
        if isinstance(answer, ModuleNotFoundError) or "No module named 'vitrine" in str(answer):
            raise InputError(
                f"the worker at {address} cannot import vitrine ({answer}); install vitrine "
                f"{vitrine.__version__} in the environment that it runs in"
            )
        if isinstance(answer, Exception):
            raise InputError(
                f"the worker at {address} could not answer: {type(answer).__name__}: {answer}; it must "
                "run in the same environment as this command"
            )
        where = f"the worker at {address} ({answer['host']})"
        if answer["vitrine"] != vitrine.__version__:
            raise InputError(
                f"{where} has vitrine {answer['vitrine']}, this is {vitrine.__version__}; "
                "both must be the same version"
            )
        if tuple(answer["python"]) != sys.version_info[:2]:
            theirs, ours = ".".join(map(str, answer["python"])), ".".join(map(str, sys.version_info[:2]))
            raise InputError(f"{where} runs Python {theirs}, this is {ours}; both must be the same version")
        if not answer["sees"]:
            raise InputError(f"{where} {blind(str(root))}")


def blind(root: str) -> str:
    """What to say of a worker that does not see the store."""
    return (
        f"does not see the folder of the store, {root}; set --store or VITRINE_STORE to a folder that "
        "every worker reaches by this path"
    )


def guarded(
    identity: str, function: Callable[..., Outcome], order: Order, root: str, *needs: Outcome, **options: Any
) -> Outcome:
    """Call ``function(order, root, ...)`` on a worker that sees the store, and nowhere else.

    A worker that joined a moment ago was not asked yet; it would work into a folder of its own.
    """
    if not sees(root, identity):
        return order.failed(f"the worker on {platform.node()} {blind(root)}")
    return function(order, root, *needs, **options)
