"""vitrine: from simulations and tables of materials to predictions that can be checked.

Ten lines::

    import vitrine

    study = vitrine.load_study("branched-composition", scale="smoke")
    result = vitrine.run(study, out="runs/first")
    for row in result.rows:
        print(row.track, row.model, row.metric, row.value, row.low, row.high)
    model = vitrine.load_model("runs/first/models/ridge")
    vitrine.predict(model, table_with_a_column_formula)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrine import evaluate, learn, measure, physics, report, represent, simulate
    from vitrine.errors import VitrineError
    from vitrine.face import Model, load_model, load_study, predict, run
    from vitrine.samples import Examples, Samples
    from vitrine.study.result import Result
    from vitrine.study.spec import Study

__version__ = "0.1.0"

_WHERE = {
    "Examples": "vitrine.samples",
    "Model": "vitrine.face",
    "Result": "vitrine.study.result",
    "Samples": "vitrine.samples",
    "Study": "vitrine.study.spec",
    "VitrineError": "vitrine.errors",
    "evaluate": "",
    "learn": "",
    "load_model": "vitrine.face",
    "load_study": "vitrine.face",
    "measure": "",
    "physics": "",
    "predict": "vitrine.face",
    "report": "",
    "represent": "",
    "run": "vitrine.face",
    "simulate": "",
}

__all__ = [
    "Examples",
    "Model",
    "Result",
    "Samples",
    "Study",
    "VitrineError",
    "evaluate",
    "learn",
    "load_model",
    "load_study",
    "measure",
    "physics",
    "predict",
    "report",
    "represent",
    "run",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'vitrine' has no attribute {name!r}")
    # late: importing vitrine must stay instant
    where = _WHERE[name]
    return getattr(import_module(where), name) if where else import_module(f"vitrine.{name}")


def __dir__() -> list[str]:
    return __all__
