"""The jobs of one run on a batch system: submitted, replaced when they end, cancelled at the end."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from vitrine.campaign.slurm import Site, classes, job_options, security_in
from vitrine.errors import InputError

EVERY = 5.0
"""seconds between two looks at the jobs"""
LOST_AFTER = 30.0
"""seconds without a worker after which a job that had one is taken to have ended"""
IDLE = 60.0
"""seconds without a task after which a job that is one too many is given back"""
GOODBYE = 30.0
"""seconds to wait until the jobs are cancelled"""

_COMMANDS = {"slurm": ("sbatch", "scancel"), "pbs": ("qsub", "qdel"), "sge": ("qsub", "qdel")}


def make_security(folder: Path) -> Any:
    """Keys of one run in a new folder that only the user can read; workers read them there.

    Raises
    ------
    InputError: the program openssl is missing, or the folder cannot be made.
    """
    way_out = "install it, or write `security: none` if nobody else can reach the cluster's network"
    program = shutil.which("openssl")
    if program is None:
        raise InputError(
            f"--slurm: the program openssl, which makes the keys of a run, is not found; {way_out}"
        )
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise InputError(f"--slurm: cannot make {folder}: {error.strerror or error}") from error
    command = [
        program,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "60",
        "-subj",
        "/CN=vitrine",
    ]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"--slurm: openssl makes no keys ({done.stderr.strip()[-200:]}); {way_out}")
    return security_in(folder)


class Jobs:
    """The jobs of a run: submitted on construction, replaced when they end, cancelled by :meth:`close`.

    Parameters
    ----------
    site: what a job is.
    root: folder of the store, which all nodes see; the keys of the run are kept there.
    name: of the run.
    configuration: of Dask's scheduler.

    Raises
    ------
    MissingExtra: dask-jobqueue is not installed. InputError: no such batch system on this machine.
    """

    def __init__(self, site: Site, root: Path, name: str, configuration: dict[str, Any]) -> None:
        import dask

        self.site = site
        self.cluster: Any = None
        self._folder = root / f"tls-{name}"
        self._submitted: list[str | None] = []
        """of each submission: None if it was accepted, else what the batch system says"""
        self._told = ""
        self._seen: dict[str, float] = {}
        """job -> when it last had a worker"""
        self._busy: dict[str, float] = {}
        """job -> when it last had a task, or its first worker"""
        self._looked = 0.0
        self._notes: list[str] = []
        cluster, job = classes(site)
        for command in _COMMANDS[site.system]:
            if shutil.which(command) is None:
                raise InputError(
                    f"--slurm: the command {command} is not found; run vitrine where jobs are submitted"
                )
        options = job_options(site)
        if site.security == "tls":
            options |= {"security": make_security(self._folder)}
        scheduler = {"dashboard": False, "dashboard_address": ":0"}
        if site.scheduler_interface is not None:
            scheduler |= {"interface": site.scheduler_interface}
        try:
            with dask.config.set(configuration):
                self.cluster = cluster(
                    job_cls=_job_class(job, self._submitted),
                    name="vitrine",
                    scheduler_options=scheduler,
                    silence_logs=50,
                    **options,
                )
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise InputError(f"--slurm: {' '.join(str(error).split())}") from error
        self.cluster.scale(jobs=site.jobs or 1 if site.maximum is None else site.minimum)

    @property
    def waiting(self) -> str:
        """What to say while no worker is there."""
        logs = f"; what jobs print is in {self.site.log_directory}" if self.site.log_directory else ""
        return f"waiting for the first job to start{logs}"

    def repair(self) -> list[str]:
        """Submit anew for jobs that have ended (their walltime, a lost node); what there is to say.

        Raises
        ------
        InputError: the batch system refuses the first job.
        """
        if time.monotonic() - self._looked >= EVERY:
            self._looked = time.monotonic()
            self._look_at_submissions()
            self.cluster.loop.add_callback(self._adjust)
        notes, self._notes = self._notes, []
        return notes

    def _look_at_submissions(self) -> None:
        refusals = [words for words in self._submitted if words is not None]
        if not refusals:
            return
        if len(refusals) == len(self._submitted):
            raise InputError(f"--slurm: {_COMMANDS[self.site.system][0]} refuses the job: {refusals[-1]}")
        self._submitted[:] = [None]
        if refusals[-1] != self._told:
            self._notes.append(f"a job was refused: {refusals[-1]}; it will be asked for again")
            self._told = refusals[-1]

    def _adjust(self) -> None:
        """In the loop of the cluster: forget jobs that ended, and have as many as there should be.

        Dask's own adaptive scaling cancels the other workers of a job when it needs one.
        """
        now = time.monotonic()
        for known in (self._seen, self._busy):
            for name in known.keys() - self.cluster.workers.keys():
                del known[name]
        for name, job in self.cluster.workers.items():
            if job.job_id is None:  # refused: as if it had ended
                self._seen.setdefault(name, now)
        self._look_at_workers(now)
        ended = [name for name, seen in self._seen.items() if now - seen > LOST_AFTER]
        for name in ended:
            self._forget(name)
        if ended:
            self._notes.append(f"{len(ended)} job(s) ended; asking for others")
        surplus = len(self.cluster.worker_spec) - self._wanted()
        waiting = [name for name in self.cluster.worker_spec if name not in self._seen]
        idle = [name for name, busy in self._busy.items() if now - busy > IDLE]
        for name in [*waiting, *idle][: max(surplus, 0)]:
            self._forget(name)
        self.cluster.scale(jobs=max(len(self.cluster.worker_spec), self._wanted()))

    def _look_at_workers(self, now: float) -> None:
        for worker in self.cluster.scheduler.workers.values():
            # the workers of job a-1 are named a-1-0, a-1-1, ...; the only worker of a job is named as the job
            for name in (str(worker.name), str(worker.name).rpartition("-")[0]):
                if name in self.cluster.workers:
                    self._seen[name] = now
                    if worker.processing or name not in self._busy:
                        self._busy[name] = now
                    break

    def _wanted(self) -> int:
        if self.site.maximum is None:
            return self.site.jobs or 1
        states = ("waiting", "no-worker", "queued", "processing")
        unfinished = sum(task.state in states for task in self.cluster.scheduler.tasks.values())
        return min(max(-(-unfinished // self.site.workers), self.site.minimum or 0), self.site.maximum)

    def _forget(self, name: str) -> None:
        import asyncio

        job = self.cluster.workers.pop(name, None)
        self.cluster.worker_spec.pop(name, None)
        self._seen.pop(name, None)
        self._busy.pop(name, None)
        if job is not None:  # it may still hold a node
            self.cluster._futures.add(asyncio.ensure_future(job.close()))

    def close(self) -> None:
        """Cancel the jobs and remove the keys."""
        if self.cluster is not None:
            # workers end by themselves when their scheduler is gone
            with suppress(TimeoutError, OSError, RuntimeError):
                self.cluster.close(timeout=GOODBYE)
        shutil.rmtree(self._folder, ignore_errors=True)


def _job_class(base: Any, submitted: list[str | None]) -> Any:
    """The job class of a batch system, which keeps the words of a refusal."""
    from distributed.core import Status
    from distributed.deploy.spec import ProcessInterface

    class Job(base):  # type: ignore[misc]
        async def start(self) -> None:
            try:
                await super().start()
                submitted.append(None)
            except (RuntimeError, ValueError, OSError) as error:
                self.job_id = None
                submitted.append(_refusal(error))
                await ProcessInterface.start(self)  # a job that never gets a worker

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed

    return Job


def _refusal(error: Exception) -> str:
    """What the batch system says, out of what dask-jobqueue says."""
    text = str(error)
    said = text.rpartition("stderr:\n")[2] if "stderr:\n" in text else text
    return " ".join(said.split()) or type(error).__name__
