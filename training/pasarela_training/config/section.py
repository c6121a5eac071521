"""What all sections of the configuration share."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    def recipe(self, *, exclude: frozenset[str] = frozenset()) -> dict[str, Any]:
        """What was chosen, as JSON values; what was left at its default is left out, so new keys change nothing."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude=set(exclude))
