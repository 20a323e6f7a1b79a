"""How a verb fails: one sentence on standard error, and the exit code of whose fault it is."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from openfm.contract.failure import classify
from openfm.errors import CustomerError, OpenFMError

__all__ = ["failing_in_one_sentence", "shortened"]

_LONGEST_SHOWN = 60
_WRONG_PATHS = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


@contextmanager
def failing_in_one_sentence() -> Iterator[None]:
    """End the program where what it was asked for is wrong, a file cannot be read or memory runs out.

    A ``ValueError`` is taken for a wrong argument: around calls that say by it what they do not take.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # click ends quietly: whoever read this has had enough
    except (OpenFMError, OSError, MemoryError) as exception:
        error = classify(exception)
        if isinstance(exception, OSError) and exception.errno in _WRONG_PATHS:  # here a path is the user's own
            error = CustomerError(f"{exception.strerror}: '{exception.filename}'. Give another path.")
    except ValueError as exception:
        error = CustomerError(str(exception))
    else:
        return
    click.echo(error.failure_reason, err=True)
    sys.exit(error.exit_code)


def shortened(text: str) -> str:
    """What somebody wrote, for a sentence: of a long text only the beginning."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
