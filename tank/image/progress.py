"""How far a pull is: compressed bytes of each layer, as values for a progress bar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProgress:
    """One layer: `done` of `total` bytes have come. `ready`: it is unpacked and counts."""

    digest: str
    done: int
    total: int
    ready: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One image, its layers lowest first; none while the manifest is still on its way."""

    reference: str
    layers: tuple[LayerProgress, ...] = ()

    @property
    def done(self) -> int:
        """Bytes that have come."""
        return sum(layer.done for layer in self.layers)

    @property
    def total(self) -> int:
        """Bytes that there are to come."""
        return sum(layer.total for layer in self.layers)
