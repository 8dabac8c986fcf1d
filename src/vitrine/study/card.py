"""The model card: what a model hub and a reader want to know, as Markdown with a head of metadata.

The head follows Hugging Face's model card specification (library, tags, licence, task, data, results).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import vitrine
from vitrine.parts import Part
from vitrine.samples import Examples, Samples
from vitrine.study.card_tables import evaluation, in_tables, model_index, rows_of
from vitrine.study.data import target_name, unit_of
from vitrine.study.result import Result
from vitrine.study.yaml_reader import write_yaml

if TYPE_CHECKING:
    from vitrine.study.spec import Study

PLACE = "OWNER/NAME"
"""stands in the card for the repository until the model is pushed to one"""
_TASKS = {
    ("vectors", "value"): "tabular-regression",
    ("vectors", "binary"): "tabular-classification",
    ("images", "value"): "image-classification",
    ("images", "binary"): "image-classification",
}
"""what a model does, in Hugging Face's words; graphs are graph-ml, whatever the target"""
_SHARE_MATTERS = ("precision", "f1", "mcc", "average_precision", "accuracy")


def model_card(study: Study, name: str, samples: Samples, examples: Examples, result: Result) -> str:
    """``README.md`` of a model folder.

    Parameters
    ----------
    name: of the model in the study. samples, examples: what it was trained on.
    result: of the run, with the rows of all models.
    """
    head = write_yaml(_metadata(study, name, samples, examples, result)).strip()
    sections = [
        f"# {name} of {study.study}",
        study.question,
        *_use(study, name, samples, examples),
        *_training(study, name, samples, examples),
        *evaluation(study, name, result),
        *_limits(study, samples, examples),
        *_apply(samples),
        *_licence_section(study, samples),
        *_sources(study, name),
    ]
    return f"---\n{head}\n---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _metadata(
    study: Study, name: str, samples: Samples, examples: Examples, result: Result
) -> dict[str, Any]:
    task = _TASKS.get(
        (examples.makes, examples.target_kind), "graph-ml" if examples.makes == "graphs" else None
    )
    data = _data_name(study, samples)
    rows = rows_of(result.rows, name)
    licence, named = _licence(study)
    head: dict[str, Any] = {"library_name": "vitrine", "license": licence}
    if named is not None:
        head["license_name"] = named
    tags = ["vitrine", "materials-science", study.study, study.models[name].kind, _kind(study, name)]
    head |= {"tags": list(dict.fromkeys(tags)), "datasets": [data]}
    if task is not None:
        head["pipeline_tag"] = task
    if rows:
        head["metrics"] = list(dict.fromkeys(row.metric for row in rows))
        results = [model_index(task or "other", data, study, found) for found in in_tables(rows).values()]
        head["model-index"] = [{"name": f"{name} of {study.study}", "results": results}]
    return head


def _kind(study: Study, name: str) -> str:
    kind: str = study.representation_of(name).kind
    return kind


def _data_name(study: Study, samples: Samples) -> str:
    """A name for the training data that a hub accepts."""
    about = samples.about
    found = about.get("released") or about.get("table") or study.source.kind  # type: ignore[attr-defined]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(found)).strip("-.") or "own-data"


def _settings(part: Part) -> str:
    """``kind (version n): setting value, ...``."""
    data = part.model_dump(mode="json", exclude={"kind"})
    words = [f"{key} {_short(value)}" for key, value in data.items() if value is not None]
    return f"`{part.kind}` (version {part.version})" + (": " + ", ".join(words) if words else "")  # type: ignore[attr-defined]


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "/".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unit(study: Study, samples: Samples) -> str | None:
    return unit_of(study.label, samples)


def _use(study: Study, name: str, samples: Samples, examples: Examples) -> list[str]:
    """What goes in and what comes out."""
    takes = {
        "formulas": "a table with a column of chemical formulas (CSV, Parquet or a data frame)",
        "maps": "strain maps (.npy, CSV, TIFF, tables of digital image correlation)",
        "atoms": "periodic configurations of atoms (LAMMPS dump, extxyz, POSCAR, CIF, `ase.Atoms`)",
    }
    part: Any = study.representation_of(name)
    what = takes.get(part.takes, part.takes)
    row = {"graphs": "atom", "vectors": "row"}.get(examples.makes, "sample")
    if examples.target_kind == "binary":
        label: Any = study.label
        positive = label.class_names(samples)[1] if hasattr(label, "class_names") else "class 1"
        gives = f"for every {row} the probability of {positive} ({study.label.summary})"
    elif examples.target_kind == "classes":
        names = ", ".join(examples.class_names)
        gives = f"for every {row} the probability of each of {names} ({study.label.summary})"
    else:
        unit = _unit(study, samples)
        column = target_name(study.label, samples.about)
        gives = f"for every {row} a value of `{column}`" + (f" in {unit}" if unit else "")
    return [
        "## Intended use",
        f"In goes {what}; out comes {gives}.\n"
        "It is meant for research on materials like those it was trained on, and for comparison with other "
        "models on the same splits. It is not meant for decisions that rest on it alone.",
    ]


