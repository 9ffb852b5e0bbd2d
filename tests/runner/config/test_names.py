import pytest

from runner.config.errors import UserError
from runner.config.names import check_names
from runner.config.schema import Config, TaskConfig


def named(task_set: str = "x", task: str = "a", experiment: str | None = None) -> Config:
    config = Config()
    config.task_set.name, config.tracking.experiment = task_set, experiment
    config.task_set.tasks = {task: TaskConfig()}
    return config


@pytest.mark.parametrize("name", ["1", "high-1", "Prioritäten", "a b", "v1.2", "_", "a" * 100])
def test_plain_names_are_taken(name: str) -> None:
    check_names(named(name, name, name))


def test_what_becomes_a_folder_alone_may_have_more_marks() -> None:
    check_names(named("a+b=c", experiment="+a"))
    with pytest.raises(UserError, match=r"task_set\.tasks=a\+b: not a plain name"):
        check_names(named(task="a+b"))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "a/b", "a\\b", " a", "a ", "a\n", "a\0", "${a}", "a\udc80", "a" * 101],
)
def test_other_names_are_refused(name: str) -> None:
    for config in (named(name), named(task=name), named(experiment=name)):
        with pytest.raises(UserError, match="not a plain name") as error:
            check_names(config)
        str(error.value).encode()


@pytest.mark.parametrize(
    "name", ["system", "total", "highest", "lowest", "priority_0", "priority_-1"]
)
def test_a_task_has_no_name_that_figures_mean_several_by(name: str) -> None:
    with pytest.raises(UserError, match="the figure of several tasks"):
        check_names(named(task=name))


@pytest.mark.parametrize(
    ("group", "key", "place"),
    [("", "output_root", " "), ("tracking", "uri", ""), ("platform", "server", "here")],
)
def test_a_place_that_is_none_is_refused(group: str, key: str, place: str) -> None:
    config = named()
    setattr(getattr(config, group) if group else config, key, place)
    with pytest.raises(UserError, match=f"{key}=.*: it (names no place|is no address)"):
        check_names(config)


@pytest.mark.parametrize("folder", ["a\nb", "a\tb", "a\udcff"])
def test_a_folder_that_no_line_can_hold_is_refused(folder: str) -> None:
    config = named()
    config.output_root = folder
    with pytest.raises(UserError, match=r"output_root=.*: not a plain path"):
        check_names(config)
    config.output_root = "größe / o u t: [c"
    check_names(config)
