"""Two rows where only one may be."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, transaction

TAKEN = "unique"  # the code of such errors, as it is in Django's own


@contextmanager
def told_duplicate(**texts: str) -> Iterator[None]:
    """A ValidationError of that field, whether the other row was seen before or met in a race."""
    told = {field: ValidationError(text, code=TAKEN) for field, text in texts.items()}
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ValidationError(told) from error
    except ValidationError as error:
        clashes = {each.code for each in _errors(error)} & {TAKEN, "unique_together"}
        if clashes:
            raise ValidationError(told) from error
        raise


def _errors(error: ValidationError) -> list[ValidationError]:
    if not hasattr(error, "error_dict"):
        return list(error.error_list)
    return [*error.error_dict.get(NON_FIELD_ERRORS, ()), *error.error_dict.get("name", ())]
