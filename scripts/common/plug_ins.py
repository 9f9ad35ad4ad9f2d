"""Functions of a user's file, `file.py:function`: how they are written, loaded and called, each mistake in one line."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from common.errors import UserError, one_line
from common.job import log_traceback

# braces are wildcards to Snakemake
PATTERN = r"^([^{}:]+\.py):([A-Za-z_][A-Za-z0-9_]*)$"
ALONE = "what it returns may depend on its arguments alone"
SCRIPTS = Path(__file__).resolve().parents[1]
# where a file is no data of a user's: code, Python's environment, the system
CODE = (".py", ".pyc", ".so", ".pyd", ".dylib")
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib")


@dataclass(frozen=True)
class PlugIn:
    """A function of a user's file: the file's path and the function's name, which is the member's or the feature's."""

    file: str
    name: str

    @classmethod
    def of(cls, text: str) -> "PlugIn | None":
        """The function that `file.py:function` stands for; None if the text is of another form."""
        found = re.match(PATTERN, text)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    def load(self) -> Callable[..., Any]:
        """The function; its file is run. Raises UserError when that fails, or the file has no such function."""
        function = getattr(self.call(_module, self.file), self.name, None)
        if not callable(function):
            raise UserError(f"{self.file}: has no function {self.name}; write one, or give another name")
        return function

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns.

        Raises UserError when it fails, with the file and line of the user's code (the traceback goes to the log), or
        when it reads a file or the network. A UserError of its own, such as InsufficientHistoryError, is passed on.
        """
        watch = _Watch(self)
        try:
            with watch:
                returned = function(*arguments)
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            log_traceback()
            raise UserError(f"{self._place(error)}: {type(error).__name__}: {one_line(error)} ({self})") from error
        if watch.refusal:
            # the user's code has caught the error that told it so
            raise watch.refusal
        return returned

    def array(self, returned: Any, shape: tuple[int, ...], axes: str, dtype: type[np.floating]) -> np.ndarray:
        """What the function returned, as an array of that shape, whose axes are named, and type.

        Raises UserError when it is none.
        """
        given = "None" if returned is None else f"no array of numbers but {type(returned).__name__}"
        try:
            array = np.asarray(returned, dtype=dtype)
        except (TypeError, ValueError):
            array = None
        if array is not None and returned is not None:
            if array.shape == shape:
                return array
            given = f"an array of shape {array.shape}"
        raise UserError(f"{self}: returned {given}; it must return one of shape {shape}: {axes}")

    def differs(self, where: str) -> UserError:
        """The refusal of one that returns another thing when it is called again."""
        what = "on no clock, no file, no random numbers without a seed"
        return UserError(f"{self}: two calls differ at {where}; {ALONE}, {what}")

    def _place(self, error: BaseException) -> str:
        """The file and line of the user's code at which an error arose, the innermost of them."""
        if isinstance(error, SyntaxError):
            return f"{_shown(error.filename or self.file)}, line {error.lineno}"
        folder = Path(self.file).resolve().parent
        own = [
            f"{_shown(frame.filename)}, line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename).is_relative_to(folder)
            and not Path(frame.filename).is_relative_to(SCRIPTS)
            and "site-packages" not in frame.filename
        ]
        return own[-1] if own else self.file


@cache
def _module(file: str) -> ModuleType:
    """The module of a file, which may import modules beside it."""
    path = Path(file).resolve()
    # a module compiled in the second in which it was edited would be the old one
    sys.dont_write_bytecode = True
    if str(path.parent) not in sys.path:
        # last, so that no file of a user's hides a module of the workflow
        sys.path.append(str(path.parent))
    spec = spec_from_file_location(f"plug_in_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class _Watch:
    """While it is entered, a plug-in that reads a file or the network is refused: what it returns would depend on more
    than its arguments, and nothing would be made anew when that changes."""

    plug_in: PlugIn
    written: set[str] = field(default_factory=set)
    refusal: UserError | None = None

    def __enter__(self) -> None:
        _listen()
        _entered.append(self)

    def __exit__(self, *_: object) -> None:
        _entered.remove(self)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An event that Python reports. Raises UserError."""
        if event == "socket.connect":
            self._refuse("uses the network")
        elif event == "open" and isinstance(arguments[0], str) and isinstance(arguments[1], str):
            path = str(Path(arguments[0]).absolute())
            if set(arguments[1]) & set("wxa"):
                self.written.add(path)
            elif path not in self.written and not _is_installed(path, self.plug_in.file):
                self._refuse(f"reads the file {_shown(path)}")

    def _refuse(self, what: str) -> None:
        self.refusal = UserError(f"{self.plug_in}: {what}; {ALONE}; constants may be in a module beside it")
        raise self.refusal


_entered: list[_Watch] = []


@cache
def _listen() -> None:
    """Let Python report what is opened, from now on: an audit hook cannot be removed."""
    sys.addaudithook(lambda event, arguments: _entered[-1].see(event, arguments) if _entered else None)


def _is_installed(path: str, own: str) -> bool:
    """Whether a path is of code, of Python's environment or the system, or hidden, such as a cache.

    own: the plug-in's file; a folder that holds it is no environment.
    """
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    homes = (*SYSTEM, sys.prefix, sys.base_prefix, *(part for part in given if not _is_in(own, part)))
    hidden = any(part.startswith(".") for part in Path(path).parts)
    return path.endswith(CODE) or hidden or any(_is_in(path, home) for home in homes)


def _is_in(path: str, folder: str) -> bool:
    return Path(path).absolute().is_relative_to(Path(folder).absolute())


def _shown(path: str) -> str:
    """The path as a user names it, from the working folder."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
