"""From a source to labelled examples, in every representation that the models take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrine.campaign.campaign import Campaign
from vitrine.errors import DataError, StudyError
from vitrine.evaluate.splits import Fold
from vitrine.samples import Examples, Int, Samples
from vitrine.study.chemistry import holds
from vitrine.study.log import Log
from vitrine.tasks import Task

if TYPE_CHECKING:
    from vitrine.study.spec import Study


@dataclass(frozen=True)
class Data:
    """The samples of one source and what models see of them.

    Attributes
    ----------
    samples: what the source yielded.
    seen: name of a representation (None is the study's own) -> examples with targets. Rows, owners
        and targets are the same in all of them.
    """

    samples: Samples
    seen: dict[str | None, Examples] = field(default_factory=dict)

    def select(self, samples: Sequence[int] | Int) -> Data:
        """These samples alone, by position."""
        seen = {name: examples.select(samples) for name, examples in self.seen.items()}
        return Data(self.samples.select(list(samples)), seen)

    def folds(self, split: Any) -> list[Fold]:
        """The folds of a split; see :func:`folds_of`."""
        return folds_of(split, self.samples, self.truth)

    @property
    def truth(self) -> Examples:
        """Examples for what does not depend on the representation: targets, groups, severity."""
        return next(iter(self.seen.values()))


def folds_of(split: Any, samples: Samples, truth: Examples) -> list[Fold]:
    """The folds of a split, which is told what it needs to know of the samples.

    truth: examples with targets.

    Raises
    ------
    StudyError: too few samples or groups, or the samples do not say what the split needs.
    """
    needs: frozenset[str] = getattr(split, "needs", frozenset())
    more: dict[str, Any] = {}
    if "given" in needs:
        more["given"] = samples.attributes.get("split")
    if "classes" in needs and truth.target_kind != "value" and truth.target is not None:
        more["classes"] = truth.target[truth.starts[:-1]].astype(np.int64)
    if "chemistry" in needs and split.leave_out is not None:
        more["left_out"] = holds(samples, split.leave_out)
    found: list[Fold] = split.folds_of(samples.groups, **more)
    return found


def source_tasks(source: Any) -> list[Task]:
    """The tasks that make the samples of a source."""
    tasks: list[Task] = source.tasks()
    return tasks


def gather(
    study: Study, source: Any, models: Iterable[str], campaign: Campaign, log: Log, *, unseen: bool = False
) -> Data:
    """Samples of a source, labelled and represented for these models.

    Parameters
    ----------
    unseen: the targets may hold one class only, and there may be no sample at all.

    Raises
    ------
    DataError: no usable sample. StudyError: label and representation disagree on the rows.
    """
    samples: Samples = source.samples(campaign.compute(source_tasks(source)))
    for line in left_out_lines(samples.left_out):
        log(line)
    if not len(samples):
        if unseen:
            return Data(samples)
        raise DataError(f"the source {source.kind!r} yielded no usable sample")
    samples = _without(samples, getattr(study.label, "leaves_out", lambda _: {})(samples), log)
    if not len(samples):
        if unseen:
            return Data(samples)
        raise DataError(f"the label {study.label.kind!r} left out every sample")  # type: ignore[attr-defined]
    samples = _without(samples, _refused_by_models(study, source, samples, models), log)
    if not len(samples):
        raise DataError("no sample is left that all representations of the study can read")
    log(f"{len(samples)} samples in {len(set(samples.groups))} groups")
    return labelled(study, samples, models, campaign, one_class=unseen)


def unit_of(label: Any, samples: Samples) -> str | None:
    """Unit of what is learned; that of a table's first target is not that of another column."""
    own: str | None = getattr(label, "unit", None)
    column = getattr(label, "column", None)
    if own is None and column in (None, samples.about.get("target")):
        own = samples.about.get("unit")
        if own is not None and getattr(label, "log", False):
            own = f"log10({own})"
    return own


def target_name(label: Any, about: Mapping[str, Any]) -> str:
    """What is learned, in column names: the target's name, of its logarithm ``log10_<name>``."""
    name = str(getattr(label, "column", None) or about.get("target", "target"))
    return f"log10_{name}" if getattr(label, "log", False) else name


MOST_NAMED = 20
"""samples that were left out and are named one by one"""


def _refused_by_models(study: Study, source: Any, samples: Samples, models: Iterable[str]) -> dict[str, str]:
    """Id -> reason, for samples that a representation cannot read, where bad ones are to be left out."""
    reasons: dict[str, str] = {}
    if not getattr(source, "skip_bad", False):
        return reasons
    names = dict.fromkeys(
        study.models[m].representation for m in models if not hasattr(study.models[m], "of")
    )
    for name in names:
        part: Any = study.representation if name is None else study.representations[name]
        reasons |= part.refuses(samples) if hasattr(part, "refuses") else {}
    return reasons


def left_out_lines(reasons: Mapping[str, str]) -> list[str]:
    """A line for each sample that was left out, and one for those beyond the first."""
    lines = [f"left out: {name}: {reason}" for name, reason in list(reasons.items())[:MOST_NAMED]]
    more = len(reasons) - MOST_NAMED
    rest = [f"left out: {more:,} more, each with its reason in provenance.json"]
    return lines + (rest if more > 0 else [])


def labelled(
    study: Study, samples: Samples, models: Iterable[str], campaign: Campaign, *, one_class: bool = False
) -> Data:
    """Samples represented for these models, with the label's targets.

    Raises
    ------
    DataError: one class only, unless ``one_class`` allows it. StudyError: label and representation
        disagree on the rows.
    """
    data = Data(samples)
    models = [name for name in models if not hasattr(study.models[name], "of")]
    for name in dict.fromkeys(study.models[model].representation for model in models):
        part: Any = study.representation if name is None else study.representations[name]
        examples: Examples = part.build(samples, campaign.compute)
        data.seen[name] = attach_targets(study, samples, examples, one_class=one_class)
    return data


def _without(samples: Samples, reasons: Mapping[str, str], log: Log) -> Samples:
    """The samples that the label can use; the others are reported."""
    if not reasons:
        return samples
    for line in left_out_lines(reasons):
        log(line)
    keep = [i for i, name in enumerate(samples.ids) if name not in reasons]
    return samples.select(keep, left_out=dict(reasons))


def attach_targets(
    study: Study, samples: Samples, examples: Examples, *, one_class: bool = False
) -> Examples:
    """The same examples with the label's targets (and what lies behind them).

    Raises
    ------
    StudyError: the label gives another number of targets than there are rows.
    DataError: all rows are of one class, unless ``one_class`` allows it.
    """
    label: Any = study.label
    target = np.concatenate(label.targets(samples)).astype(np.float32)
    severity = label.severity(samples)
    others: dict[str, Any] = label.others(samples) if hasattr(label, "others") else {}
    if len(target) != examples.n_rows:
        raise StudyError(
            f"label {label.kind!r} gives {len(target)} targets, but its representation makes "
            f"{examples.n_rows} rows"
        )
    if label.makes == "classes" and not one_class and len(np.unique(target)) < 2:
        raise DataError(
            f"the labels hold one class only: all {len(target):,} rows are "
            f"{label.class_names(samples)[int(target[0])]}"
        )
    if label.makes == "binary" and not one_class and not 0 < target.sum() < len(target):
        if hasattr(label, "one_class"):
            raise DataError(f"the labels hold one class only: {label.one_class(samples)}")
        column = f" of column {label.field!r}" if hasattr(label, "field") else ""
        raise DataError(
            f"the labels hold one class only: {label.kind!r}{column} makes all {len(target):,} rows "
            f"{target[0]:g}; a threshold or the source must be wrong"
        )
    return replace(
        examples,
        target=target,
        target_kind=label.makes,
        class_names=tuple(label.class_names(samples)) if label.makes == "classes" else (),
        severity=None if severity is None else np.concatenate(severity).astype(np.float32),
        others=np.stack([np.concatenate(o) for o in others.values()], 1).astype(np.float32)
        if others
        else None,
        other_labels=tuple(others),
    )
