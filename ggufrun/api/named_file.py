"""A file that a request names, not one that is served: what is wrong with it is wrong with the request."""

from collections.abc import Iterator
from contextlib import contextmanager

from ggufrun.errors import ModelFileError, NamedFileError


@contextmanager
def named_file() -> Iterator[None]:
    """Raises NamedFileError for ModelFileError."""
    try:
        yield
    except ModelFileError as error:
        raise NamedFileError(error.path, error.reason, error.hint) from error
