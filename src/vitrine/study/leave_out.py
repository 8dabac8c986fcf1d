"""``--set split.leave_out=Fe`` in words of tracks: what is left out, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitrine.errors import StudyError, did_you_mean

KIND, KEY = "leave-out", "leave_out"
CRYSTALS = "mp/structures"
"""the published set of the study chemistry-shift"""
MOST_ATOMS = 20
"""of its crystals, as of half of them, where they take the place of the alloys, which are small"""


def follow_left_out(data: dict[str, Any]) -> None:
    """Take the short form ``split`` out of a raw study and put what it says into its tracks, in place.

    ``split.leave_out`` is one name or a list: tracks that leave nothing out stay, and the others give way to
    one for each name, made like the first of them. Any other setting of the split goes into all of them.

    Raises
    ------
    StudyError: no track of the study leaves something out, or there is no such setting.
    """
    from vitrine.evaluate.leave_out import LeaveOut

    asked = data.pop("split", None)
    if asked is None:
        _stand_back(data)
        return
    tracks = data.get("tracks")
    able = [track for track in tracks if _leaves_out(track)] if isinstance(tracks, list) else []
    if not isinstance(asked, Mapping) or not isinstance(tracks, list) or not able:
        raise StudyError(
            "split: this study has no track with the split leave-out, whose settings `split` changes in "
            "all of them; set those of a track with tracks.0.split"
        )
    known = [name for name in LeaveOut.model_fields if name != "kind"]
    for name in asked:
        if name not in known:
            raise StudyError(
                f"split.{name}: the split leave-out has no such setting{did_you_mean(name, known)}"
            )
    settings = {name: value for name, value in asked.items() if name != KEY}
    changed = [
        {**track, "split": {**track["split"], **settings}} if _leaves_out(track) else track
        for track in tracks
    ]
    if KEY in asked:
        changed = _for_each(changed, asked[KEY])
    data["tracks"] = changed
    _stand_back(data)


def _stand_back(data: dict[str, Any]) -> None:
    """The embedded alloys stand in only as long as they have what is asked for, else the published
    crystals do.

    They have seven metals and a formation energy. Whatever is wrong in the study is said later.
    """
    from vitrine.simulate.emt_alloys import FORMATION_ENERGY, METALS
    from vitrine.simulate.table import EMBEDDED
    from vitrine.study.chemistry import PROTOTYPE, elements_of

    source, tracks = data.get("source"), data.get("tracks")
    if not isinstance(source, Mapping) or not isinstance(tracks, list) or source.get("kind") != "table":
        return
    able = [track["split"] for track in tracks if _leaves_out(track)]
    if source.get("table") != EMBEDDED or not able:
        return
    foreign = source.get("target") not in (None, FORMATION_ENERGY, [FORMATION_ENERGY])
    for split in able:
        what = split.get(KEY)
        if isinstance(what, str) and not what.startswith(PROTOTYPE):
            try:
                foreign = foreign or not elements_of(what) & set(METALS)
            except StudyError:
                return
    if foreign:
        kept = {name: value for name, value in source.items() if name not in ("keep", "random_cells")}
        data["source"] = {"target": FORMATION_ENERGY, "most_atoms": MOST_ATOMS, **kept, "table": CRYSTALS}


def _leaves_out(track: Any) -> bool:
    split = track.get("split") if isinstance(track, Mapping) else None
    return isinstance(split, Mapping) and split.get("kind") == KIND


def _for_each(tracks: list[Any], what: Any) -> list[Any]:
    names = list(what) if isinstance(what, (list, tuple)) else [] if what is None else [what]
    able = [track for track in tracks if _leaves_out(track)]
    leaving = [track for track in able if track["split"].get(KEY) is not None]
    pattern = leaving[0] if leaving else able[0]
    made = []
    for name in names:
        own = {key: value for key, value in pattern.items() if key != "name"}
        made.append({**own, "split": {**pattern["split"], KEY: name}})
    place = next((n for n, track in enumerate(tracks) if any(track is one for one in leaving)), len(tracks))
    kept = [track for track in tracks if not any(track is one for one in leaving)]
    return [*kept[:place], *made, *kept[place:]]
