# %% [markdown]
# # A first study
# Run it cell by cell in an editor that knows `# %%`, or at once with `python examples/first_study.py`.
# It writes to `runs/first-study`, and needs no network and no LAMMPS.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import vitrine
from vitrine.evaluate.curves import roc_curve
from vitrine.simulate.released import find_released, read_released

OUT = Path("runs/first-study")

# %% [markdown]
# ## Load a study, change it, run it
# A study is data. Settings are dotted keys, as with `--set` on the command line.

# %%
smaller, few = {"evaluation.resamples": 50}, ["mean", "ridge", "random_forest", "mlp"]
study = vitrine.load_study("branched-composition", "smoke", smaller, models=few)
print(study.source.kind, study.representation.kind, list(study.models))
result = vitrine.run(study, OUT / "alloys")

# %% [markdown]
# ## Read numbers and claims
# Every number stands with its interval over groups. A claim holds, does not hold, or cannot be
# said (`None`).

# %%
for row in result.rows:
    if row.track == "grouped" and row.metric == "mae" and "difference" not in row.where:
        print(f"{row.model:<16} {row.value:.4f} [{row.low:.4f}, {row.high:.4f}] {row.unit}")
for claim in result.claims:
    print(claim.holds, claim.claim, claim.ours)

# %% [markdown]
# ## Look at predictions
# Out of fold: no model saw the row that it predicts. A column per model, beside `id`, `group`
# and `truth`.

# %%
alloys = pd.read_parquet(OUT / "alloys" / "predictions" / "grouped.parquet")
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
for name in ("ridge", "random_forest"):
    left.plot(alloys["truth"], alloys[name], ".", markersize=3, label=name)
left.axline((0, 0), slope=1, color="grey", linewidth=0.8)
left.set(xlabel="formation energy [eV/atom]", ylabel="predicted, out of fold [eV/atom]", title="alloys")
left.locator_params(nbins=5)
left.legend()

# %% [markdown]
# ## Predict formulas of your own

# %%
model = vitrine.load_model(OUT / "alloys" / "models" / "random_forest")
print(vitrine.predict(model, pd.DataFrame({"formula": ["Cu3Au", "NiAl", "Pd0.25Ag0.75"]})))

# %% [markdown]
# ## Train on a table of your own
# Any CSV or Parquet file with formulas and a number. Equal compositions stay together in the
# track `grouped`.

# %%
rng = np.random.default_rng(0)
metals = ["Al", "Cu", "Ni", "Fe", "Mg"]
pairs = [(a, b, n) for a in metals for b in metals if a != b for n in (1, 2, 3)]
rows = [(f"{a}{n}{b}", 0.1 * n + rng.normal(0, 0.02)) for a, b, n in pairs]
pd.DataFrame(rows, columns=["formula", "gap"]).to_csv(OUT / "mine.csv", index=False)
own = {**smaller, "source.table": str(OUT / "mine.csv"), "source.target": "gap", "label.unit": "eV"}
mine = vitrine.run(vitrine.load_study("branched-composition", "smoke", own, models=few), OUT / "mine")
errors = [row for row in mine.rows if row.track == "grouped" and row.metric == "mae" and not row.where]
print({row.model: round(row.value, 3) for row in errors})

# %% [markdown]
# ## The same with atoms
# Which atoms of a glass yield first? A specimen that was not trained on stands in for your own
# `ase.io.read("my.extxyz")`. Its arrays `energy` and `stress` are used; without them LAMMPS
# computes both.

# %%
smaller = {"source.specimens": 5, "models.gat.epochs": 2, "models.gradient_boosting.iterations": 20}
study = vitrine.load_study("shear-transformation", "smoke", {**smaller, "evaluation.resamples": 50})
vitrine.run(study, OUT / "glass")
glass = read_released(find_released("cu64zr36-n500"), specimens=1, first=20).items[0]
(predicted,) = vitrine.predict(OUT / "glass" / "models" / "logistic", glass, directions=["xy"])
print(predicted.arrays["probability_xy"].max(), predicted.get_chemical_formula())

atoms = pd.read_parquet(OUT / "glass" / "predictions" / "grouped.parquet")
for name in ("chance", "logistic", "gradient_boosting"):
    curve = roc_curve(atoms["truth"], atoms[name], atoms["group"])
    right.plot(curve.x, curve.y, label=name)
right.set(xlabel="false-positive rate", ylabel="true-positive rate", title="glass, first event")
right.legend()
figure.savefig(OUT / "first-study.png", dpi=110)
