"""What training raises on purpose."""


class Diverged(ArithmeticError):  # noqa: N818 - what happened to the run
    """A number became NaN or infinite (exit 6)."""
