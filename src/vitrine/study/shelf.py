"""The shelf: short name -> part, one literal table per stage, plus the parts of other packages.

Those come through entry points, see :mod:`vitrine.study.outsiders`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from vitrine.errors import StudyError, did_you_mean
from vitrine.learn.protocol import ModelPart
from vitrine.parts import Part
from vitrine.study import outsiders
from vitrine.study.outsiders import Outsider

SOURCES = {
    "metallic-glass": "vitrine.simulate.metallic_glass:MetallicGlass",
    "released-glass": "vitrine.simulate.released:ReleasedGlass",
    "lennard-jones-2d": "vitrine.simulate.lennard_jones:LennardJones2D",
    "released-liquids": "vitrine.simulate.released_liquids:ReleasedLiquids",
    "emt-alloys": "vitrine.simulate.emt_alloys:EmtAlloys",
    "dislocations": "vitrine.simulate.dislocations.source:DislocationDynamics",
    "released-dislocations": "vitrine.simulate.released_dislocations:ReleasedDislocations",
    "table": "vitrine.simulate.table:Table",
    "crystal-folder": "vitrine.simulate.crystal_folder:CrystalFolder",
    "configurations": "vitrine.simulate.configurations:Configurations",
}
LABELS = {
    "first-event": "vitrine.measure.first_event:FirstEvent",
    "column": "vitrine.measure.column:Column",
    "binary-column": "vitrine.measure.class_column:BinaryColumn",
    "class-column": "vitrine.measure.class_column:ClassColumn",
    "atom-class": "vitrine.measure.atom_column:AtomClass",
    "atom-field": "vitrine.measure.atom_column:AtomField",
    "sample-class": "vitrine.measure.sample_class:SampleClass",
    "prior-strain": "vitrine.measure.prior_strain:PriorStrain",
    "log-prior-strain": "vitrine.measure.prior_strain:LogPriorStrain",
}
REPRESENTATIONS = {
    "voronoi-graph": "vitrine.represent.voronoi_graph:VoronoiGraph",
    "elemental-fractions": "vitrine.represent.composition:ElementalFractions",
    "magpie": "vitrine.represent.magpie:Magpie",
    "table-columns": "vitrine.represent.table_columns:TableColumns",
    "joined": "vitrine.represent.joined:Joined",
    "volume-per-atom": "vitrine.represent.volume:VolumePerAtom",
    "space-group": "vitrine.represent.space_group:SpaceGroup",
    "asph": "vitrine.represent.asph:AtomSpecificHomology",
    "crystal-graph": "vitrine.represent.crystal_graph:CrystalGraph",
    "particle-image": "vitrine.represent.particle_image:ParticleImage",
    "particle-graph": "vitrine.represent.particle_graph:ParticleGraph",
    "pair-correlation": "vitrine.represent.pair_correlation:PairCorrelation",
    "structural-metrics": "vitrine.represent.structural_metrics:StructuralMetrics",
    "bond-order": "vitrine.represent.bond_order:BondOrder",
    "sample-attributes": "vitrine.represent.sample_attributes:SampleAttributes",
    "strain-crops": "vitrine.represent.strain_crops:StrainCrops",
    "strain-scalars": "vitrine.represent.strain_scalars:StrainScalars",
    "two-point": "vitrine.represent.two_point:TwoPoint",
    "map-geometry": "vitrine.represent.map_geometry:MapGeometry",
}
SPLITS = {
    "grouped": "vitrine.evaluate.splits:GroupedFolds",
    "random": "vitrine.evaluate.splits:RandomFolds",
    "hold-out": "vitrine.evaluate.splits:HoldOut",
    "matbench": "vitrine.evaluate.official_splits:MatbenchFolds",
    "given": "vitrine.evaluate.official_splits:GivenSplit",
    "leave-out": "vitrine.evaluate.leave_out:LeaveOut",
}
MODELS = {
    "chance": "vitrine.learn.baselines:Chance",
    "mean": "vitrine.learn.baselines:Mean",
    "ridge": "vitrine.learn.baselines:Ridge",
    "logistic": "vitrine.learn.baselines:Logistic",
    "random-forest": "vitrine.learn.baselines:RandomForest",
    "gradient-boosting": "vitrine.learn.baselines:GradientBoosting",
    "feature-sum": "vitrine.learn.untrained:FeatureSum",
    "gat": "vitrine.learn.neural:GraphAttention",
    "mlp": "vitrine.learn.neural:Perceptron",
    "equivariant": "vitrine.learn.neural:Equivariant",
    "mpnn": "vitrine.learn.whole:MessagePassing",
    "cnn-paper": "vitrine.learn.whole:PaperCNN",
    "cnn-pooled": "vitrine.learn.whole:PooledCNN",
    "cgcnn": "vitrine.learn.crystal:GatedCrystals",
    "cgcnn-attention": "vitrine.learn.crystal:AttentiveCrystals",
    "line-graph": "vitrine.learn.crystal:LineGraphs",
    "brnet": "vitrine.learn.composition:BranchedResidual",
    "elemnet": "vitrine.learn.composition:ElemNet",
    "irnet": "vitrine.learn.composition:IRNet",
    "element-attention": "vitrine.learn.composition:ElementAttention",
    "svm": "vitrine.learn.composition:SupportVectors",
    "resnet": "vitrine.learn.maps:Residual",
    "pca-forest": "vitrine.learn.pca_forest:PcaForest",
    "ensemble": "vitrine.learn.ensemble:Ensemble",
}
CLAIMS = {
    "imbalance-flatters": "vitrine.study.claims:imbalance_flatters",
    "confidence-follows-severity": "vitrine.study.claims:confidence_follows_severity",
    "called-where-large": "vitrine.study.claims:called_where_large",
    "called-where-small": "vitrine.study.claims:called_where_small",
    "auc-rises-with-threshold": "vitrine.study.cluster_claims:auc_rises_with_threshold",
    "precision-falls-with-threshold": "vitrine.study.cluster_claims:precision_falls_with_threshold",
    "mcc-peaks-between": "vitrine.study.cluster_claims:mcc_peaks_between",
    "confidence-peaks-in-clusters": "vitrine.study.cluster_claims:confidence_peaks_in_clusters",
    "false-clusters-follow": "vitrine.study.cluster_claims:false_clusters_follow",
    "networks-tell-phases": "vitrine.study.phase_claims:networks_tell_phases",
    "networks-tell-phases-at-equal-energy": "vitrine.study.phase_claims:networks_tell_phases_at_equal_energy",
    "message-passing-beats-convolution": "vitrine.study.phase_claims:message_passing_beats_convolution",
    "metrics-follow-glass-formation": "vitrine.study.phase_claims:metrics_follow_glass_formation",
    "network-beats-trees": "vitrine.study.claims:network_beats_trees",
    "branched-beats-others": "vitrine.study.composition_claims:branched_beats_others",
    "branched-at-all-sizes": "vitrine.study.composition_claims:branched_at_all_sizes",
    "branches-save-parameters": "vitrine.study.composition_claims:branches_save_parameters",
    "schedulers-help": "vitrine.study.composition_claims:schedulers_help",
    "attention-beats-branches": "vitrine.study.composition_claims:attention_beats_branches",
    "enthalpy-transfers-but-for-oxygen": "vitrine.study.shift_claims:enthalpy_transfers_but_for_oxygen",
    "gap-transfers-to-neither": "vitrine.study.shift_claims:gap_transfers_to_neither",
    "geometry-tells-failure": "vitrine.study.shift_claims:geometry_tells_failure",
    "network-beats-two-point": "vitrine.study.strain_claims:network_beats_two_point",
    "network-sees-more-than-amounts": "vitrine.study.strain_claims:network_sees_more_than_amounts",
    "ensemble-helps": "vitrine.study.strain_claims:ensemble_helps",
    "accuracy-falls-with-width": "vitrine.study.strain_claims:accuracy_falls_with_width",
    "small-reload-is-easier": "vitrine.study.strain_claims:small_reload_is_easier",
}
EXPLANATIONS = {
    "bond-attention": "vitrine.explain.bond_attention:BondAttention",
    "grad-cam": "vitrine.explain.grad_cam:GradCam",
    "filters": "vitrine.explain.filters:Filters",
    "saliency": "vitrine.explain.saliency:Saliency",
    "strain-offset": "vitrine.explain.strain_offset:StrainOffset",
    "feature-map": "vitrine.explain.feature_map:FeatureMap",
    "stress-curves": "vitrine.explain.stress_curves:CurveNeighbours",
    "crystal-sites": "vitrine.explain.crystal_sites:CrystalSites",
}
STAGES: Mapping[str, Mapping[str, str]] = {
    "source": SOURCES,
    "label": LABELS,
    "representation": REPRESENTATIONS,
    "split": SPLITS,
    "model": MODELS,
    "explanation": EXPLANATIONS,
    "claim": CLAIMS,
}


_MUST_HAVE = {
    "source": ("yields", "tasks", "samples"),
    "label": ("takes", "makes", "targets", "severity"),
    "representation": ("takes", "makes", "feature_labels", "build"),
    "split": ("track", "folds_of"),
    "model": ("takes", "targets", "build"),
    "explanation": ("takes", "explain"),
}
"""What the study asks of a part of each stage; ours are held to it by mypy and the contract tests."""


@cache
def _sorted_outsiders() -> tuple[dict[str, Outsider], list[Outsider]]:
    return outsiders.sorted_parts(outsiders.installed()[outsiders.PARTS], STAGES)


def _outsiders() -> dict[str, Outsider]:
    """Parts of other packages by ``<stage>.<kind>``."""
    return _sorted_outsiders()[0]


def refused() -> list[Outsider]:
    """Entry points of other packages that cannot stand on the shelf, each with its trouble."""
    return _sorted_outsiders()[1]


def package_of(stage: str, kind: str) -> str | None:
    """Name and version of the package that brings a part; None for ours."""
    outsider = None if kind in STAGES[stage] else _outsiders().get(f"{stage}.{kind}")
    return None if outsider is None else outsider.package


def kinds(stage: str) -> dict[str, str]:
    """Short name -> ``module:object`` of a stage, outsiders included."""
    own = dict(STAGES[stage])
    prefix = stage + "."
    for name, outsider in _outsiders().items():
        if name.startswith(prefix):
            own.setdefault(name.removeprefix(prefix), outsider.value)
    return own


def find(stage: str, kind: str) -> Any:
    """The object on the shelf under this name.

    Raises
    ------
    StudyError: there is none, or the package that brings it is broken.
    """
    known = kinds(stage)
    if kind not in known:
        raise StudyError(f"no {stage} of kind {kind!r}{did_you_mean(kind, known)}")
    module, _, name = known[kind].partition(":")
    if kind in STAGES[stage]:
        return getattr(import_module(module), name)
    try:
        return attrgetter(name)(import_module(module))
    except (Exception, SystemExit) as error:  # another package's module may fail in any way
        words = f"{type(error).__name__}: {error}"
        who = f"the {stage} {kind!r} of the package {package_of(stage, kind)}"
        raise StudyError(f"{who} cannot be loaded ({words})") from error


def part_class(stage: str, kind: str) -> type[Part]:
    """The settings class of a part.

    Raises
    ------
    StudyError: there is none, or what is there is no part of this stage.
    """
    found = find(stage, kind)
    trouble = None if kind in STAGES[stage] else _trouble_of_class(stage, kind, found)
    if trouble is not None:
        raise StudyError(f"the {stage} {kind!r} of the package {package_of(stage, kind)} {trouble}")
    checked: type[Part] = found
    return checked


_SUMMARY = re.compile(r'^    summary: ClassVar\[str\] = "([^"\\\\]+)"$', re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)
_ROOT = Path(__file__).parents[1]


def summary_of(stage: str, kind: str) -> str:
    """The line that a part says of itself.

    Ours are read in their files: importing them all to list them costs more than the rest of the list.

    Raises
    ------
    StudyError: there is none, or the package that brings it is broken.
    """
    module, _, name = STAGES[stage].get(kind, "").partition(":")
    found = _summaries(module).get(name) if module else None
    return part_class(stage, kind).summary if found is None else found


@cache
def _summaries(module: str) -> dict[str, str]:
    """Name of each class of a module of ours -> its line, where it stands there as plain text."""
    try:
        text = _ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text(encoding="utf-8")
    except OSError:  # packed away
        return {}
    classes = list(_CLASS.finditer(text))
    ends = [*(later.start() for later in classes[1:]), len(text)]
    lines = {c[1]: _SUMMARY.search(text, c.end(), end) for c, end in zip(classes, ends, strict=True)}
    return {name: line[1] for name, line in lines.items() if line is not None}


def _trouble_of_class(stage: str, kind: str, found: Any) -> str | None:
    """What another package's class lacks, before a study stumbles over it."""
    if not (isinstance(found, type) and issubclass(found, Part)):
        return "is no settings class (a subclass of vitrine.parts.Part)"
    if stage == "model" and not issubclass(found, ModelPart):
        return "is no model (a subclass of vitrine.learn.protocol.ModelPart)"
    named = found.model_fields["kind"].default if "kind" in found.model_fields else None
    if named != kind:
        return f"has the kind {named!r}; it must say: kind: Literal[{kind!r}] = {kind!r}"
    lacking = [name for name in _MUST_HAVE.get(stage, ()) if not hasattr(found, name)]
    return f"lacks {', '.join(lacking)}" if lacking else None


