"""setup.cfg says everything but how the programs of bin/ change when they are installed."""

from pathlib import Path

from setuptools import setup
from distutils.command.build_scripts import build_scripts  # part of setuptools where Python has it no longer


class BuildScripts(build_scripts):
    """In a checkout the programs start the interpreter without `site`; installed ones need it to find amsmail."""

    def copy_scripts(self):
        files, updated = super().copy_scripts()
        for path in map(Path, files):
            path.write_text(path.read_text().replace(" -IS\n", "\n", 1))
        return files, updated


setup(cmdclass={"build_scripts": BuildScripts})
