"""Loss landscapes as a stage of a run; torch is imported when one is asked for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vitrine.campaign.campaign import Campaign
from vitrine.study.log import Log
from vitrine.study.result import Result
from vitrine.study.work import Work

if TYPE_CHECKING:
    from vitrine.study.spec import Study


def look_around(study: Study, work: Work, campaign: Campaign, log: Log) -> None:
    """Landscapes of the fits of the tracks, and the same with one element after the other left out."""
    from vitrine.study.each_element import run_each_element
    from vitrine.study.landscapes import run_landscapes

    started = time.monotonic()
    work.looked = run_landscapes(study, work.data, work.found, campaign, log)
    if study.each_element is not None:
        found = run_each_element(study, work.first, campaign, log)
        if isinstance(found, str):
            work.notes.append(found)
        else:
            work.each = found
    work.timings["loss landscapes"] = time.monotonic() - started


def tell_of_landscapes(study: Study, work: Work, result: Result) -> None:
    """Rows, tables, figures and notes of what was looked at around the weights."""
    from vitrine.study import each_element, landscapes

    result.rows += landscapes.landscape_rows(study, work.looked)
    result.tables += landscapes.landscape_table(study, work.looked)
    result.figures += landscapes.landscape_figures(study, work.looked)
    result.notes += landscapes.landscape_notes(work.looked)
    if work.each is not None:
        result.rows += each_element.each_element_rows(work.each)
        result.tables += each_element.each_element_tables(work.each)
        result.figures += each_element.each_element_figures(work.each)
        result.notes += [f"Not left out: {name}: {why}" for name, why in work.each.skipped.items()]
