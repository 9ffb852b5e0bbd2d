"""``python -m runner --help``: what there is to choose from, read from conf/ without Hydra (which
takes half a second to list as much)."""

from pathlib import Path

TEXT = """\
python -m runner [key=value ...] [-m key=value,value ...]

Runs a task set under an arm of the scheduler, proves that the scheduling took effect, and logs the
run. Every key can be set and swept:

  python -m runner task_set=smoke
  python -m runner task_set=six_bert xsched.level=block -m xsched.threshold=4,8,16
  python -m runner task_set=urgent_vs_background -m arm=solo,native,xsched

Groups (group=choice; the values of a choice are group.key=value)

{groups}

Keys of a task: task_set.tasks.NAME.priority, .requests, .model.KEY, .arrival.KEY, .xsched.KEY
All keys, ranges and meanings: docs/reference.md

  --cfg job            print the composed configuration and stop
  --config-dir DIR     find more choices in DIR
  --hydra-help         Hydra's own options
  --version            print the version and stop

Other commands, each with a --help of its own: python -m runner.compare tells the arms of a sweep
apart, runner.report makes a page of it, runner.replay runs a logged run again, runner.export packs
a sweep for others, runner.log logs what could not be logged, runner.doctor says what this machine
can run.

Exit codes: 0 all runs finished, 1 a run failed or is not logged, 2 the input was wrong, 130
interrupted.
"""


def text(conf: Path) -> str:
    """The help page, with the choices of every group found below `conf`."""
    groups = {
        folder.name: ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        for folder in sorted(conf.iterdir())
        if folder.is_dir()
    }
    return TEXT.format(
        groups="\n".join(f"  {name:9} {choices}" for name, choices in groups.items())
    )
