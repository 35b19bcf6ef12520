"""What all values of a spec have in common."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

_Item = TypeVar("_Item")
Many = Annotated[tuple[_Item, ...], Field(strict=False)]  # a list will do when written in Python


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
