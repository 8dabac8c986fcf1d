"""Runs that several tests look at, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SHEAR = {
    "source.specimens": 5,
    "models.gat.epochs": 2,
    "models.gradient_boosting.iterations": 20,
    "evaluation.resamples": 50,
    # what others cost is paid in their own tests
    **{f"models.{name}": None for name in ("logistic_averaged", "gradient_boosting_averaged")},
    **{f"models.{name}": None for name in ("gat_response", "equivariant", "equivariant_d2min")},
    "sweeps": [],
    "representation.features": "cheap",
    "unseen": {"kind": "released-glass", "specimens": 1, "first": 6},
}
"""shear-transformation at smoke, smaller still: 30 graphs"""

LIQUIDS = {
    "models.mpnn": {"kind": "mpnn", "hidden": 8, "depth": 1, "heads": 2, "epochs": 1},
    "models.cnn_paper.epochs": 1,
    "models.cnn_pooled.epochs": 1,
    "representations.image.pixels": 32,
    "representations.small_image.pixels": 32,
    "evaluation.resamples": 50,
    "data_curve": {
        "groups": [12, 24, 5000],
        "models": ["radial_distribution"],
        "tracks": ["inherent_unmatched"],
        "beside": "inherent_energy",
    },
    "transfer": {
        "sets": {"thermal": {"state": "thermal"}, "minima": {"state": "inherent"}},
        "models": ["radial_distribution"],
        "split": {"kind": "grouped", "folds": 2},
        "published": {
            "source": "a paper",
            "values": [[1.0, 0.5], [0.5, 1.0]],
            "beside": ["radial_distribution"],
        },
    },
}
"""liquid-glass at smoke, with a data curve and a transfer"""

STRAINS = {
    "source.trajectories": 4,
    "models.two_point.trees": 30,
    "models.scalar_strain.trees": 30,
    "evaluation.resamples": 50,
}

FOLDS = {"folds": 5, "validation": 0.1, "seed": 0}
ALLOYS = {
    "models.mlp.epochs": 4,
    "budget.epochs": 15,
    "models.random_forest.trees": 10,
    "evaluation.resamples": 50,
    "tracks": [{"split": {"kind": "grouped", **FOLDS}}, {"split": {"kind": "random", **FOLDS}}],
}
ALLOY_MODELS = ("mean", "ridge", "random_forest", "mlp")
"""branched-composition at smoke with five folds and without its large networks"""


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for all runs of the session."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def shear_run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Path:
    """Run folder of a small shear-transformation."""
    import vitrine

    folder = tmp_path_factory.mktemp("shear") / "run"
    vitrine.run(
        vitrine.load_study("shear-transformation", "smoke", SHEAR), folder, workers=0, store=shared_store
    )
    return folder


@pytest.fixture(scope="session")
def alloy_run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Path:
    """Run folder of a small branched-composition on the embedded alloys."""
    import vitrine

    folder = tmp_path_factory.mktemp("alloys") / "run"
    study = vitrine.load_study("branched-composition", "smoke", ALLOYS, models=ALLOY_MODELS)
    vitrine.run(study, folder, workers=0, store=shared_store)
    return folder


@pytest.fixture(scope="session")
def liquid_run(tmp_path_factory: pytest.TempPathFactory, shared_store: Path) -> Path:
    """Run folder of a small liquid-glass on the released set."""
    import vitrine

    folder = tmp_path_factory.mktemp("liquids") / "run"
    vitrine.run(vitrine.load_study("liquid-glass", "smoke", LIQUIDS), folder, workers=0, store=shared_store)
    return folder


@pytest.fixture(scope="session")
def strain_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for runs on dislocations."""
    return tmp_path_factory.mktemp("strain-store")


@pytest.fixture(scope="session")
def strain_run(tmp_path_factory: pytest.TempPathFactory, strain_store: Path) -> Path:
    """Run folder of a small prior-strain."""
    import vitrine

    folder = tmp_path_factory.mktemp("strains") / "run"
    vitrine.run(vitrine.load_study("prior-strain", "smoke", STRAINS), folder, workers=0, store=strain_store)
    return folder
