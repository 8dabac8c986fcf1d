"""One network trained by several processes that share each batch: Lightning's DDP.

The processes are children of this one (``python -m vitrine.learn.parallel``) and not started by
Lightning, which would run the user's script again. This process trains nothing: it watches them,
so that a lost one is an error in words and not a hang. Gradients are averaged by NCCL on GPUs and
by gloo elsewhere.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrine.errors import InputError, RunError
from vitrine.processes import SINGLE_THREAD, die_with_parent
from vitrine.samples import Examples

if TYPE_CHECKING:
    from torch import device, nn

    from vitrine.learn.network_part import NetworkPart
    from vitrine.tasks import Progress

TIMEOUT = 600.0
"""seconds that a process waits for the others before it gives up"""
LOOK = 0.1
"""seconds between two looks at the processes"""
TELL = 0.5
"""seconds between two words of progress"""
ORDERS, START, TRAINED, FACTS, PROGRESS = (
    "orders.json", "start.safetensors", "trained.safetensors", "facts.json", "progress"
)  # fmt: skip


@dataclass(frozen=True)
class Rank:
    """Which of how many processes that train together."""

    index: int
    count: int

    @property
    def accelerator(self) -> str:
        """For Lightning: several processes without a GPU each stay on the CPU."""
        return "auto" if self.count == 1 else "cuda" if _gpus() >= self.count else "cpu"

    def strategy(self) -> Any:
        """For Lightning."""
        if self.count == 1:
            return "auto"
        from lightning.pytorch.strategies import DDPStrategy

        # a parameter that a network leaves unused has no gradient then either, as in one process
        return DDPStrategy(find_unused_parameters=True)

    def name_of(self, root: device) -> str:
        """The device in words: ``cpu``, ``NVIDIA H200``, ``2 x cpu``."""
        import torch

        name = torch.cuda.get_device_name(root) if root.type == "cuda" else root.type
        return name if self.count == 1 else f"{self.count} x {name}"


ALONE = Rank(0, 1)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def train_in_parallel(
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    part: NetworkPart,
    *,
    seed: int,
    progress: Progress,
    unfinished: Path | None,
) -> dict[str, Any]:
    """As :func:`vitrine.learn.training.train_network`, in ``part.devices`` processes.

    Each batch is split by samples over the processes and their losses are weighted by rows, so the
    result is that of one process but for rounding, for networks without dropout; statistics of
    batch normalisation are those of each process's share.

    Raises
    ------
    InputError: fewer GPUs than devices.
    """
    count = part.devices or 1
    if 0 < _gpus() < count:
        raise InputError(
            f"devices is {count}, but this process sees {_gpus()} GPU(s); take as many, or run with fewer "
            "workers: GPUs are dealt out to workers evenly"
        )
    with tempfile.TemporaryDirectory(prefix="vitrine-ranks-") as scratch:
        folder = Path(scratch)
        _write_orders(folder, network, train, validation, part, count, seed, unfinished)
        _watch(folder, count, progress)
        return _read_results(folder, network)


def _write_orders(
    folder: Path,
    network: nn.Module,
    train: Examples,
    validation: Examples | None,
    part: NetworkPart,
    count: int,
    seed: int,
    unfinished: Path | None,
) -> None:
    from safetensors.torch import save_file

    for name, examples in (("train", train), ("validation", validation)):
        if examples is not None:
            (folder / name).mkdir()
            examples.save(folder / name)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / START)
    orders = {
        "module": type(part).__module__,
        "part": type(part).__qualname__,
        "settings": part.model_dump(mode="json"),
        "inputs": part.inputs_of(train),
        "count": count,
        "seed": seed,
        "unfinished": None if unfinished is None else str(unfinished.absolute()),
        "timeout": TIMEOUT,
    }
    if orders["module"] == "__main__":
        raise InputError(f"{orders['part']} is defined in a script; put it into a module to use devices > 1")
    (folder / ORDERS).write_text(json.dumps(orders), encoding="utf-8")


def _watch(folder: Path, count: int, progress: Progress) -> None:
    """Start the processes and wait for all of them; the loss of one ends the others."""
    processes: list[subprocess.Popen[str]] = []
    try:
        for index in range(count):
            processes.append(_start(folder, index))
        told = 0.0
        while True:
            codes = [process.poll() for process in processes]
            if any(codes):
                time.sleep(5 * LOOK)  # the others may fail for lack of the one that failed first
                raise RunError(_words(folder, [process.poll() for process in processes]))
            if None not in codes:
                return
            done = _progress(folder)
            if done > told:
                progress(done)
                told = done
            time.sleep(LOOK)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _start(folder: Path, index: int) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("NODE_RANK", "GROUP_RANK")}
    environment |= SINGLE_THREAD | {"LOCAL_RANK": str(index)}
    if Path("/sys/class/net/lo").exists():
        environment.setdefault("GLOO_SOCKET_IFNAME", "lo")
    with (folder / f"{index}.err").open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vitrine.learn.parallel"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            text=True,
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(json.dumps({"folder": str(folder), "index": index, "path": sys.path}) + "\n")
    return process


def _words(folder: Path, codes: Sequence[int | None]) -> str:
    """Which process failed first, and how."""
    failed = {index: code for index, code in enumerate(codes) if code}
    killed = {index: code for index, code in failed.items() if code == -signal.SIGKILL}
    index, code = next(iter((killed or failed).items()))
    of = f"process {index + 1} of {len(codes)} that trained together"
    if killed:
        return f"{of} was killed (SIGKILL; out of memory?)"
    lines = (folder / f"{index}.err").read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    if "timeout" in last.lower() or "timed out" in last.lower():
        return f"{of} waited {TIMEOUT:g} s for another that does not answer: {last}"
    return f"{of} failed (exit code {code}): {last}"


def _progress(folder: Path) -> float:
    try:
        return float((folder / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0


def _read_results(folder: Path, network: nn.Module) -> dict[str, Any]:
    from safetensors.torch import load_file

    network.load_state_dict(load_file(folder / TRAINED))
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return facts


def _teller(folder: Path) -> Progress:
    last = time.monotonic()

    def tell(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL:
            temporary = folder / f"{PROGRESS}.part"
            temporary.write_text(f"{fraction:.4f}", encoding="utf-8")
            temporary.replace(folder / PROGRESS)
            last = time.monotonic()

    return tell


def train_rank(folder: Path, index: int) -> None:
    """What one of the processes does; the first writes the result."""
    from safetensors.torch import load_file, save_file

    from vitrine.learn.training import train_as

    orders = json.loads((folder / ORDERS).read_text(encoding="utf-8"))
    rank = Rank(index, int(orders["count"]))
    part_class = getattr(importlib.import_module(orders["module"]), orders["part"])
    part: NetworkPart = part_class.model_validate(orders["settings"])
    network = part.network(**{name: int(count) for name, count in orders["inputs"].items()})
    network.load_state_dict(load_file(folder / START))
    train = Examples.load(folder / "train")
    validation = Examples.load(folder / "validation") if (folder / "validation").exists() else None
    unfinished = None if orders["unfinished"] is None else Path(orders["unfinished"])
    _join(folder, rank, orders)
    progress = _teller(folder) if index == 0 else lambda fraction: None
    facts = train_as(rank, network, train, validation, part, int(orders["seed"]), progress, unfinished)
    if index == 0:
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, folder / TRAINED)
        (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _join(folder: Path, rank: Rank, orders: Mapping[str, Any]) -> None:
    """Meet the other processes through a file: no port that others could take or listen at."""
    import torch

    torch.manual_seed(int(orders["seed"]) + rank.index)
    cuda = rank.accelerator == "cuda"
    if cuda:
        torch.cuda.set_device(rank.index)
    torch.distributed.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank.index,
        world_size=rank.count,
        timeout=timedelta(seconds=float(orders["timeout"])),
    )


def main() -> None:
    """Read ``{"folder": ..., "index": ..., "path": sys.path of the parent}`` and train."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    die_with_parent()
    orders = json.loads(sys.stdin.readline())
    sys.path[:] = orders["path"]
    train_rank(Path(orders["folder"]), int(orders["index"]))
    sys.stderr.flush()
    os._exit(0)  # no goodbyes: another process may have left the group already


if __name__ == "__main__":
    main()
