"""The GPU's settings that disturb a measurement, and what holds its clock down now. What a driver
does not tell is left out."""

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
    if machine.platform is None or isinstance(machine.gpu, str):
        return []
    found = machine.gpu.settings()
    watts = found.default_power_limit_w or 0.0
    commands = {
        name: command.format(gpu=machine.device, watts=watts)
        for name, command in COMMANDS[machine.platform.vendor.key].items()
    }
    shares_by_mps = machine.platform.mps_runs() or not unavailable()
    lines = [
        _persistence(found, commands["persistence"]),
        _power(found, commands["power"]),
        _clocks(found, commands["clocks"]),
        _compute_mode(found, commands["compute"], shares_by_mps),
        _split(found, commands["split"]),
        _ecc(found),
        _throttling(machine.gpu.sample()),
    ]
    return [line for line in lines if line is not None]


def _persistence(found: GpuSettings, command: str) -> Line | None:
    if found.persistence_mode is None:
        return None
    if found.persistence_mode:
        return ok("persistence mode", "on")
    said = "off: with no process on it the GPU forgets its settings, and the next starts slowly"
    return warning("persistence mode", said, command)


def _power(found: GpuSettings, command: str) -> Line | None:
    limit, default = found.power_limit_w, found.default_power_limit_w
    if limit is None:
        return None
    if default is not None and limit < default:
        return warning("power limit", f"{limit:.0f} W, and {default:.0f} W is its default", command)
    return ok("power limit", f"{limit:.0f} W")


def _clocks(found: GpuSettings, command: str) -> Line | None:
    highest, set_to = found.max_sm_clock_mhz, found.applications_sm_clock_mhz
    if found.clocks_locked:
        return warning("clocks", "locked", command)
    if highest is None:
        return None
    if set_to is not None and set_to < highest:
        said = f"applications clock {set_to} MHz, and {highest} MHz is possible"
        return warning("clocks", said, f"{command} (no change: it is this GPU's default, go on)")
    return ok("clocks", f"up to {highest} MHz")


def _compute_mode(found: GpuSettings, command: str, shares_by_mps: bool) -> Line | None:
    mode = found.compute_mode
    if mode is None:
        return None
    if mode == "prohibited":
        return error("compute mode", "prohibited: no process may use this GPU", command)
    if mode == "exclusive" and not shares_by_mps:
        said = "exclusive: one process alone, so placement processes cannot run"
        return warning("compute mode", said, f"{command}, or start the MPS daemon")
    return ok("compute mode", mode)


def _split(found: GpuSettings, command: str) -> Line | None:
    if found.mig_mode is None:
        return None
    if found.mig_mode:
        said = "on: a trial gets one part of the GPU, and others may work on the rest"
        return warning("partitions (MIG)", said, command)
    return ok("partitions (MIG)", "off: the whole GPU")


def _ecc(found: GpuSettings) -> Line | None:
    if found.ecc is None:
        return None
    return ok("ECC", "on" if found.ecc else "off")


def _throttling(now: GpuSample) -> Line | None:
    if now.throttle is None:
        return None
    if now.throttle:
        remedy = "see to cooling and power, and wait until the GPU has cooled down"
        return warning("throttling", f"now: {', '.join(now.throttle)}", remedy, **vars(now))
    heat = "" if now.temperature_c is None else f", {now.temperature_c} °C"
    return ok("throttling", f"not now{heat}", **vars(now))
