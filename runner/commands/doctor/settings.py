"""The GPU's settings that disturb a measurement, and what holds its clock down now. What a driver
does not tell is left out."""

from collections.abc import Iterator

from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.platforms.device import GpuSample, GpuSettings
from runner.platforms.gpu.mps import unavailable

#: The vendors' commands for GPU {gpu}; {watts} is the power limit that it came with.
COMMANDS = {
    "nvidia": {
        "persistence": "sudo nvidia-smi -i {gpu} -pm 1",
        "power": "sudo nvidia-smi -i {gpu} -pl {watts:.0f}",
        "clocks": "sudo nvidia-smi -i {gpu} -rac",
        "compute": "sudo nvidia-smi -i {gpu} -c DEFAULT",
        "split": "sudo nvidia-smi -i {gpu} -mig 0",
    },
    "amd": {
        "persistence": "",
        "power": "sudo amd-smi set -g {gpu} --power-cap {watts:.0f}",
        "clocks": "sudo amd-smi reset -g {gpu} --clocks",
        "compute": "",
        "split": "sudo amd-smi set -g {gpu} --compute-partition SPX",
    },
}


def settings(machine: Machine) -> list[Line]:
    if machine.platform is None or machine.gpu is None:
        return []
    found = machine.gpu.settings()
    watts = found.default_power_limit_w or 0.0
    commands = {
        name: command.format(gpu=machine.device, watts=watts)
        for name, command in COMMANDS[machine.platform.vendor.key].items()
    }
    shares_by_mps = machine.platform.mps_runs() or not unavailable()
    return [
        *_speed(found, commands),
        *_sharing(found, commands, shares_by_mps),
        *_now(found, machine.gpu.sample()),
    ]


def _speed(found: GpuSettings, commands: dict[str, str]) -> Iterator[Line]:
    """What makes the GPU slower than it is, or of another speed each time."""
    if found.persistence_mode:
        yield ok("persistence mode", "on")
    elif found.persistence_mode is not None:
        said = "off: with no process on it the GPU forgets its settings, and the next starts slowly"
        yield warning("persistence mode", said, commands["persistence"])
    limit, default = found.power_limit_w, found.default_power_limit_w
    if limit is not None and default is not None and limit < default:
        said = f"{limit:.0f} W, and {default:.0f} W is its default"
        yield warning("power limit", said, commands["power"])
    elif limit is not None:
        yield ok("power limit", f"{limit:.0f} W")
    highest, set_to = found.max_sm_clock_mhz, found.applications_sm_clock_mhz
    if found.clocks_locked:
        yield warning("clocks", "locked", commands["clocks"])
    elif highest is not None and set_to is not None and set_to < highest:
        remedy = f"{commands['clocks']} (no change: it is this GPU's default, go on)"
        said = f"applications clock {set_to} MHz, and {highest} MHz is possible"
        yield warning("clocks", said, remedy)
    elif highest is not None:
        yield ok("clocks", f"up to {highest} MHz")


def _sharing(found: GpuSettings, commands: dict[str, str], shares_by_mps: bool) -> Iterator[Line]:
    """Who may use the GPU, and how much of it."""
    name, mode, command = "compute mode", found.compute_mode, commands["compute"]
    if mode == "prohibited":
        yield error(name, "prohibited: no process may use this GPU", command)
    elif mode == "exclusive" and not shares_by_mps:
        said = "exclusive: one process alone, so placement processes cannot run"
        yield warning(name, said, f"{command}, or start the MPS daemon")
    elif mode is not None:
        yield ok(name, mode)
    if found.mig_mode:
        said = "on: a trial gets one part of the GPU, and others may work on the rest"
        yield warning("partitions (MIG)", said, commands["split"])
    elif found.mig_mode is not None:
        yield ok("partitions (MIG)", "off: the whole GPU")


def _now(found: GpuSettings, now: GpuSample) -> Iterator[Line]:
    if found.ecc is not None:
        yield ok("ECC", "on" if found.ecc else "off")
    if now.throttle:
        remedy = "see to cooling and power, and wait until the GPU has cooled down"
        yield warning("throttling", f"now: {', '.join(now.throttle)}", remedy, **vars(now))
    elif now.throttle is not None:
        heat = "" if now.temperature_c is None else f", {now.temperature_c} °C"
        yield ok("throttling", f"not now{heat}", **vars(now))
