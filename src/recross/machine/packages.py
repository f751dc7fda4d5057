"""Which packages this installation has."""

from __future__ import annotations

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """Whether a package is here, which is not imported for it.

    A bare folder of its name on the path is none, although Python can import it: it is what a tool
    leaves in the working directory (``wandb/``, ``ray/``), where ``python -m recross`` looks first.
    """
    try:
        spec = find_spec(package)
    except ImportError:  # of the package above it
        return False
    return spec is not None and spec.origin is not None
