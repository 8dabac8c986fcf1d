"""Workers as jobs of a batch system (Slurm, PBS, SGE), by way of dask-jobqueue."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from vitrine.campaign.gpus import RESOURCE
from vitrine.errors import InputError, MissingExtra
from vitrine.processes import SINGLE_THREAD

SHORTEST = 120
"""seconds of walltime, at least: a worker ends a minute before its job"""

_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)")
_MEMORY = re.compile(r"\d+(?:\.\d+)? ?[kMGT]i?B")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Site(BaseModel):
    """What ``--slurm FILE`` holds: the jobs of a site. Keys have the names that dask-jobqueue gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    system: Literal["slurm", "pbs", "sge"] = Field("slurm", description="batch system")
    queue: str | None = Field(None, description="partition (Slurm) or queue")
    account: str | None = Field(None, description="account (Slurm, PBS) or project (SGE) that pays")
    cores: int = Field(1, ge=1, description="cores of a job")
    memory: str = Field(description="memory of a job, such as 16GB")
    walltime: str = Field(description="of a job, HH:MM:SS or D-HH:MM:SS; workers end shortly before")
    processes: int | None = Field(None, ge=1, description="workers in a job [one per core; one with GPUs]")
    gpus: int = Field(0, ge=0, description="GPUs of a job, for its one worker")
    gpu_type: str | None = Field(None, description="as the site names it, such as a100")
    jobs: int | None = Field(None, ge=1, description="number of jobs, kept up [1]")
    minimum: int | None = Field(None, ge=0, description="jobs, at least; with maximum, in place of jobs")
    maximum: int | None = Field(None, ge=1, description="jobs, at most: as many as there is work for")
    job_name: str = Field("vitrine", pattern=r"^[A-Za-z0-9_.-]+$", description="name in the queue")
    job_script_prologue: tuple[str, ...] = Field((), description="lines of shell before the worker starts")
    environment: dict[str, str | int | float] = Field(
        default_factory=dict, description="variables for the workers"
    )
    job_extra_directives: tuple[str, ...] = Field((), description="more options of the batch system")
    job_directives_skip: tuple[str, ...] = Field((), description="lines to leave out: those that hold this")
    resource_spec: str | None = Field(None, description="resources as PBS or SGE want them (-l)")
    worker_extra_args: tuple[str, ...] = Field((), description="more options of `dask worker`")
    log_directory: str | None = Field(None, description="folder of what jobs print, seen by all nodes")
    local_directory: str | None = Field(None, description="fast folder of each node")
    interface: str | None = Field(None, description="network interface of the nodes, such as ib0")
    scheduler_interface: str | None = Field(None, description="of this machine, if it is another one")
    python: str | None = Field(None, description="Python of the nodes [the one of this command]")
    shebang: str = Field("#!/usr/bin/env bash", pattern=r"^#!", description="first line of the job script")
    death_timeout: int = Field(120, ge=10, description="seconds without a scheduler that end a worker")
    security: Literal["tls", "none"] = Field("tls", description="encrypt, and let nobody else in")

    @field_validator("walltime", mode="before")
    @classmethod
    def _check_walltime(cls, value: Any) -> Any:
        if not isinstance(value, str) or not _WALLTIME.fullmatch(value):
            raise ValueError("expected HH:MM:SS or D-HH:MM:SS, such as 12:00:00")
        if seconds_of(value) < SHORTEST:
            raise ValueError(f"expected {SHORTEST} s or more")
        return value

    @field_validator("memory")
    @classmethod
    def _check_memory(cls, value: str) -> str:
        if not _MEMORY.fullmatch(value):
            raise ValueError("expected a number with kB, MB, GB or TB, such as 16GB")
        return value

    @field_validator("environment")
    @classmethod
    def _check_environment(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a variable")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.jobs is not None and (self.minimum is not None or self.maximum is not None):
            raise ValueError("jobs says how many, minimum and maximum let it vary: give one of both")
        if self.minimum is not None and self.maximum is None:
            raise ValueError("minimum needs maximum")
        if self.maximum is not None and self.maximum < (self.minimum or 0):
            raise ValueError("maximum is below minimum")
        if self.gpus and self.workers > 1:
            raise ValueError("a job with GPUs has one worker; for several, ask for more jobs")
        if self.workers > self.cores:
            raise ValueError(f"processes is {self.workers}, but a job has {self.cores} core(s)")
        if self.gpus and self.system == "sge":
            raise ValueError("SGE sites name GPUs in their own way: use resource_spec in place of gpus")
        if self.gpu_type is not None and not self.gpus:
            raise ValueError("gpu_type needs gpus")
        if self.resource_spec is not None and self.system == "slurm":
            raise ValueError("Slurm has no resource_spec; use job_extra_directives")
        return self

    @property
    def workers(self) -> int:
        """Workers in a job."""
        return self.processes or (1 if self.gpus else self.cores)


def seconds_of(walltime: str) -> int:
    """Seconds of HH:MM:SS or D-HH:MM:SS.

    >>> seconds_of("1-02:00:30")
    93630
    """
    match = _WALLTIME.fullmatch(walltime)
    assert match is not None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds


def lifetime(walltime: int) -> tuple[int, int]:
    """Lifetime of a worker and how much it may vary [s], below the walltime of its job [s].

    A tenth of the walltime is kept back, a minute at least and a quarter of an hour at most. Workers
    end within the first half of that, not all at once.

    >>> lifetime(3600), lifetime(48 * 3600)
    ((3240, 180), (171900, 450))
    """
    margin = min(max(walltime // 10, 60), 900)
    return walltime - margin, margin // 2


def job_options(site: Site) -> dict[str, Any]:
    """Arguments for a job of dask-jobqueue but for scheduler, name and security."""
    life, stagger = lifetime(seconds_of(site.walltime))
    arguments = ["--lifetime", f"{life}s", "--lifetime-stagger", f"{stagger}s", "--no-dashboard"]
    if site.gpus:
        arguments += ["--resources", f"{RESOURCE}=1"]
    exports: dict[str, Any] = SINGLE_THREAD | {"MALLOC_TRIM_THRESHOLD_": "65536"} | site.environment
    options: dict[str, Any] = {
        "cores": site.workers,  # of the workers: one thread each
        "processes": site.workers,
        "memory": site.memory,
        "walltime": site.walltime,
        "queue": site.queue,
        "job_name": site.job_name,
        "job_script_prologue": [
            *site.job_script_prologue,
            *(f"export {name}={shlex.quote(str(value))}" for name, value in exports.items()),
        ],
        "job_extra_directives": list(site.job_extra_directives),
        "job_directives_skip": list(site.job_directives_skip),
        "worker_extra_args": [*arguments, *site.worker_extra_args],
        "log_directory": site.log_directory and str(Path(site.log_directory).expanduser().absolute()),
        "local_directory": site.local_directory,
        "interface": site.interface,
        "python": site.python,
        "shebang": site.shebang,
        "death_timeout": site.death_timeout,
        "nanny": True,
    }
    return options | _of_the_system(site)


def _of_the_system(site: Site) -> dict[str, Any]:
    """What only one batch system understands."""
    kind = "gpu" if site.gpu_type is None else f"gpu:{site.gpu_type}"
    if site.system == "slurm":
        gpus = [f"--gres={kind}:{site.gpus}"] if site.gpus else []
        return {
            "account": site.account,
            "job_cpu": site.cores,
            "job_extra_directives": [*gpus, *site.job_extra_directives],
        }
    if site.system == "pbs":
        ngpus = f":ngpus={site.gpus}" + (f":gpu_type={site.gpu_type}" if site.gpu_type else "")
        memory = site.memory.replace(" ", "").replace("iB", "B").lower()
        whole = f"select=1:ncpus={site.cores}:mem={memory}{ngpus if site.gpus else ''}"
        return {"account": site.account, "resource_spec": site.resource_spec or whole}
    return {"project": site.account, "resource_spec": site.resource_spec}


def classes(site: Site) -> tuple[Any, Any]:
    """Cluster and job class of dask-jobqueue."""
    try:
        from dask_jobqueue import pbs, sge, slurm
    except ImportError as error:
        raise MissingExtra("dask_jobqueue", "slurm") from error
    return {
        "slurm": (slurm.SLURMCluster, slurm.SLURMJob),
        "pbs": (pbs.PBSCluster, pbs.PBSJob),
        "sge": (sge.SGECluster, sge.SGEJob),
    }[site.system]


def job_script(site: Site) -> str:
    """The script of a job as it will be submitted, but for the addresses in angle brackets.

    Raises
    ------
    MissingExtra: dask-jobqueue is not installed. InputError: the log folder cannot be made.
    """
    _, job = classes(site)
    options = job_options(site)
    scheduler = "tcp://<this-machine>:<port>"
    if site.security == "tls":
        options |= {"security": security_in(Path("<store>/tls-<id>")), "protocol": "tls://"}
        scheduler = scheduler.replace("tcp", "tls")
    try:
        return str(job(scheduler, name=f"{site.job_name}-0", **options).job_script())
    except OSError as error:
        raise InputError(f"log_directory: {error.strerror or error} ({error.filename})") from error


def security_in(folder: Path) -> Any:
    """Dask's security with the keys in this folder, which need not be there yet."""
    from distributed.security import Security

    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    files = {f"tls_{role}_key": key for role in ("client", "scheduler", "worker")}
    files |= {f"tls_{role}_cert": certificate for role in ("client", "scheduler", "worker")}
    return Security(require_encryption=True, tls_ca_file=certificate, **files)