def is_part(stage: str, kind: str) -> bool:
    """Whether this kind can be loaded and is a part; false for a broken package of others."""
    try:
        return bool(part_class(stage, kind))
    except StudyError:
        return False


class WrongPart(ValueError):
    """What is wrong with the settings of a part: pairs of a path below the part and words.

    A ValueError, so that pydantic collects it with the path of the part in the study.
    """

    def __init__(self, lines: list[tuple[tuple[str, ...], str]]) -> None:
        super().__init__("; ".join(words for _, words in lines))
        self.lines = lines


def parse(stage: str, data: Any, where: str) -> Part:
    """Settings of one part from a study file.

    Parameters
    ----------
    where: dotted path in the study file, for messages.

    Raises
    ------
    StudyError: no kind, unknown kind, unknown key or wrong value.
    """
    try:
        return checked(stage, data)
    except WrongPart as error:
        raise StudyError(_text(((where, *path), words) for path, words in error.lines)) from None


def checked(stage: str, data: Any) -> Part:
    """As :func:`parse`, for validators of pydantic.

    Raises
    ------
    WrongPart: no kind, unknown kind, unknown key or wrong value.
    """
    if isinstance(data, Part):
        return data
    if not isinstance(data, Mapping):
        raise WrongPart([((), f"expected a mapping with a key 'kind', got {_short(data)}")])
    kind = data.get("kind")
    if not isinstance(kind, str):
        wrong = "is missing" if kind is None else f"must be a name, got {_short(kind)}"
        raise WrongPart([(("kind",), f"{wrong}; known: {', '.join(sorted(kinds(stage)))}")])
    try:
        part = part_class(stage, kind)
    except StudyError as error:
        raise WrongPart([(("kind",), str(error))]) from None
    try:
        return part.model_validate(dict(data))
    except ValidationError as error:
        raise WrongPart(_lines(error, part, stage)) from None


