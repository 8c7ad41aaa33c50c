"""The command line: one command a file; each parses, calls a plain function and prints.

``rlrecipe.cli.common`` says how a file becomes a command.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from rlrecipe.cli import common
from rlrecipe.errors import Diverged, Refusal
from rlrecipe.recipe.describe import unknown
from rlrecipe.recipe.errors import RecipeError, RecipeNotFound, printable
from rlrecipe.recipe.registry import UnknownComponent
from rlrecipe.system.paths import expanded

#: Options of the whole command line; they may stand before or after the command.
_GLOBAL = ("-q", "--quiet", "-v", "--verbose", "--debug")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    # Not list(...): here that name means the command's module, once it is imported.
    given = [*(sys.argv[1:] if arguments is None else arguments)]
    end = given.index("--") if "--" in given else len(given)
    moved = [word for word in given[:end] if word in _GLOBAL]
    rest = [word for word in given[:end] if word not in _GLOBAL]
    asked = "--json" in rest or "--format=json" in rest or ("--format", "json") in itertools.pairwise(rest)
    for name, value in vars(common.Settings()).items():
        setattr(common.settings, name, value)
    code = _run([*moved, *rest, *given[end:]])
    if asked and code and not common.settings.answered:
        common.settings.answer = None
        said = common.settings.complaint or f"ended with {code}; standard error may say more"
        common.print_json({"format": 1, "kind": "error", "exit_code": code, "message": said})
    return code


def _run(words: list[str]) -> int:
    try:
        application()(words, prog_name="rlrecipe")
    except SystemExit as end_of_command:
        # Of click, which typer brings under a name of its own.
        usage = getattr(end_of_command.__context__, "format_message", None)
        if usage is not None:
            common.settings.complaint = usage()
        code = end_of_command.code
        return code if isinstance(code, int) else int(code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _failed(error)
    return 0


def application() -> typer.Typer:
    """The Typer application with every command of this folder."""
    app = typer.Typer(
        add_completion=True,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in commands():
        app.command(name)(_on_its_own(importlib.import_module(f"{__name__}.{name}").command))
    return app


def _on_its_own(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose standard output is its answer alone, and whose exit code only its own code chooses.

    A component's code may print, call ``sys.exit(0)``, or raise what Typer takes for the end of the reader. In every
    option that is a path, ``~`` is the home.
    """

    @functools.wraps(command)
    def shielded(*arguments: object, **options: object) -> None:
        try:
            with common.quiet_stdout(), common.plain_warnings():
                command(*arguments, **{name: _expanded(value) for name, value in options.items()})
        except KeyboardInterrupt:
            common.complain("stopped by Ctrl-C")
            raise typer.Exit(130) from None
        except (EOFError, OSError) as error:
            raise typer.Exit(_failed(error)) from error
        except Exception:
            raise
        except BaseException as error:
            raise typer.Exit(_failed(error)) from error

    return shielded


def _expanded(value: object) -> object:
    return Path(expanded(str(value))) if isinstance(value, Path) else value


def commands() -> list[str]:
    """The names of all commands."""
    return sorted(file.name for file in pkgutil.iter_modules(__path__) if file.name != "common")


def _options(
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors on standard error.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more on standard error.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=lambda shown: _version(shown), help="Show the version."),
    ] = False,
) -> None:
    """Reinforcement learning from one YAML recipe."""
    del version
    common.settings.quiet, common.settings.verbose, common.settings.debug = quiet, verbose, debug


def _version(shown: bool) -> None:
    if shown:
        from importlib.metadata import version

        common.print_text(f"rlrecipe {version('rlrecipe')}")
        raise typer.Exit


def _failed(error: BaseException) -> int:
    """Print an error as the reader asked; its exit code."""
    if common.settings.debug:
        common.complain("".join(traceback.format_exception(error)).rstrip())
    if isinstance(error, RecipeError):
        common.print_problems(error.problems)
        return error.exit_code
    if isinstance(error, Refusal):
        common.complain(str(error))
        return error.exit_code
    if isinstance(error, Diverged):
        common.complain(printable(str(error)))
        return common.DIVERGED
    if isinstance(error, common.Stop):
        common.complain(printable(str(error)))
        return error.code
    if isinstance(error, UnknownComponent):
        common.complain(printable(unknown(error)))
        return common.USAGE
    if isinstance(error, RecipeNotFound):
        common.complain(printable(str(error)))
        return common.USAGE
    if not common.settings.debug:
        text = " ".join(str(error).split())
        common.complain(printable(f"{type(error).__name__}: {text} (--debug shows where)"))
    return 1
