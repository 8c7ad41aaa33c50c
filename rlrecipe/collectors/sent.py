"""Objects on their way to a process that this one starts."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

from rlrecipe.lazy import gymnasium
from rlrecipe.recipe.imports import Imported, is_named, load_again, loaded


class Sent:
    """An object, and what has to be loaded before another process can take it.

    That process loads the user's files and modules that this one has loaded, with consent, and nothing else.
    Classes of ``__main__``, as in a notebook, travel by value. Only between a process and those that it starts:
    no file of a run is ever pickled.

    Args:
        thing: the object.
        env_name: an environment that it builds, whose registration with gymnasium goes along.
        imports: files and modules to load; by default those that were loaded here, of files only what the object
            refers to.

    Raises:
        TypeError: a part of it cannot be sent.
    """

    def __init__(self, thing: Any, env_name: str | None = None, imports: Sequence[Imported] | None = None) -> None:
        import cloudpickle

        spec = None if env_name is None else gymnasium.registry.get(env_name)
        try:
            self.content: bytes = cloudpickle.dumps((spec, thing))
        except Exception as error:
            raise TypeError(
                f"a worker process cannot be sent what it needs: {error}; give components plain data, or collect "
                "with the collector sync"
            ) from error
        self.imports = tuple(self._meant() if imports is None else imports)

    def _meant(self) -> Iterator[Imported]:
        for one in loaded():
            # A file's module has a name that nothing else has, and the one by which others import it.
            if one.sha256 is None or one.module.encode() in self.content or is_named(one):
                yield one

    def open(self) -> Any:
        """The object, in the process that was sent it."""
        for one in self.imports:
            load_again(one)
        spec, thing = pickle.loads(self.content)
        if spec is not None:
            gymnasium.registry.setdefault(spec.id, spec)
        return thing
