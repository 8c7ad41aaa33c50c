"""What a command cannot do, told in one line, with the exit code that says so."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the program
    """Something that was asked for cannot be done; the message says why and names the cure."""

    exit_code = 2
