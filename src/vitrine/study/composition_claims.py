"""Claims about branched networks on composition vectors, judged on the rows of a result."""

from __future__ import annotations

from collections.abc import Iterable

from vitrine.study.claims import Evidence, above_zero, both, needs, row_text
from vitrine.study.result import Claim, Row

GUPTA_2023, GUPTA_2024 = "Gupta et al. 2023 (BRNet)", "Gupta et al. 2024 (iBRNet)"
CLASSICAL = ("ridge", "svm", "random_forest", "gradient_boosting")
EQUAL = 0.05
"""part of BRNet's error within which another error is as good"""


@needs("brnet", *CLASSICAL, "elemnet", "irnet")
def branched_beats_others(evidence: Evidence) -> Claim:
    """The paired differences of BRNet to every model on the same vectors."""
    found = {name: _minus_brnet(evidence, name) for name in (*CLASSICAL, "elemnet", "irnet")}
    return Claim(
        claim="BRNet is more accurate than classical models and than ElemNet and IRNet on the same vectors",
        source=f"{GUPTA_2023}, abstract",
        ours=f"MAE of others minus BRNet's {_listed(found.items())}",
        holds=both(*(above_zero(row) for row in found.values())),
        note="Alike for all: rows, epochs, one setting. The paper trains up to 3,000 epochs.",
    )


@needs("brnet")
def branched_at_all_sizes(evidence: Evidence) -> Claim:
    """BRNet against the other models of the data curve, at each number of training groups."""
    sizes: dict[int, dict[str, Row]] = {}
    for row in evidence.rows:
        words = row.where.get("difference")
        here = (row.track, row.metric) == (evidence.track, "mae") and words == "this model minus brnet"
        if here and "training_groups" in row.where:
            sizes.setdefault(int(row.where["training_groups"]), {})[row.model] = row
    said = [f"{size:,}: {_listed(found.items())}" for size, found in sorted(sizes.items())]
    models = dict.fromkeys(model for found in sizes.values() for model in found)
    whole = {model: _minus_brnet(evidence, model) for model in models}
    said += [f"all: {_listed(whole.items())}"] if whole else []
    verdicts = [above_zero(row) for found in sizes.values() for row in found.values()]
    verdicts += [above_zero(row) for row in whole.values()]
    return Claim(
        claim="The branched network is more accurate at all sizes of data",
        source=f"{GUPTA_2023} and {GUPTA_2024}, abstracts",
        ours="; ".join(said) or "not measured: no data curve of this track, or a smaller table",
        holds=both(*verdicts) if verdicts else None,
        note="Error of another model minus BRNet's, on so many formulas to train on.",
    )


@needs("brnet", "brnet_1_1_1_1")
def branches_save_parameters(evidence: Evidence) -> Claim:
    """The top block of four branches against that of two, which has 62 % more parameters."""
    found, own = _minus_brnet(evidence, "brnet_1_1_1_1"), _plain(evidence, "brnet", "mae")
    holds = None
    if found is not None and own is not None and None not in (found.low, found.high, own.value):
        margin = EQUAL * float(own.value or 0)
        low, high = float(found.low or 0), float(found.high or 0)
        holds = True if high < margin else False if low > margin else None
    counts = [_plain(evidence, name, "parameters") for name in ("brnet_1_1_1_1", "brnet")]
    words = " against ".join(f"{row.value:,.0f}" for row in counts if row is not None and row.value)
    return Claim(
        claim="Four branches of one layer are as good as two of two, with fewer parameters",
        source=f"{GUPTA_2023}, Table 6 (0.069 against 0.070 on JARVIS)",
        ours=f"MAE {_said(found)}; {words} parameters",
        holds=holds,
        note=f"holds if the interval stays below {100 * EQUAL:g} % of BRNet's error",
    )


@needs("brnet", "ibrnet")
def schedulers_help(evidence: Evidence) -> Claim:
    """The same network with a learning rate that is reduced on a plateau: its error and its epochs."""
    found = _minus_brnet(evidence, "ibrnet")
    worse = above_zero(found)
    rows = [_plain(evidence, name, "epochs") for name in ("ibrnet", "brnet")]
    epochs = [row.value for row in rows if row is not None and row.value is not None]
    words = f"{' against '.join(f'{count:.4g}' for count in epochs)} epochs" if epochs else "epochs unknown"
    shorter = None
    if len(epochs) == 2 and epochs[0] != epochs[1]:
        shorter = epochs[0] < epochs[1]
    elif len(epochs) == 2:
        words += ": as many, so their limit ended both and which needs fewer cannot be said"
    return Claim(
        claim="Several schedulers make the branched network more accurate and its training shorter",
        source=f"{GUPTA_2024}, abstract",
        ours=f"iBRNet's MAE minus BRNet's {_said(found)}; {words}",
        holds=both(None if worse is None else not worse, shorter),
        note="Holds if the interval lies below 0 and training ended after fewer epochs.",
    )


@needs("brnet", "ibrnet", "element_attention")
def attention_beats_branches(evidence: Evidence) -> Claim:
    """Our own network at as many parameters, trained as iBRNet is."""
    pair = {name: _minus_brnet(evidence, name) for name in ("element_attention", "ibrnet")}
    words = "element_attention minus this model"
    direct = _find(evidence, "ibrnet", "mae", {"difference": words})
    sign = above_zero(direct)
    return Claim(
        claim="Attention among elements is better than branches at as many parameters (ours, not published)",
        source="this study",
        ours=f"MAE minus BRNet's {_listed(pair.items())}; minus iBRNet's {_said(direct)}",
        holds=None if sign is None else not sign,
        note="Judged against iBRNet, which has the same schedule.",
    )


def _find(evidence: Evidence, model: str, metric: str, where: dict[str, str]) -> Row | None:
    """The row of the track that claims are judged on with exactly these conditions, seeds aside."""
    for row in evidence.rows:
        rest = {key: value for key, value in row.where.items() if key != "seeds"}
        if (row.track, row.model, row.metric) == (evidence.track, model, metric) and rest == where:
            return row
    return None


def _plain(evidence: Evidence, model: str, metric: str) -> Row | None:
    return _find(evidence, model, metric, {})


def _minus_brnet(evidence: Evidence, model: str) -> Row | None:
    return _find(evidence, model, "mae", {"difference": "this model minus brnet"})


def _said(row: Row | None) -> str:
    return row_text(row, digits=4, signed=True)


def _listed(found: Iterable[tuple[str, Row | None]]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_said(row)}" for name, row in found)
