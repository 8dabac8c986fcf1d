"""Every part on the shelf keeps the contract of its stage; a new part adds its class here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pytest

from crystals import crystal_folder, crystal_samples
from vitrine.errors import StudyError
from vitrine.evaluate.leave_out import LeaveOut
from vitrine.evaluate.official_splits import GivenSplit, MatbenchFolds
from vitrine.evaluate.splits import Fold, GroupedFolds, HoldOut, RandomFolds
from vitrine.explain.bond_attention import BondAttention
from vitrine.explain.crystal_sites import CrystalSites
from vitrine.explain.feature_map import FeatureMap
from vitrine.explain.filters import Filters
from vitrine.explain.grad_cam import GradCam
from vitrine.explain.saliency import Saliency
from vitrine.explain.strain_offset import StrainOffset
from vitrine.explain.stress_curves import CurveNeighbours
from vitrine.learn.baselines import Chance, GradientBoosting, Logistic, Mean, RandomForest, Ridge
from vitrine.learn.composition import BranchedResidual, ElementAttention, ElemNet, IRNet, SupportVectors
from vitrine.learn.crystal import AttentiveCrystals, GatedCrystals, LineGraphs
from vitrine.learn.ensemble import Ensemble
from vitrine.learn.maps import Residual
from vitrine.learn.neural import Equivariant, GraphAttention, Perceptron
from vitrine.learn.pca_forest import PcaForest
from vitrine.learn.untrained import FeatureSum
from vitrine.learn.whole import MessagePassing, PaperCNN, PooledCNN
from vitrine.measure.atom_column import AtomClass, AtomField
from vitrine.measure.class_column import BinaryColumn, ClassColumn
from vitrine.measure.column import Column
from vitrine.measure.first_event import FirstEvent
from vitrine.measure.prior_strain import LogPriorStrain, PriorStrain
from vitrine.measure.sample_class import SampleClass
from vitrine.physics.extended_xyz import write_extxyz
from vitrine.represent.asph import AtomSpecificHomology
from vitrine.represent.bond_order import BondOrder
from vitrine.represent.composition import ElementalFractions
from vitrine.represent.crystal_graph import CrystalGraph
from vitrine.represent.joined import Joined
from vitrine.represent.magpie import Magpie
from vitrine.represent.map_geometry import MapGeometry
from vitrine.represent.pair_correlation import PairCorrelation
from vitrine.represent.particle_graph import ParticleGraph
from vitrine.represent.particle_image import ParticleImage
from vitrine.represent.sample_attributes import SampleAttributes
from vitrine.represent.space_group import SpaceGroup
from vitrine.represent.strain_crops import StrainCrops
from vitrine.represent.strain_scalars import StrainScalars
from vitrine.represent.structural_metrics import StructuralMetrics
from vitrine.represent.table_columns import TableColumns
from vitrine.represent.two_point import TwoPoint
from vitrine.represent.volume import VolumePerAtom
from vitrine.represent.voronoi_graph import VoronoiGraph
from vitrine.samples import Examples, Samples
from vitrine.simulate.configurations import Configurations
from vitrine.simulate.crystal_folder import CrystalFolder
from vitrine.simulate.dislocations.compact import COMPACT
from vitrine.simulate.dislocations.source import DislocationDynamics
from vitrine.simulate.emt_alloys import EmtAlloys
from vitrine.simulate.lennard_jones import LennardJones2D
from vitrine.simulate.metallic_glass import MetallicGlass
from vitrine.simulate.released import ReleasedGlass, find_released, read_released, write_released
from vitrine.simulate.released_dislocations import ReleasedDislocations
from vitrine.simulate.released_liquids import LIQUIDS, ReleasedLiquids, read_set, write_set
from vitrine.simulate.released_reader import find_set
from vitrine.simulate.table import Table
from vitrine.study import shelf
from vitrine.testing import (
    ExplanationContract,
    LabelContract,
    ModelContract,
    PartContract,
    RepresentationContract,
    SourceContract,
    SplitContract,
    TasksContract,
    flat_samples,
    formula_samples,
)
from vitrine.testing.inputs import in_classes, sheared_glass, some_of, vector_examples

# ---------------------------------------------------------------- sources


class TestTasksOfMetallicGlass(TasksContract):
    part = MetallicGlass()
    more: ClassVar[Mapping[str, Any]] = {"specimens": 21}
    dimensionless = ("fractions", "strain_step", "largest_step", "max_strain", "follow_to", "follow_step")

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Of what is off by default; a temperature between those of the melt and the glass."""
        return {"swap_temperature": 900.0, "follow_to": 0.05}


