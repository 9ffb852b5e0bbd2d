"""Slurm on this machine: munge, a controller, and two slurmd, each a node of one job at a time. As
Debian has it (slurm-wlm, munge), without accounting and without systemd."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.clusters.nodes import (
    NODES,
    START_S,
    Cluster,
    environment_of,
    free_ports,
    need,
    processes,
    wait_for,
)

#: For so long a daemon may be silent until its node counts as lost.
LOST_S = 10
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout={lost}
KillWait=5
MinJobAge=60
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=1 RealMemory=1000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=1 RealMemory=1000
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


class Slurm(Cluster):
    launcher = (
        "hydra/launcher=slurm",
        "hydra.launcher.partition=main",
        "hydra.launcher.cpus_per_task=1",
        "hydra.launcher.timeout_min=10",
        "hydra.launcher.signal_delay_s=30",
    )

    def start(self) -> None:
        need(
            ("munged", "slurmctld", "slurmd", "sbatch", "unshare", "setpriv"),
            ("submitit", "hydra_plugins.hydra_submitit_launcher"),
        )
        folder = self.folder
        controller, n1, n2 = free_ports(3)
        (folder / "state").mkdir()
        for node in NODES:
            (folder / f"spool-{node}").mkdir()
        configuration = folder / "slurm.conf"
        configuration.write_text(
            CONFIGURATION.format(
                host=socket.gethostname(),
                folder=folder,
                controller=controller,
                n1=n1,
                n2=n2,
                lost=LOST_S,
            )
        )
        self.environment["SLURM_CONF"] = str(configuration)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        self.daemon(
            "munged",
            [
                *("munged", "--foreground", "--force", f"--log-file={folder}/munged.own.log"),
                *(f"--{option}={folder}/munge.{name}" for option, name in files.items()),
            ],
        )
        wait_for((folder / "munge.socket").exists, START_S, "munge's socket")
        self.daemon("slurmctld", ["slurmctld", "-D", "-c"])
        for node in NODES:
            self.start_node(node)
        wait_for(self.is_idle, START_S, "two idle nodes")

    def start_node(self, node: str) -> None:
        self.daemon(f"slurmd-{node}", ["slurmd", "-D", "-N", node], node)

    def kill_node(self, node: str) -> None:
        """Its daemon; what runs there goes on."""
        self.kill(f"slurmd-{node}")

    def restore(self) -> None:
        """Nothing runs and all nodes are there."""
        with suppress(subprocess.SubprocessError):
            self.ask("scancel", "--user=root")
        for node in NODES:
            if f"slurmd-{node}" not in self.daemons:
                self.start_node(node)
        wait_for(lambda: not self.jobs() and self.is_idle(), START_S, "an idle cluster")

    def is_idle(self) -> bool:
        with suppress(subprocess.SubprocessError):
            return self.ask("sinfo", "-hN", "-o%T").split() == ["idle", "idle"]
        return False

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and node of what is queued or running, by id, like 5_0."""
        lines = self.ask("squeue", "-h", "-r", "-o%i %T %N").splitlines()
        return {id: (state, *node)[:2] for id, state, *node in map(str.split, lines)}  # type: ignore[misc]

    def running(self) -> dict[str, tuple[str, int]]:
        """Node and process of the jobs that run, by id."""
        found = {}
        for pid in self.pids():
            with suppress(OSError):
                told = environment_of(pid)
                array, task = told.get("SLURM_ARRAY_JOB_ID"), told.get("SLURM_ARRAY_TASK_ID")
                name = f"{array}_{task}" if array else told.get("SLURM_JOB_ID", "")
                found[name] = (told.get("SLURMD_NODENAME", ""), pid)
        return found

    def pids(self) -> list[int]:
        """Of the processes that submitit runs jobs in."""
        return [pid for pid in processes("submitit.core._submit ") if self._is_job(pid)]

    def _is_job(self, pid: int) -> bool:
        with suppress(OSError):
            ours = environment_of(pid).get("SLURM_CONF") == self.environment["SLURM_CONF"]
            return ours and Path(f"/proc/{pid}/exe").readlink().name.startswith("python")
        return False

    def kill_job(self, name: str) -> None:
        self.ask("scancel", name)

    def stop(self) -> None:
        with suppress(subprocess.SubprocessError, OSError, TimeoutError):
            if "slurmctld" in self.daemons:
                self.ask("scancel", "--user=root")
                wait_for(lambda: not self.jobs(), 20, "the end of all jobs")
        for pid in self.pids() if "SLURM_CONF" in self.environment else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().stop()
