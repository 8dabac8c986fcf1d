"""One fit: a model, a fold, a seed. Runs on a worker and writes into a store entry."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitrine.evaluate.nulls import shuffle_labels
from vitrine.learn.other_target import build_model
from vitrine.learn.protocol import Model, ModelPart, Resumable
from vitrine.samples import Examples
from vitrine.tasks import Outcome, Task

SCORES = "scores.npz"
FACTS = "facts.json"
UNFINISHED = "unfinished"
"""folder of a fit that is under way"""


def store_examples(
    folder: Path, inputs: Sequence[Path], progress: Callable[[float], None], *, examples: Examples
) -> None:
    """Write the examples, for the workers to read."""
    examples.save(folder)


def examples_task(examples: Examples) -> Task:
    """The entry that all fits of a study read."""
    return Task(
        label="examples",
        kind="examples",
        recipe={"digest": examples.digest()},
        function=store_examples,
        arguments={"examples": examples},
    )


def fit_fold(
    folder: Path,
    inputs: Sequence[Path],
    progress: Callable[[float], None],
    *,
    model: ModelPart,
    seed: int,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    shuffle_seed: int | None,
    keep: bool = True,
    trials: int = 1,
) -> None:
    """Fit on ``train``, stop by ``validation``, score ``test`` (sample indices).

    Writes ``scores.npz`` (scores of the rows of ``test`` and ``validation``), ``facts.json`` and, with
    ``keep``, the model's own files: the weights of a large network take 300 MB. With
    ``shuffle_seed`` the targets of training and validation are permuted first. Of several trials the one
    with the least error on ``validation`` is kept.
    """
    examples = Examples.load(inputs[0])
    learn, hold = examples.select(train), examples.select(validation)
    if shuffle_seed is not None:
        learn, hold = _shuffled(learn, shuffle_seed), _shuffled(hold, shuffle_seed + 1)
    _warm_up(model, examples.target_kind, seed)
    start, start_cpu = time.monotonic(), time.process_time()
    fitted, tried = _best_of(model.trials(trials), learn, hold, seed, folder, progress)
    trained, trained_cpu = time.monotonic(), time.process_time()
    scores = fitted.predict(examples.select(test)) if len(test) else np.zeros(0)
    predicted, predicted_cpu = time.monotonic(), time.process_time()
    held = fitted.predict(hold) if len(hold) else np.zeros(0)
    if not (np.isfinite(scores).all() and np.isfinite(held).all()):
        raise FloatingPointError("the model's scores are not finite; lower its learning rate")
    facts = {
        "train_seconds": round(trained - start, 3),
        "predict_seconds": round(predicted - trained, 4),
        "train_cpu_seconds": round(trained_cpu - start_cpu, 3),
        "predict_cpu_seconds": round(predicted_cpu - trained_cpu, 4),
        "predicted_rows": len(scores),
        **fitted.describe(),
        **tried,
    }
    if keep:
        fitted.save(folder)
    np.savez(folder / SCORES, scores=scores, validation=held)
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _warm_up(model: ModelPart, target: str, seed: int) -> None:
    """Import what a fit needs, so that its seconds do not depend on what the worker did before."""
    build_model(model, target, seed)
    if hasattr(model, "epochs"):
        import vitrine.learn.training  # noqa: F401


def _best_of(
    candidates: Sequence[ModelPart],
    learn: Examples,
    hold: Examples,
    seed: int,
    folder: Path,
    progress: Callable[[float], None],
) -> tuple[Model, dict[str, object]]:
    """The candidate with the least validation error, fitted, and what was tried where there are several."""
    best: tuple[float, Model, ModelPart] | None = None
    errors: list[float] = []
    resumed: list[int] = []
    for number, part in enumerate(candidates):
        fresh = build_model(part, learn.target_kind, seed)
        if isinstance(fresh, Resumable):
            place = folder / UNFINISHED
            fresh.resume_in(place / f"trial-{number}" if len(candidates) > 1 else place)
        told = partial(_of_trial, progress, number, len(candidates))
        fitted = fresh.fit(learn, hold if len(hold) else None, told)
        if len(candidates) == 1 or not len(hold):
            return fitted, {}
        errors.append(_error(fitted.predict(hold), hold))
        resumed.append(int(fitted.describe().get("resumed_at", 0)))
        if best is None or errors[-1] < best[0]:
            best = errors[-1], fitted, part
    assert best is not None
    own = candidates[0].model_dump(mode="json")
    changed = {k: v for k, v in best[2].model_dump(mode="json").items() if v != own[k]}
    facts: dict[str, object] = {"trials": len(candidates), "chosen": changed, "validation_errors": errors}
    if any(resumed):
        facts["resumed_at"] = max(resumed)
    return best[1], facts


def _of_trial(progress: Callable[[float], None], number: int, trials: int, done: float) -> None:
    progress((number + done) / trials)


def _error(scores: NDArray[np.float64], examples: Examples) -> float:
    """Mean absolute error of values; of classes the mean negative logarithm of that of the true one."""
    assert examples.target is not None
    if examples.target_kind == "value":
        return float(np.abs(scores - examples.target).mean())
    true = examples.target.astype(np.int64)
    both = np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores
    return float(-np.log(both[np.arange(len(true)), true].clip(1e-12)).mean())


def _shuffled(examples: Examples, seed: int) -> Examples:
    if examples.target is None or not len(examples):
        return examples
    return examples.with_target(shuffle_labels(examples.target, examples.owner, seed))


def fit_task(
    name: str,
    model: ModelPart,
    examples: Task,
    *,
    seed: int,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
    shuffle_seed: int | None = None,
    keep: bool = True,
    trials: int = 1,
) -> Task:
    """The task of one fit; its key holds the settings, the seeds and which samples go where."""
    settings = {"model": model, "seed": seed, "shuffle_seed": shuffle_seed, "keep": keep, "trials": trials}
    sets = {"train": train, "validation": validation, "test": test}
    return Task(
        label=name,
        kind="fit",
        recipe={
            "model": model.recipe(),
            "seed": seed,
            "shuffle_seed": shuffle_seed,
            "keep": keep,
            **({"trials": trials} if trials > 1 else {}),
            **{key: value.tolist() for key, value in sets.items()},
        },
        function=fit_fold,
        arguments=settings | sets,
        needs=(examples,),
        gpu=model.gpu,
    )


def read_scores(folder: Path, of: str = "scores") -> NDArray[np.float64]:
    """Scores of the test rows of a fit; of its ``"validation"`` rows."""
    with np.load(folder / SCORES, allow_pickle=False) as file:
        scores: NDArray[np.float64] = file[of]
    return scores


def read_facts(folder: Path) -> dict[str, object]:
    """Parameters, epochs and times of a fit."""
    facts: dict[str, object] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return facts


def resumed_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for every training that went on from where an earlier run left it."""
    lines = []
    for outcome in outcomes:
        if outcome.kind == "fit" and outcome.folder is not None and not outcome.reused:
            epoch = read_facts(outcome.folder).get("resumed_at")
            lines += [f"{outcome.label}: training went on after epoch {epoch}"] if epoch else []
    return lines


def load_fitted(folder: Path, model: ModelPart, target: str, seed: int) -> Model:
    """The fitted model of a store entry or of a model folder."""
    return build_model(model, target, seed).load(folder)
