"""Values with a meaning of their own: durations, and numbers that may follow a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rlrecipe.recipe.options import Options
from rlrecipe.recipe.slots import Slot

Unit = Literal["frames", "updates", "episodes", "seconds"]
UNITS: tuple[Unit, ...] = ("frames", "updates", "episodes", "seconds")

#: Discount factor where nobody says another one.
DISCOUNT = 0.99

#: What a schedulable option holds: a number, or the options of a schedule.
Value = float | Options


class Duration:
    """A stretch of training: a number of frames, or of updates, episodes or seconds."""

    def __init__(self, amount: float, unit: Unit = "frames") -> None:
        self.amount, self.unit = amount, unit

    @classmethod
    def read(cls, value: Any) -> Duration:
        """A duration from a number of frames or ``{unit: N}``.

        Raises:
            PydanticCustomError: ``value`` is neither, or not positive.
        """
        if isinstance(value, Duration):
            return value
        unit: Any = "frames"
        if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in UNITS:
            ((unit, value),) = value.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise PydanticCustomError(
                "duration",
                "expected a number of frames above 0, or one of {units} with a number above 0",
                {"units": ", ".join("{" + unit + ": N}" for unit in UNITS)},
            )
        return cls(value, unit)

    def write(self) -> Any:
        """The value that ``read`` turns into this duration."""
        return self.amount if self.unit == "frames" else {self.unit: self.amount}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and (self.amount, self.unit) == (other.amount, other.unit)

    def __hash__(self) -> int:
        return hash((self.amount, self.unit))

    def __repr__(self) -> str:
        return f"Duration({self.amount!r}, {self.unit!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(cls.write)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "number", "exclusiveMinimum": 0}
        one = {"type": "object", "properties": dict.fromkeys(UNITS, number), "minProperties": 1}
        return {"anyOf": [number, {**one, "maxProperties": 1, "additionalProperties": False}]}


class Schedulable:
    """A number, or a schedule whose numbers keep the same bounds: metadata of an option's annotation.

    Args:
        low: the least.
        high: the largest.
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low, self.high = low, high
        self.slot = Slot("schedule")

    def read(self, value: Any) -> float | Options:
        """The number or the schedule that a recipe says.

        Raises:
            PydanticCustomError: it lies outside the bounds.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            schedule = self.slot.read(value)
            for end in ("start", "end"):
                self._check(getattr(schedule, end, self.low))
            return schedule
        self._check(value)
        return float(value)

    def _check(self, value: float | None) -> None:
        if value is None:
            return
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise PydanticCustomError("bounds", "expected a number {bounds}", {"bounds": self.bounds()})

    def bounds(self) -> str:
        """The accepted interval in words."""
        if self.high is None:
            return f"of at least {self.low:g}"
        return f"of {self.low:g} to {self.high:g}" if self.low is not None else f"of at most {self.high:g}"

    def write(self, value: float | Options) -> Any:
        """The number, or the section of the schedule."""
        return self.slot.write(value) if isinstance(value, Options) else value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bounds = {"minimum": self.low, "maximum": self.high}
        number = {"type": "number", **{key: bound for key, bound in bounds.items() if bound is not None}}
        return {"anyOf": [number, {"x-component": "schedule"}]}


def schedulable(low: float | None = None, high: float | None = None) -> Schedulable:
    """Marks an option as a number or a schedule.

    It stands in an annotation: ``Annotated[Value, schedulable(0)]``.
    """
    return Schedulable(low, high)
