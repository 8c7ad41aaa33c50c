"""Pictures of an environment of torchrl's, as an entry of what it observes."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torchrl.record import PixelRenderTransform as TorchRLPixelRenderTransform

from rlrecipe.recorders.mp4 import cure_of
from rlrecipe.stepping.headless import choose_renderer, hide_windows

#: Of the pictures of an environment that could never be drawn.
SIZE = (64, 64, 3)


class PixelRenderTransform(TorchRLPixelRenderTransform):  # type: ignore[misc] # torchrl has no types
    """torchrl's transform, which draws without a display and without settings, and survives a failing renderer.

    Where rendering fails, that is said once, and pictures are black from then on.

    Args:
        *arguments: torchrl's: out_keys, preproc, as_non_tensor, render_method, pass_tensordict.
        required: raise instead of going on with black pictures, for a policy that sees them.
        **named: torchrl's by name, and further arguments of the render method.
    """

    def __init__(self, *arguments: Any, required: bool = False, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.required, self.works = required, True
        self._black: torch.Tensor | None = None

    def set_container(self, container: Any) -> Any:
        """Be put into an environment: from here on there may be something to draw."""
        hide_windows()
        choose_renderer()
        return super().set_container(container)

    def _call(self, next_tensordict: Any) -> Any:
        if not self.enabled:
            return next_tensordict
        key = self.out_keys[0]
        if self.works:
            try:
                drawn = super()._call(next_tensordict)
                if isinstance(picture := drawn.get(key), torch.Tensor):
                    self._black = torch.zeros_like(picture)
                return drawn
            except Exception as error:
                if self.required:
                    raise
                self.works = False
                text = f"PixelRenderTransform: {type(error).__name__}: {error}; {cure_of(error)}"
                warnings.warn(f"{text}; pictures are black from now on", stacklevel=2)
        if self._black is None:
            self._black = torch.zeros(*next_tensordict.batch_size, *SIZE, dtype=torch.uint8)
        return next_tensordict.set(key, self._black.clone())
