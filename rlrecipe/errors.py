"""What a command cannot do, told in one line, with the exit code that says so."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the program
    """Something that was asked for cannot be done; the message says why and names the cure."""

    exit_code = 2


class Diverged(ArithmeticError):  # noqa: N818 - what happened to the run
    """A number became NaN or infinite (exit 6)."""


class EnvironmentWarning(UserWarning):
    """What an environment did that spoils nothing."""


class StoppedError(Exception):
    """The session ends in the middle of a batch: what came after the newest checkpoint is made again."""


class UnbuildableError(ValueError):
    """A component that only building it can show not to fit its recipe.

    Args:
        path: in the recipe.
        message: what is wrong.
        cure: what would help.
    """

    def __init__(self, path: tuple[str | int, ...], message: str, cure: str) -> None:
        super().__init__(message)
        self.path, self.cure = path, cure


class EnvironmentFault(Exception):  # noqa: N818 - what an environment did, in its own name
    """An environment that breaks gymnasium's interface: at ``env`` of a recipe (E301) where it is tried, exit 1 later.

    Args:
        message: environment, method, what came and what was expected.
        cure: what would help.
    """

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message, cure)
        self.message, self.cure = message, cure

    def __str__(self) -> str:
        return f"{self.message}; {self.cure}"


class HookError(Refusal, ValueError):
    """A hook that cannot work, or not where it was registered.

    Attributes:
        path: where it stands in the recipe, if it comes from one.
    """

    exit_code = 3
    path: tuple[str | int, ...] = ("hooks",)
