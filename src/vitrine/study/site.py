"""The file of ``--slurm``: what a job of a batch system is at one site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vitrine.campaign.slurm import Site
from vitrine.errors import StudyError
from vitrine.study import shelf
from vitrine.study.yaml_reader import read_yaml, words_of


def read_site(path: str | Path) -> Site:
    """Read and check a site file.

    Raises
    ------
    StudyError: not readable, not YAML, or a wrong key or value; it names the file and the key.
    """
    file = Path(path).expanduser()
    try:
        data: Any = read_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"--slurm: cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"--slurm: {file} is no text file: {error}") from error
    except yaml.YAMLError as error:
        raise StudyError(f"--slurm: {file} is not YAML: {words_of(error)}") from error
    if not isinstance(data, dict):
        raise StudyError(f"--slurm: {file} holds no keys; it needs memory and walltime at least")
    try:
        site: Site = shelf.validate(Site, data, "")
    except StudyError as error:
        lines = str(error).splitlines()
        raise StudyError("\n".join(f"--slurm: {file}: {line}" for line in lines)) from None
    return site
