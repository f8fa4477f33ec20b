"""What a column of a table may be."""

from typing import Literal

Kind = Literal["classification", "attribute", "regression", "dense", "ignore"]
"""As a person names it in ``data.kinds``."""
