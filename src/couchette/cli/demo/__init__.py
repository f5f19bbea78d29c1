"""``couchette demo``: the main job on real input, told step by step.

One server and two replicas: everything that is served, pulled, edited, synced and compared here is done
with the public interface, so the story is an example too. :class:`Story` has one method a step.
"""

from __future__ import annotations

from couchette.cli.demo.edits import PLACES_MIN
from couchette.cli.demo.story import run_demo

__all__ = ["PLACES_MIN", "run_demo"]