def validate(model: type[BaseModel], data: Any, where: str) -> Any:
    """Validate settings that are not a part, with the same words for errors.

    Raises
    ------
    StudyError: unknown key or wrong value.
    """
    if isinstance(data, model):
        return data
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise StudyError(_text(((where, *path), words) for path, words in _lines(error, model))) from None


def _text(lines: Iterable[tuple[tuple[str, ...], str]]) -> str:
    return "\n".join(f"{'.'.join(filter(None, path))}: {words}".removeprefix(": ") for path, words in lines)


def _lines(
    error: ValidationError, model: type[BaseModel], stage: str | None = None
) -> list[tuple[tuple[str, ...], str]]:
    lines: list[tuple[tuple[str, ...], str]] = []
    for item in error.errors():
        path = tuple(str(step) for step in item["loc"])
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, WrongPart):
            lines += [((*path, *below), words) for below, words in inner.lines]
        elif item["type"] == "extra_forbidden":
            lines.append((path, _no_such_key(path, model, stage)))
        elif item["type"] == "missing":
            lines.append((path, "is missing"))
        else:
            words = item["msg"].removeprefix("Value error, ")
            got = "" if isinstance(item["input"], dict) else f", got {_short(item['input'])}"
            lines.append((path, words + got))
    return lines


def _no_such_key(path: tuple[str, ...], model: type[BaseModel], stage: str | None) -> str:
    owner = _model_at(model, path[:-1])
    words = "no such key" + did_you_mean(path[-1], owner.model_fields if owner else ())
    others = [] if stage is None or len(path) > 1 else _kinds_with(stage, path[-1])
    return words + (f" (kind {' or '.join(others)} has it)" if others else "")


def _model_at(model: type[BaseModel], path: tuple[str, ...]) -> type[BaseModel] | None:
    """The settings class that a path leads to; positions in lists are passed over."""
    here: type[BaseModel] | None = model
    for step in path:
        if here is not None and step in here.model_fields:
            here = _model_in(here.model_fields[step].annotation)
        elif not step.isdecimal():
            return None
    return here


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _kinds_with(stage: str, key: str) -> list[str]:
    return [repr(kind) for kind in STAGES[stage] if key in getattr(find(stage, kind), "model_fields", {})]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
