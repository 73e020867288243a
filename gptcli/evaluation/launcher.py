"""A program by itself: runs a command and tells what it took.

    launcher COMMAND…  →  {"code": …, "seconds": …, "peak": …, "errors": …}

Who asks for the peak of a child is told at least its own size, since a child begins as a copy of
it: so a process starts this small one, and this one the command. It imports nothing else of gptcli.

seconds: from the start to the end, by the clock on the wall; peak: bytes of main memory that the
command held at most, null where the system does not tell; errors: what it wrote to stderr.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def peak() -> int | None:
    """Bytes that the children which have ended held at most."""
    try:
        import resource
    except ImportError:
        return None
    found = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # macOS counts in bytes, others in KiB.
    return found if sys.platform == "darwin" else found * 1024


def main() -> None:
    """Run the command of the arguments."""
    begun = time.perf_counter()
    done = subprocess.run(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    seconds = time.perf_counter() - begun
    errors = done.stderr.decode(errors="replace")
    told = {"code": done.returncode, "seconds": seconds, "peak": peak(), "errors": errors}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
