"""``python -m benchmarks.rejudge SWEEP…``: the windows of kept runs, judged by today's rules from
their marks and requests alone. For runs that were recorded before a rule was made or changed."""

from argparse import ArgumentParser
from pathlib import Path

from omegaconf import OmegaConf

from runner.commands.command import end_well
from runner.config.resolve import as_config, resolve
from runner.config.schema import Config
from runner.config.spec import TaskSpec, TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.hints import pure_policy
from runner.proof.checks import INPUTS, Interception
from runner.proof.marks import Marks
from runner.proof.window import Judged, judge
from runner.runs import files
from runner.runs.files import starts_of
from runner.runs.load import load
from runner.runs.run import Run


def main(sweeps: list[str]) -> None:
    for sweep in sweeps:
        for run in load(Path(sweep)):
            found = again(run)
            said = [check.finding for check in found.checks if not check.passed]
            said += [check.finding for check in found.checks if not check.decided]
            verdict = "; ".join(said) or "passed"
            print(f"{Path(sweep).stem} {run.name}: recorded as {run.summary.proof}, now: {verdict}")


def again(run: Run) -> Judged:
    """The judgement of a run from its files."""
    trial = trial_of(run)
    alone = {each.task: each for each in run.proof.alone}
    requests = _requests(run, trial)
    marks = [
        _marks(run, task, alone[task.name], requests[task.name])
        for task in trial.tasks
        if task.name in alone
    ]
    solo = {}
    for task in trial.tasks:
        if task.name not in alone:
            continue
        measured = run.summary.tasks.get(task.name)
        known = measured.solo_ms if measured else None
        solo[task.model] = alone[task.name].device_s if known is None else known / 1e3
    return judge(
        trial,
        lambda of: pure_policy(of, dict(enumerate(of.tasks))),
        [*requests.values()],
        marks,
        run.proof.alone,
        solo,
    )


def trial_of(run: Run) -> TrialSpec:
    """What its configuration asks for."""
    written = files.read_config(run.folder)
    written.pop("defaults", None)
    return resolve(as_config(OmegaConf.merge(OmegaConf.structured(Config), written)))


def _requests(run: Run, trial: TrialSpec) -> dict[str, TaskRequests]:
    table = run.requests()
    starts, rows = starts_of(table), table.to_pandas()
    times = ["scheduled_ns", "started_ns", "completed_ns"]
    found = {}
    for task in trial.tasks:
        mine = rows[rows.task == task.name]
        lead_in = mine[mine.lead_in][times].to_numpy()
        found[task.name] = TaskRequests(
            task.name,
            task.priority,
            int((~mine.warmup & ~mine.extra).sum()),
            *mine[~mine.warmup][times].to_numpy().T,
            lead_in,
            starts[task.name],
            len(lead_in),
        )
    return found


def _marks(run: Run, task: TaskSpec, alone: Interception, requests: TaskRequests) -> Marks:
    """What the queue counted in the window is in the evidence of a check."""
    rows = run.marks().to_pandas()
    mine = rows[rows.task == task.name]
    parts = int(mine.part.max()) + 1
    results = mine.result.dropna().to_numpy()
    second = bool(alone.results) and len(results) > 0 and results[0] == alone.results[1]
    checks = {check.name: check.evidence for check in run.proof.checks}
    counted = checks.get("intercepted in the window", {}).get(task.name, {}).get("counted")
    return Marks(
        task.name,
        parts,
        alone.executed,
        mine.at_ns.to_numpy(),
        results,
        dropped=int((mine.request.iloc[0] + requests.lead_in) * parts + mine.part.iloc[0]),
        turn=(second - (len(requests.spans) - len(results))) % INPUTS,
        counted=counted,
    )


if __name__ == "__main__":
    options = ArgumentParser(prog="python -m benchmarks.rejudge", description=__doc__)
    options.add_argument("sweeps", nargs="+", metavar="SWEEP")
    asked = options.parse_args()
    end_well(lambda: main(asked.sweeps))
