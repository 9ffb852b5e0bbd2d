"""The wheel's one part that pyproject.toml cannot say: conf/, which a checkout has beside the
package, goes into it."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConf(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_tree("conf", str(Path(self.build_lib, "runner", "conf")))


setup(cmdclass={"build_py": WithConf})
