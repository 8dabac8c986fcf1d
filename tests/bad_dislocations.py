"""Inputs that are wrong: the command that simulates dislocations."""

# ruff: noqa: E501 - a row of the table is a line
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bad_inputs import Bad, Content, Trained
from vitrine.simulate.released_reader import SHIPPED

SIMULATE = "simulate dislocations --workers 0 --width 0.0625 -o x.h5"

STUDY = "run prior-strain --scale smoke --out out --workers 0 --set source.kind=released-dislocations"


def row(flags: str, says: str, files: Mapping[str, Content] | None = None) -> Bad:
    """The last of two equal flags counts, as everywhere."""
    return Bad(f"dislocations: {flags}", f"{SIMULATE} {flags}", says, files or {})


def _foreign(folder: Path, trained: Trained) -> None:
    (folder / "glasses.h5").write_bytes((SHIPPED / "lj65-n200.h5").read_bytes())


DISLOCATIONS = [
    row("--width=-0.1", "width.0: Input should be greater than 0"),
    row("--width 0", "width.0: Input should be greater than 0"),
    row("--width 500", "width: 500 µm; widths are given in µm, from 0.03 to 5"),
    row("--width 0.01", "width: 0.01 µm; widths are given in µm, from 0.03 to 5"),
    row("--width 0.125,0.125", "width: 0.125 stands twice"),
    row("--width 0.125,abc", "width.1: Input should be a valid number ... 'abc'"),
    row("--width 0.12345678", "width: 0.12345678 has more than 6 digits"),
    row("--width ,", "width: Tuple should have at least 1 item"),
    row("--width nan", "width.0: Input should be a finite number"),
    row("--aspect 10", "modes: 40 leave stress on the sides of a crystal 10 times as high as wide; at least 5"),
    row("--annihilation 20", "annihilation: 20 nm is more than half a dipole at its birth, which is 24 nm wide"),
    row("--poisson 0.5", "poisson: Input should be less than 0.5"),
    row("--young 0", "young: Input should be greater than 0"),
    row("--burgers 3", "burgers: Input should be less than or equal to 2"),
    row("--plane-spacing 0.2", "plane_spacing: 0.2 nm is below the Burgers vector, 0.25 nm"),
    row("--plane-spacing 500", "plane_spacing: 500 nm may leave a crystal 0.0625 µm wide without slip planes; at most 70.9 nm"),
    row("--source-density 0", "source_density and surface_density are both 0: nothing could ever slip; give one of them"),
    row("--source-density=-1", "source_density: Input should be greater than or equal to 0"),
    row("--aspect 2.5 --slip-angle 20", "aspect: slip planes 20° from the load need at least 2.95 ... not 2.5"),
    row("--aspect 1", "aspect: Input should be greater than or equal to 2.5"),
    row("--slip-angle 0", "slip_angle: Input should be greater than or equal to 20"),
    row("--annihilation 0.4", "annihilation: 0.4 nm is below 2 Burgers vectors, 0.5 nm"),
    row("--exit-distance 0.3", "exit_distance: 0.3 nm is below core, 0.5 nm"),
    row("--reload 0", "reload.0: Input should be greater than 0"),
    row("--reload=-0.1", "reload.0: Input should be greater than 0"),
    row("--reload 60", "reload.0: Input should be less than or equal to 50"),
    row("--reload 0.001", "reload: 0.001 % cannot be reached in steps of 0.5 ns ... from 0.01 to 50 % can"),
    row("--reload 0.1 --strain-rate 1e7", "frame_step: 0.05 % is less than two steps of loading, 1 %"),
    row("--reload 0.1 --strain-rate 2e5", "prior: 0.1 % cannot be reached in steps of 0.5 ns ... 200000/s ... from 0.2 to 50 % can"),
    row("--prior 1,1", "prior: 1.0 stands twice"),
    row("--prior 1,1.0", "prior: 1.0 stands twice"),
    row("--prior 100", "prior.0: Input should be less than or equal to 50"),
    row("--frame-step 1e-6", "frame_step: 1e-06 % is less than two steps of loading, 0.001 %"),
    row("--slip three", "slip.0: Input should be 'one' or 'two', got 'three'"),
    row("--slip two,two", "slip: 'two' stands twice"),
    row("--pitch 100", "pitch: 100 nm makes 0.625 pixels across a width of 0.0625 µm; from 1 to 4000"),
    row("--pitch 0.001", "pitch: 0.001 nm makes 6.25e+04 pixels across a width of 0.0625 µm; from 1 to 4000"),
    row("--trajectories 0", "trajectories: Input should be greater than or equal to 1"),
    row("--seed=-1", "seed: Input should be greater than or equal to 0"),
    row("--seed 2147483647 --trajectories 2", "seed and trajectories lead to seeds above 2147483647"),
    row("--integrator euler", "integrator: Input should be 'implicit' or 'explicit', got 'euler'"),
    row("--scale big", "--scale: no scale 'big'; known: demo, laptop, paper, smoke"),
    row("--scale smok", "--scale: no scale 'smok'; did you mean 'smoke'?"),
    row("--scale smoke --width 500", "width: 500 µm; widths are given in µm"),
    row("--movie yes", "Got unexpected extra argument(s) (yes)"),
    row("--widht 0.5", "No such option: --widht"),
    row("-o x.png", "--out x.png: the trajectories go into an HDF5 file; name it x.h5"),
    row("-o x.GIF", "--out x.GIF: the trajectories go into an HDF5 file; name it x.h5"),
    row("-o folder", "--out folder is a folder; give the name of a file", {"folder/x": "1"}),
    row("-o mine.h5", "mine.h5 is not an HDF5 file of dislocation trajectories", {"mine.h5": "my notes"}),
    row("-o file/x.h5", "file/x.h5", {"file": "x"}),
    row("--compact 3", "compact: Input should be greater than or equal to 8"),
    row("--compact 64 --movie", "--movie needs the positions of dislocations, which --compact leaves out"),
    row("--compact 64 -o mine.h5", "mine.h5 is not an HDF5 file of maps of dislocation trajectories", {"mine.h5": "my notes"}),
    Bad("released: maps, no such set", f"{STUDY} --set source.name=disloc", "no file and no released set 'disloc'; did you mean 'dislocations'?"),
    Bad("released: maps, another kind of set", f"{STUDY} --set source.name=lj65-n200", "lj65-n200.h5: its format is 'vitrine liquids and glasses 1', this version of vitrine reads 'vitrine strain maps 1'"),
    Bad("released: maps, a width that is not there", f"{STUDY} --set source.width=[2]", "holds 0 trajectories of width 2 µm with one slip system; 1 were asked for (its widths: 0.0625, 0.125, 0.25, 0.5)"),
    Bad("released: maps, more than there are", f"{STUDY} --set source.trajectories=1000", "holds 12 trajectories of width 0.0625 µm with one slip system; 1000 were asked for"),
    Bad("released: maps, a component that is not kept", f"{STUDY} --set source.width=[0.0625] --set source.trajectories=2 --set representation.component=equivalent", "the map holds no strain (equivalent) at any pixel"),
    Bad("dislocations: a file of liquids", f"{SIMULATE} -o glasses.h5", "glasses.h5: its format is 'vitrine liquids and glasses", make=_foreign),
]  # fmt: skip