@pytest.mark.slow
class TestMetallicGlass(SourceContract):
    """Far too small and too quick for physics, see test_glass.py for that."""

    part = MetallicGlass(
        specimens=2,
        atoms=32,
        melt_time=0.2,
        quench_rate=2e15,
        strain_step=2e-3,
        max_strain=0.2,
        follow_step=2e-3,
        directions=("yz", "-xy"),
    )
    reseeded: ClassVar[Mapping[str, Any]] = {"first_seed": 11}
    dimensionless = ("fractions", "strain_step", "largest_step", "max_strain", "follow_to", "follow_step")

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Of what is off by default; a temperature between those of the melt and the glass."""
        return {"swap_temperature": 900.0, "follow_to": 0.05}


class TestReleasedGlass(SourceContract):
    part = ReleasedGlass(specimens=2)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """A set of two other specimens."""
        write_released(folder / "other.h5", read_released(find_released("cu64zr36-n500"), 2, 5))
        return {"name": str(folder / "other.h5")}


class TestTasksOfLennardJones2D(TasksContract):
    part = LennardJones2D(liquids=2, glasses=2)
    more: ClassVar[Mapping[str, Any]] = {"liquids": 3, "glasses": 4}

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Of what is off by default."""
        return {"match_energy": 0.01, "window": 8.0}


class TestLennardJones2D(SourceContract):
    """Far too small and too quick for physics, see test_lennard_jones.py for that."""

    part = LennardJones2D(
        particles=32,
        liquids=1,
        glasses=1,
        equilibration=0.5,
        snapshots=2,
        gap=0.2,
        melt_time=0.5,
        cooling_time=1.0,
        hold_time=0.2,
        rethermalise_time=0.2,
        curve_temperatures=(1.0, 0.05),
    )
    reseeded: ClassVar[Mapping[str, Any]] = {"first_seed": 11}

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Of what is off by default."""
        return {"match_energy": 0.01, "window": 3.0}


class TestReleasedLiquids(SourceContract):
    part = ReleasedLiquids(liquids=2, glasses=2)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """The same set without the coolings."""
        found = read_set(find_set("lj65-n200", LIQUIDS))
        del found.sets["cooling"]
        write_set(folder / "other.h5", found)
        return {"name": str(folder / "other.h5"), "match_energy": 0.01, "window": 3.0}


class TestEmtAlloys(SourceContract):
    part = EmtAlloys(random_cells=5)
    reseeded: ClassVar[Mapping[str, Any]] = {"seed": 7}
    dimensionless = ("strains",)

    def others(self, folder: Path) -> Mapping[str, Any]:
        return {"strains": (0.02,)}


class TestTasksOfDislocationDynamics(TasksContract):
    part = DislocationDynamics()
    more: ClassVar[Mapping[str, Any]] = {"width": (0.125, 0.25), "slip": ("one", "two"), "trajectories": 2}

    def others(self, folder: Path) -> Mapping[str, Any]:
        return {"slip": ("one",), "pitch": 3.0, "compact": 64}


class TestDislocationDynamics(SourceContract):
    """Hardly beyond its first slip, see test_dislocation_source.py for more."""

    part = DislocationDynamics(width=(0.0625,), prior=(0.1, 0.12), reload=(0.1, 0.2), trajectories=2)
    reseeded: ClassVar[Mapping[str, Any]] = {"seed": 11}
    more: ClassVar[Mapping[str, Any]] = {"trajectories": 3}

    def others(self, folder: Path) -> Mapping[str, Any]:
        return {"slip": ("one",), "pitch": 3.0, "compact": 64}


class TestReleasedDislocations(SourceContract):
    part = ReleasedDislocations(width=(0.0625,), trajectories=1)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """A set of one other crystal."""
        with h5py.File(find_set("dislocations", COMPACT)) as old, h5py.File(folder / "other.h5", "w") as new:
            new.attrs.update(old.attrs)
            for name in ("ddd-w0062.5-one-s0003", "ddd-w0062.5-two-s0003"):
                old.copy(f"trajectories/{name}", new.require_group("trajectories"))
        return {"name": str(folder / "other.h5"), "slip": ("one",)}


class TestTable(SourceContract):
    """A file of three rows, one of which cannot be read."""

    part = Table()

    @pytest.fixture(autouse=True)
    def _table(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        path = tmp_path_factory.getbasetemp() / "mine.csv"
        path.write_text("formula,value\nNaCl,1\nKCl,2\nXyz,3\n")
        type(self).part = Table(table=str(path), skip_bad=True)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Another file."""
        (folder / "other.csv").write_text("formula,value\nNaCl,1\nKCl,2\n")
        return {"table": str(folder / "other.csv")}


