"""The jobs of one run on a batch system: submitted, replaced when they end, cancelled at the end."""

from __future__ import annotations

import re
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
        self._refused: list[str] = []
        self._seen: dict[str, float] = {}
        """job -> when it last had a worker"""
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
                    job_cls=_job_class(job, self._refused),
                    name="vitrine",
                    scheduler_options=scheduler,
                    silence_logs=50,
                    **options,
                )
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise InputError(f"--slurm: {' '.join(str(error).split())}") from error
        if site.maximum is not None:
            self.cluster.adapt(minimum_jobs=site.minimum or 0, maximum_jobs=site.maximum)
        else:
            self.cluster.scale(jobs=site.jobs or 1)

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
        now = time.monotonic()
        if now - self._looked < EVERY:
            return []
        self._looked = now
        if self._refused:
            return [self._take_refusal(now)]
        present = {str(worker["name"]) for worker in self.cluster.scheduler_info["workers"].values()}
        ended = []
        for job in list(self.cluster.workers):
            if any(re.fullmatch(rf"{re.escape(str(job))}(-\d+)?", name) for name in present):
                self._seen[job] = now
            elif now - self._seen.get(job, now) > LOST_AFTER:
                ended.append(job)
        if ended or self.site.maximum is None:
            self.cluster.loop.add_callback(self._replace, ended)
        return [f"{len(ended)} job(s) ended; asking for others"] if ended else []

    def _take_refusal(self, now: float) -> str:
        words = self._refused[-1]
        self._refused.clear()
        jobs = dict(self.cluster.workers)
        if all(job.job_id is None for job in jobs.values()):
            raise InputError(f"--slurm: {_COMMANDS[self.site.system][0]} refuses the job: {words}")
        for name, job in jobs.items():
            if job.job_id is None:
                self._seen.setdefault(name, now)  # as if it had ended: it will be asked for again
        return f"a job was refused: {words}; it will be asked for again"

    def _replace(self, ended: list[str]) -> None:
        """In the loop of the cluster: forget jobs, and ask for as many as there should be."""
        import asyncio

        for name in ended:
            job = self.cluster.workers.pop(name, None)
            self.cluster.worker_spec.pop(name, None)
            self._seen.pop(name, None)
            if job is not None:  # it may still hold a node, without a worker
                self.cluster._futures.add(asyncio.ensure_future(job.close()))
        if self.site.maximum is None:
            self.cluster.scale(jobs=self.site.jobs or 1)

    def close(self) -> None:
        """Cancel the jobs and remove the keys."""
        if self.cluster is not None:
            # workers end by themselves when their scheduler is gone
            with suppress(TimeoutError, OSError, RuntimeError):
                self.cluster.close(timeout=GOODBYE)
        shutil.rmtree(self._folder, ignore_errors=True)


def _job_class(base: Any, refused: list[str]) -> Any:
    """The job class of a batch system, which keeps the words of a refusal."""
    from distributed.core import Status
    from distributed.deploy.spec import ProcessInterface

    class Job(base):  # type: ignore[misc]
        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, ValueError, OSError) as error:
                self.job_id = None
                refused.append(_refusal(error))
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
