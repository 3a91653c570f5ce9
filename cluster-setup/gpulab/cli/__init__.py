"""The command line. `main` turns what went wrong into two lines and an exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `gpulab`. Exit codes: 0 done, 1 not (yet) so, 2 bad input or state, 130 Ctrl-C."""
    try:
        from gpulab.cli.run import run
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped.\n")
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))
