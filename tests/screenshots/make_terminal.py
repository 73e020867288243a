"""Make tests/screenshots/terminal.svg, which the README shows: the default model at work.

Run `python -m tests.screenshots.make_terminal` after what it shows looks different, and look at it.
"""

from __future__ import annotations

from pathlib import Path

from tests.screenshots.animation import svg
from tests.screenshots.recording import Recording

PLACE = Path(__file__).with_name("terminal.svg")
COMPLETE = 'gptcli complete --seed 7 -n 40 "The most effective way to learn computer science is"'
TOP_K = 'gptcli top-k -k 6 "The capital of France is"'
EXPLAIN = 'gptcli explain --step --seed 1 "The capital of France is"'
#: Pages of explain that say most by themselves, and for how many seconds.
PAGES = {1: 3.0, 2: 4.5, 3: 4.5, 7: 4.0, 8: 4.5}
TITLE = "A terminal: gptcli completes a text, shows what could come next, and explains why"


def main() -> None:
    """Write the picture."""
    recording = Recording()
    recording.type(COMPLETE)
    recording.run(COMPLETE, 3)
    # Who comes to the picture sees a text at once, and not how it is asked for.
    first = len(recording.frames) - 1
    recording.type(TOP_K)
    recording.show(TOP_K, 5)
    poster = len(recording.frames) - 1
    recording.type(EXPLAIN)
    recording.turn(EXPLAIN, PAGES)
    PLACE.write_text(svg(recording.frames, poster, TITLE, first), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
