"""Ray on this machine: a head that runs nothing, and two nodes of one job at a time. All of it
listens on loopback addresses alone."""

import os
import signal
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

#: For 127.0.0.1 Ray would take an address that others reach.
ADDRESSES = {"head": "127.0.0.2", "n1": "127.0.0.3", "n2": "127.0.0.4"}


class Ray(Cluster):
    launcher: tuple[str, ...] = ("hydra/launcher=ray",)

    def start(self) -> None:
        need(("ray", "unshare", "setpriv"), ("ray", "hydra_plugins.hydra_ray_launcher"))
        self.environment |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        (port,) = free_ports(1)
        self.address = f"{ADDRESSES['head']}:{port}"
        self.launcher = (
            *type(self).launcher,
            f"hydra.launcher.ray.init.address='{self.address}'",
            f"+hydra.launcher.ray.init._node_ip_address={ADDRESSES['head']}",
        )
        self._start(
            "head",
            "--head",
            f"--port={port}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={self.folder}/t",
        )
        wait_for(self.nodes, START_S, "Ray's head")
        for node in NODES:
            self.start_node(node)

    def _start(self, name: str, *options: str, node: str = "") -> None:
        common = ("--block", f"--node-ip-address={ADDRESSES[name]}")
        self.daemon(name, ["ray", "start", *common, "--disable-usage-stats", *options], node)

    def start_node(self, node: str) -> None:
        # One after the other: they share a folder, and would take each other's ports.
        before = self.nodes()
        self._start(node, f"--address={self.address}", "--num-cpus=1", node=node)
        wait_for(lambda: self.nodes() == before + 1, START_S, f"node {node}")

    def kill_node(self, node: str) -> None:
        """Its daemon, with which all that runs there ends."""
        for pid in processes("raylet/raylet "):
            if os.getpgid(pid) == self.daemons[node].pid:
                os.kill(pid, signal.SIGKILL)
        self.end(node)

    def restore(self) -> None:
        """Nothing runs and all nodes are there."""
        for node in NODES:
            if node not in self.daemons:
                wait_for(lambda: self.nodes() == len(self.daemons), START_S, "the end of a node")
                self.start_node(node)
        wait_for(lambda: not self.running() and self.is_idle(), START_S, "an idle cluster")

    def is_idle(self) -> bool:
        return self.nodes() == 1 + len(NODES)

    def nodes(self) -> int:
        """How many there are, with the head."""
        import ray

        with suppress(Exception):
            state = ray._private.state.GlobalState()
            options = ray._raylet.GcsClientOptions.create(self.address, None, True, False)
            state._initialize_global_state(options)
            return sum(each["Alive"] for each in state.node_table())
        return 0

    def running(self) -> dict[str, tuple[str, int]]:
        """Node and process of the jobs that run, by process."""
        found = {}
        for pid in processes("ray::_run_job"):
            with suppress(OSError):
                if environment_of(pid).get("RAY_RAYLET_PID"):
                    found[str(pid)] = (self._node_of(pid), pid)
        return found

    def _node_of(self, pid: int) -> str:
        space = Path(f"/proc/{pid}/ns/uts").stat().st_ino
        for node in NODES:
            daemon = self.daemons.get(node)
            if daemon and Path(f"/proc/{daemon.pid}/ns/uts").stat().st_ino == space:
                return node
        return ""

    def kill_job(self, name: str) -> None:
        os.kill(int(name), signal.SIGTERM)
