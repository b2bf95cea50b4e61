"""What is wrong with a declaration: all of it at once, each with its place."""

from collections.abc import Sequence


class DeclarationError(Exception):
    """Nothing was written. `problems` read like `providers[2].models[0].price_in: must be …`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)