def _training(study: Study, name: str, samples: Samples, examples: Examples) -> list[str]:
    groups = len(set(samples.groups))
    lines = [
        f"- samples: {len(samples)} in {groups} groups, {examples.n_rows} rows",
        f"- source: {_settings(study.source)}",
        f"- label: {_settings(study.label)}",
    ]
    if examples.target is not None and examples.target_kind == "binary":
        share = 100 * float(examples.target.mean(dtype=float))
        lines.append(f"- positives: {share:.3g} % of the rows")
    lines += [
        f"- representation: {_settings(study.representation_of(name))}",
        f"- features: {_listed(examples.feature_labels)}",
        f"- model: {_settings(study.models[name])}",
        f"- made by: vitrine {vitrine.__version__}, study `{study.study}` at scale `{study.scale}`",
    ]
    sums = {"data": samples.about.get("sha256"), "potential": samples.about.get("potential_sha256")}
    lines += [f"- SHA-256 of the {what}: `{found}`" for what, found in sums.items() if found]
    return [
        "## Training",
        "\n".join(lines),
        "`splits.csv` says which samples trained these weights and which decided when to stop; "
        "`environment.txt` lists the packages, `model.yaml` every setting.",
    ]


def _listed(labels: tuple[str, ...], most: int = 20) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more


def _limits(study: Study, samples: Samples, examples: Examples) -> list[str]:
    about: Mapping[str, Any] = samples.about
    groups = len(set(samples.groups))
    lines = [
        f"- Measured on {groups} groups of one source. Nothing was measured on other materials, sizes or "
        "preparations."
    ]
    if about.get("note"):
        lines.append(f"- The source is {about['note']}.")
    if examples.target is not None and examples.target_kind == "binary":
        share = float(examples.target.mean(dtype=float))
        touched = [metric for metric in study.evaluation.metrics if metric in _SHARE_MATTERS]
        if touched:
            lines.append(
                f"- {100 * share:.3g} % of the rows here are positive. {', '.join(touched)} change with that "
                "share: expect others where it is another."
            )
        published = study.evaluation.published_prevalence
        if published is not None:
            lines.append(
                f"- Rows with `prevalence published` are re-weighted to {100 * published:.3g} % of "
                "positives, the share in the paper that the study follows."
            )
        lines.append("- Probabilities come from training with balanced classes and are no frequencies.")
    if about.get("potential"):
        lines.append(f"- Energies and stresses mean those of the potential `{_name_of(about['potential'])}`.")
    if samples.left_out:
        lines.append(f"- {len(samples.left_out)} samples of the source could not be used and are left out.")
    if groups < 5:
        lines.append("- Fewer than five groups: there are no intervals.")
    return ["## Limits", "\n".join(lines)]


def _name_of(path: Any) -> str:
    return str(path).replace("\\", "/").rpartition("/")[2]


def _apply(samples: Samples) -> list[str]:
    if samples.kind == "maps":
        return _apply_to_maps()
    tables = samples.kind == "formulas"
    elements = ",".join(str(element) for element in samples.about.get("elements", ()))
    file = "new.csv" if tables else f"my.dump --elements {elements}" if elements else "my.extxyz"
    module, read = ("pandas", 'read_csv("new.csv")') if tables else ("ase.io", 'read("my.extxyz")')
    return [
        "## How to apply it",
        f"```\nvitrine predict hf:{PLACE} {file}\n```",
        f'```python\nimport {module}\nimport vitrine\n\nmodel = vitrine.load_model("hf:{PLACE}")\n'
        f"predicted = vitrine.predict(model, {module}.{read})\n```",
        f"The path of a copy of this folder does as well as `hf:{PLACE}`. Loading it runs no code from it: "
        "weights are safetensors, JSON or skops files, each with the SHA-256 that `model.yaml` lists.",
    ]


def _apply_to_maps() -> list[str]:
    return [
        "## How to apply it",
        f"```\nvitrine predict hf:{PLACE} map.npy --axis y --reload 0.1 --pitch 2nm\n```",
        "```python\nimport vitrine\nfrom vitrine.physics.strain_files import read_strain_maps\n\n"
        f'model = vitrine.load_model("hf:{PLACE}")\n'
        'maps = read_strain_maps("map.npy", axis="y", pitch=2.0)\n'
        "print(vitrine.predict(model, maps, reload=0.1))\n```",
        f"The path of a copy of this folder does as well as `hf:{PLACE}`. Loading it runs no code from it: "
        "weights are safetensors, JSON or skops files, each with the SHA-256 that `model.yaml` lists.",
    ]


def _licence(study: Study) -> tuple[str, str | None]:
    """Identifier and, where nobody has stated one, a name: whose data it is, decides."""
    return ("cc-by-4.0", None) if _ships_with_vitrine(study) else ("other", "not-stated")


def _ships_with_vitrine(study: Study) -> bool:
    from vitrine.simulate.released_reader import shipped_names

    return getattr(study.source, "name", None) in shipped_names()


def _licence_section(study: Study, samples: Samples) -> list[str]:
    if _ships_with_vitrine(study):
        words = f"CC BY 4.0, as the training data `{_data_name(study, samples)}`, which ship with vitrine."
    else:
        words = (
            "Not stated: it is for whoever owns the training data to say. Set `license` in the head of this "
            "file before you share the model."
        )
    return ["## Licence", words]


def _linked(source: str) -> str:
    if source.startswith("arXiv:"):
        return f"[{source}](https://arxiv.org/abs/{source.removeprefix('arXiv:')})"
    return f"[doi:{source}](https://doi.org/{source})"


def _sources(study: Study, name: str) -> list[str]:
    parts: list[Part] = [study.source, study.label, study.representation_of(name), study.models[name]]
    dois = dict.fromkeys([*study.citations, *(doi for part in parts for doi in part.citations())])
    lines = [f"- {_linked(doi)}" for doi in dois]
    intro = "Please cite the work that this model rests on, and vitrine with its version."
    return ["## Citation", intro, "\n".join(lines)] if lines else ["## Citation", intro]