class TestCrystalFolder(SourceContract):
    """Three crystals, one of them broken."""

    part = CrystalFolder(folder=".")

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.getbasetemp() / "crystals"
        type(self).part = CrystalFolder(folder=str(crystal_folder(folder)), skip_bad=True)

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Another folder, and another table of this one."""
        return {"folder": str(crystal_folder(folder / "others", 4.0)), "targets": "other.csv"}


class TestConfigurations(SourceContract):
    """Two files of three frames that bring their own energies."""

    part = Configurations(files=("*.extxyz",))

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.getbasetemp()
        first, second = (folder / f"{name}.extxyz" for name in ("first", "second"))
        write_extxyz(first, [sheared_glass(0), sheared_glass(1, "yz")])
        write_extxyz(second, [sheared_glass(2)])
        type(self).part = Configurations(files=(str(first), str(second)))

    def others(self, folder: Path) -> Mapping[str, Any]:
        """Another file, another order of types, a potential."""
        write_extxyz(folder / "other.extxyz", [sheared_glass(3)])
        (folder / "mine.eam.fs").write_text("a potential")
        return {
            "files": (str(folder / "other.extxyz"),),
            "elements": ("Zr", "Cu"),
            "potential": str(folder / "mine.eam.fs"),
        }


# ---------------------------------------------------------------- labels


class TestFirstEvent(LabelContract):
    part = FirstEvent()
    symmetries = ("rotate", "translate", "permute", "wrap", "replicate")


class TestColumn(LabelContract):
    part = Column()
    symmetries = ()


class TestLogOfColumn(LabelContract):
    part = Column(log=True, unit="log10 of GPa")
    symmetries = ()


class OfWords:
    """A table whose target names classes."""

    alone = False
    words: ClassVar[tuple[str, ...]]

    def samples(self) -> Samples:
        samples = formula_samples()
        words = [self.words[row % len(self.words)] for row in range(len(samples))]
        return replace(samples, items=samples.items.assign(target=words))


class TestBinaryColumn(OfWords, LabelContract):
    """Which of two classes is positive is seen from all samples."""

    part = BinaryColumn()
    words = ("metal", "insulator")
    symmetries = ()


class TestClassColumn(OfWords, LabelContract):
    """Classes are numbered by those of all samples."""

    part = ClassColumn()
    words = ("cubic", "hexagonal", "triclinic")
    symmetries = ()


class TestAtomClass(LabelContract):
    part = AtomClass(field="d2min", threshold=0.1)
    dimensionless = ("threshold",)
    symmetries = ("rotate", "translate", "permute", "wrap", "replicate")


class TestAtomField(LabelContract):
    part = AtomField(field="d2min", unit="Å²", log=True)
    symmetries = ("rotate", "translate", "permute", "wrap", "replicate")


class Flat:
    """Whole configurations in a plane, for labels and representations of these."""

    def samples(self) -> Samples:
        return flat_samples()


class TestSampleClass(Flat, LabelContract):
    part = SampleClass()
    symmetries = ("rotate", "translate", "permute", "wrap", "replicate")


# ---------------------------------------------------------------- representations


class TestPriorStrain(LabelContract):
    part = PriorStrain()
    symmetries = ()


class TestLogPriorStrain(LabelContract):
    part = LogPriorStrain()
    symmetries = ()


class TestVoronoiGraph(RepresentationContract):
    part = VoronoiGraph()
    symmetries = ("rotate_with_load", "translate", "permute", "wrap", "replicate")


class TestVoronoiGraphInSpace(RepresentationContract):
    """Features alone are invariant here; tests/test_equivariant.py turns the rest."""

    part = VoronoiGraph(features="invariant", geometry=True)
    symmetries = ("rotate", "rotate_with_load", "translate", "permute", "wrap", "replicate")


class TestSecondDerivatives(RepresentationContract):
    """Soft modes of two cells side by side are others, so `replicate` does not hold."""

    part = VoronoiGraph(features="all", neighbour_averages=True)
    symmetries = ("rotate_with_load", "translate", "permute", "wrap")
    tolerance = 1e-3

    def samples(self) -> Samples:
        """A specimen at its minimum, under two loads."""
        return some_of(read_released(find_released("cu64zr36-n500"), 1), np.array([0, 4]))


class TestElementalFractions(RepresentationContract):
    part = ElementalFractions()
    symmetries = ("order", "scale")


class TestMagpie(RepresentationContract):
    part = Magpie()
    symmetries = ("order", "scale")


class WithColumns:
    """A table with two more columns."""

    def samples(self) -> Samples:
        samples = formula_samples()
        items = samples.items.assign(density=np.arange(len(samples)) + 0.5, annealed=True)
        return replace(samples, items=items)


class TestTableColumns(WithColumns, RepresentationContract):
    part = TableColumns(columns=("density", "annealed"))
    symmetries = ("order", "scale")


class TestJoined(WithColumns, RepresentationContract):
    part = Joined(of=(ElementalFractions(), Magpie(), TableColumns(columns=("density",))))
    symmetries = ("order", "scale")


class TestAtomSpecificHomology(RepresentationContract):
    """What crystals may undergo, see tests/test_asph.py."""

    part = AtomSpecificHomology(cutoff=4.5)
    symmetries = ("order", "scale")

    def samples(self) -> Samples:
        return crystal_samples()


class TestCrystalGraph(RepresentationContract):
    """What crystals may undergo, see tests/test_crystal_graph.py."""

    part = CrystalGraph()
    symmetries = ("order", "scale")

    def samples(self) -> Samples:
        return crystal_samples()


class TestVolumePerAtom(RepresentationContract):
    part = VolumePerAtom()
    symmetries = ("order", "scale")

    def samples(self) -> Samples:
        return crystal_samples()


class TestSpaceGroup(RepresentationContract):
    part = SpaceGroup(by="structure")
    symmetries = ("order", "scale")

    def samples(self) -> Samples:
        return crystal_samples()


class TestParticleImage(Flat, RepresentationContract):
    """Moving by whole pixels rolls the image, see tests/test_particle_image.py."""

    part = ParticleImage(pixels=64)
    symmetries = ("permute", "wrap")


class TestParticleGraph(Flat, RepresentationContract):
    part = ParticleGraph()
    symmetries = ("translate", "permute", "wrap")


class TestVoronoiParticleGraph(Flat, RepresentationContract):
    part = ParticleGraph(neighbours="voronoi")
    symmetries = ("translate", "permute", "wrap")


class TestPairCorrelation(Flat, RepresentationContract):
    part = PairCorrelation(r_max=4.5, bins=30)
    symmetries = ("translate", "permute", "wrap")


class TestStructuralMetrics(Flat, RepresentationContract):
    part = StructuralMetrics()
    symmetries = ("translate", "permute", "wrap")


class TestBondOrder(Flat, RepresentationContract):
    part = BondOrder()
    symmetries = ("translate", "permute", "wrap", "replicate")


class TestSampleAttributes(Flat, RepresentationContract):
    part = SampleAttributes(attributes=("inherent_energy", "temperature"))
    symmetries = ("rotate", "translate", "permute", "wrap", "replicate")


# ---------------------------------------------------------------- splits


class TestStrainCrops(RepresentationContract):
    part = StrainCrops(sides=(16, 18), crop=14, blur=3.0)
    symmetries = ()
    dimensionless = ("low", "high", "drop_empty")


class TestTwoPoint(RepresentationContract):
    part = TwoPoint(rows=24, columns=8, cut=5)
    symmetries = ()


class TestStrainScalars(RepresentationContract):
    part = StrainScalars()
    symmetries = ()


class TestMapGeometry(RepresentationContract):
    part = MapGeometry()
    symmetries = ()


class TestHoldOut(SplitContract):
    part = HoldOut()
    grouped = True
    tests_all = False


class TestHoldOutSamples(SplitContract):
    part = HoldOut(by="sample")
    grouped = False
    tests_all = False


class TestLeaveOut(SplitContract):
    part = LeaveOut()
    grouped = True
    tests_all = False


class TestGroupedFolds(SplitContract):
    part = GroupedFolds(folds=3)
    grouped = True


class TestMatbenchFolds(SplitContract):
    part = MatbenchFolds()
    grouped = False

    def groups(self, sizes: list[int]) -> tuple[str, ...]:
        """Ten samples more, but for the one that is too few."""
        return super().groups(sizes if len(sizes) == 1 else [*sizes, *[1] * 10])

    def test_the_same_settings_split_the_same_way(self) -> None:
        """Which samples test is fixed; the seed says which validate."""
        groups = self.groups([3] * 12)
        parts = [MatbenchFolds(seed=seed).folds_of(groups) for seed in (0, 0, 1)]
        for fold, again, other in zip(*parts, strict=True):
            assert np.array_equal(fold.test, other.test)
            assert np.array_equal(fold.validation, again.validation)
            assert not np.array_equal(fold.validation, other.validation)


class Given(GivenSplit):
    """The column of a table whose every third group tests."""

    def folds_of(self, groups: Sequence[str], given: Any = None) -> list[Fold]:
        """As with such a column."""
        number = {name: n for n, name in enumerate(sorted(set(groups)))}
        return super().folds_of(groups, np.array([2.0 * (number[name] % 3 == 0) for name in groups]))


class TestGivenSplit(SplitContract):
    part = Given()
    grouped = True
    tests_all = False

    def test_its_module_is_light(self) -> None:
        """It is that of the folds of Matbench, which is tested."""
        assert GivenSplit.__module__ == MatbenchFolds.__module__

    def test_the_same_settings_split_the_same_way(self) -> None:
        """Which samples test is given; the seed says which validate."""
        groups = self.groups([3] * 12)
        (fold,), (again,), (other,) = (Given(seed=seed).folds_of(groups) for seed in (0, 0, 1))
        assert np.array_equal(fold.validation, again.validation)
        assert not np.array_equal(fold.validation, other.validation)


class TestRandomFolds(SplitContract):
    part = RandomFolds(folds=3)
    grouped = False


# ---------------------------------------------------------------- models


class TestChance(ModelContract):
    part = Chance()
    learns = False
    random = True


class TestMean(ModelContract):
    part = Mean()
    learns = False


class TestRidge(ModelContract):
    part = Ridge()
    dimensionless = ("alphas",)


class TestLogistic(ModelContract):
    part = Logistic()
    dimensionless = ("penalty",)


class TestRandomForest(ModelContract):
    part = RandomForest(trees=60)


class TestGradientBoosting(ModelContract):
    part = GradientBoosting(iterations=60)
    dimensionless = ("learning_rate", "l2")


class TestFeatureSum(ModelContract):
    part = FeatureSum(weights={"a": 1.0, "b": 0.5})
    dimensionless = ("weights",)

    def others(self, folder: Path) -> Mapping[str, Any]:
        return {"weights": {"a": 1.0, "c": 0.5}}

    def test_a_feature_that_is_not_there_is_named(self) -> None:
        other = FeatureSum(weights={"a": 1.0, "sea": 1.0}).build("binary", 0)
        with pytest.raises(StudyError, match="no feature 'sea'"):
            other.fit(self.examples("binary"), None, lambda fraction: None)


class TestGraphAttention(ModelContract):
    part = GraphAttention(layers=1, width=8, heads=2, epochs=15, batch=2, learning_rate=0.03)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate")


class TestEquivariant(ModelContract):
    part = Equivariant(layers=1, width=8, epochs=15, batch=2, learning_rate=0.02)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate")


class TestResidual(ModelContract):
    part = Residual(modules=1, blocks=2, views=6, epochs=30, batch=12, learning_rate=0.003)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate", "l2")


class TestPcaForest(ModelContract):
    part = PcaForest(trees=50)


class TestEnsemble(PartContract):
    part = Ensemble(of=("a", "b"))


class TestBondAttention(ExplanationContract):
    part = BondAttention(model="mpnn")
    representation = ParticleGraph()
    model = MessagePassing(hidden=8, depth=1, heads=2, epochs=1)


class TestGradCam(ExplanationContract):
    part = GradCam(model="cnn_pooled")
    representation = ParticleImage(pixels=32)
    model = PooledCNN(widths=(4, 8), epochs=1)


class OfMaps:
    representation = StrainCrops(sides=(14, 16), crop=12)
    model = Residual(modules=1, blocks=2, epochs=1, views=2)


class TestFilters(OfMaps, ExplanationContract):
    part = Filters(model="resnet", steps=3, pixels=24)


class TestSaliency(OfMaps, ExplanationContract):
    part = Saliency(model="resnet")


class TestStrainOffset(OfMaps, ExplanationContract):
    part = StrainOffset(model="resnet")

    def test_a_model_without_what_it_needs_is_refused(self) -> None:
        """It asks for nothing but predictions, and one that looks at no map says the same of all."""
        _, samples, examples = self.fitted()
        blind = Chance().build(examples.target_kind, 0).fit(examples, None, lambda fraction: None)
        numbers = self.explained(blind, samples, examples).numbers
        for values in numbers.values():
            np.testing.assert_array_equal(values, numbers["accuracy", "maps as they are"])

    def test_no_change_is_no_change_and_a_class_that_hangs_on_a_grey_level_is_seen(self) -> None:
        model, samples, examples = self.fitted()
        found = self.explained(model, samples, examples)
        scores = np.asarray(model.predict(examples)).reshape(len(samples), -1)
        right = (scores.argmax(axis=1) == examples.target).astype(float)
        np.testing.assert_array_equal(found.numbers["accuracy", "maps as they are"], right)
        assert {what for _, what in found.numbers} >= {"more strain, 0.0001", "less strain, 2e-06"}

        class Above:
            """Says class 1 where the mean strain is above that of the first map."""

            def predict(self, given: Examples) -> Any:
                assert given.maps is not None
                means = np.array([given.maps.image(k).astype(float).mean() for k in range(len(given.maps))])
                return np.stack([means <= edge, means > edge, np.zeros(len(means))], axis=1)

        assert examples.maps is not None
        edge = float(examples.maps.image(0).astype(float).mean())
        called = np.zeros(len(samples), np.float32)
        called[[examples.maps.image(k).astype(float).mean() > edge for k in range(len(samples))]] = 1
        found = self.part.explain(Above(), samples, examples.with_target(called))
        assert found.numbers["accuracy", "maps as they are"].mean() == 1
        assert found.numbers["accuracy", "more strain, 0.0001"][0] == 0


class TestFeatureMap(OfMaps, ExplanationContract):
    part = FeatureMap(model="resnet")


class TestCurveNeighbours(OfMaps, ExplanationContract):
    part = CurveNeighbours(model="resnet", neighbours=(1, 3))


class TestCrystalSites(ExplanationContract):
    part = CrystalSites(model="cgcnn", draws=2)
    representation = CrystalGraph()
    model = AttentiveCrystals(layers=1, heads=2, width=8, hidden=8, radial=21, epochs=1)

    def samples(self) -> Samples:
        """Six crystals."""
        return crystal_samples()


NETWORK = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate")
ON_VECTORS: dict[str, Any] = {"epochs": 6, "batch": 1, "learning_rate": 1e-3}


class TestBranchedResidual(ModelContract):
    part = BranchedResidual(standardise=True, branches="1-1-1-1", **ON_VECTORS)
    dimensionless = NETWORK


class TestElemNet(ModelContract):
    part = ElemNet(standardise=True, **{**ON_VECTORS, "epochs": 30})
    dimensionless = NETWORK


class TestIRNet(ModelContract):
    part = IRNet(standardise=True, **ON_VECTORS)
    dimensionless = NETWORK


class TestElementAttention(ModelContract):
    part = ElementAttention(
        width=16, heads=2, blocks=1, trunk=(16, 8), epochs=40, batch=1, learning_rate=5e-3
    )
    dimensionless = NETWORK

    def examples(self, target: str) -> Examples:
        """Fractions of four elements, and what can be told from them."""
        if target == "classes":
            return in_classes(self.examples("value"))
        found = vector_examples(binary=target == "binary")
        fractions = np.exp(found.features)
        fractions /= fractions.sum(axis=1, keepdims=True)
        told = 2 * fractions[:, 0] + fractions[:, 1]
        return replace(
            found, features=fractions, target=(told > 1).astype(np.float32) if target == "binary" else told
        )


class TestSupportVectors(ModelContract):
    part = SupportVectors(rows=200)
    dimensionless = ("penalty",)


class TestPerceptron(ModelContract):
    part = Perceptron(widths=(32, 16), epochs=30, batch=4, learning_rate=0.01, patience=30)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate")


class TestMessagePassing(ModelContract):
    part = MessagePassing(hidden=12, depth=2, heads=2, epochs=25, batch=8, learning_rate=0.01)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate", "dropout")


class TestPaperCNN(ModelContract):
    part = PaperCNN(epochs=10, batch=8, learning_rate=2e-3, dropout=0.1)
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate", "dropout")


class TestPooledCNN(ModelContract):
    part = PooledCNN(widths=(8, 16), epochs=12, batch=8, learning_rate=0.01, augment="flips-and-shifts")
    dimensionless = ("learning_rate", "weight_decay", "focal_gamma", "lowest_rate", "dropout")


ON_CRYSTALS: dict[str, Any] = {"width": 16, "hidden": 16, "radial": 21, "batch": 8, "learning_rate": 0.01}


class TestGatedCrystals(ModelContract):
    part = GatedCrystals(layers=2, epochs=12, elements="one-hot", **ON_CRYSTALS)
    dimensionless = NETWORK


class TestAttentiveCrystals(ModelContract):
    part = AttentiveCrystals(layers=1, heads=2, epochs=12, **ON_CRYSTALS)
    dimensionless = NETWORK


class TestLineGraphs(ModelContract):
    part = LineGraphs(layers=1, plain_layers=1, angle_neighbours=3, angular=6, epochs=12, **ON_CRYSTALS)
    dimensionless = NETWORK


# ---------------------------------------------------------------- none is missing

CONTRACTS: dict[str, type[PartContract]] = {
    "source": SourceContract,
    "label": LabelContract,
    "representation": RepresentationContract,
    "split": SplitContract,
    "model": ModelContract,
    "explanation": ExplanationContract,
}


NO_MODEL_OF_ITS_OWN = {"ensemble"}
"""averages what others predict"""


def _kinds_under(contract: type[PartContract]) -> set[str]:
    found = set()
    for cls in contract.__subclasses__():
        found |= _kinds_under(cls) | ({cls.part.kind} if cls.__module__ == __name__ else set())
    return found


@pytest.mark.parametrize("stage", [stage for stage in shelf.STAGES if stage != "claim"])
def test_every_part_on_the_shelf_is_under_contract(stage: str) -> None:
    missing = set(shelf.STAGES[stage]) - _kinds_under(CONTRACTS[stage]) - NO_MODEL_OF_ITS_OWN
    name = CONTRACTS[stage].__name__
    assert not missing, f"add a class that inherits {name} to {Path(__file__).name} for: {sorted(missing)}"
