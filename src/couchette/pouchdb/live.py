"""What goes on by itself: feeds of changes, as objects that emit events, promise how they end, and can be cancelled."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from couchette import workers
from couchette.errors import CouchetteError, DatabaseClosed
from couchette.limits import POUCHDB_UNSEEN_CHANGES, SHUTDOWN_GRACE_S
from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.context import Context
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.documents import shown_change
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.events import EventEmitter, Listener
from couchette.pouchdb.filters import feed_options
from couchette.pouchdb.promise import Promise
from couchette.pouchdb.results import Result, wrapped
from couchette.pouchdb.upkeep import changes_page


class Handle(EventEmitter, Promise[Result]):
    """Something under way. Its events are emitted, and its promise is settled, on the program's thread.

    ``complete`` is emitted with the result with which the promise is fulfilled, ``error`` with the error with which
    it is rejected. A listener that raises is logged.
    """

    def __init__(self, context: Context) -> None:
        EventEmitter.__init__(self)
        Promise.__init__(self, context.dispatcher)
        self._context = context
        self._cancelled = False
        self._thread: threading.Thread | None = None

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    @abstractmethod
    def cancel(self) -> None:
        """End it. Any thread may call this, and again."""

    def _listen_for(self, options: dict[str, Any], callback: Listener | None) -> None:
        """Take the options that are functions: ``on_change``, and as ``callback`` ``on_complete``."""
        on_change = options.pop("on_change", None)
        if on_change is not None:
            self.on("change", on_change)
        for done in (options.pop("on_complete", None), callback):
            if done is not None:
                self._call_back(done)

    def _invoke(self, listener: Listener, *args: Any) -> None:
        self._dispatcher.call(listener, *args)

    def _call_listeners(self, event: str, *args: Any) -> None:
        """Emit an event of our own: here one listener's error must not keep the others from being called."""
        for listener in self._taken(event):
            self._dispatcher.call_safely(listener, *args)

    def _tell(self, event: str, *args: Any) -> None:
        """Emit an event on the program's thread. Any thread may call this."""
        self._dispatcher.post(self._call_listeners, event, *args)

    def _complete(self, result: Any) -> None:
        """It has ended as it should."""

        shown = wrapped(result)

        def end() -> None:
            self._call_listeners("complete", shown)
            self._resolve(shown)

        self._dispatcher.post(end)

    def _fail(self, error: Exception) -> None:
        """It has ended by an error."""
        shown = from_couchette(error) if isinstance(error, CouchetteError) else error

        def end() -> None:
            self._looked_at = self._looked_at or bool(self.listeners("error"))
            self._call_listeners("error", shown)
            self._reject(shown)

        self._dispatcher.post(end)

    def _in_thread(self, work: Callable[[], object]) -> None:
        """Do some work, which must not raise, on a thread of its own."""
        self._dispatcher.began()
        running = self._context.running

        def run() -> None:
            try:
                work()
            finally:
                running.discard(self)
                self._dispatcher.ended()

        # A program that forgets to cancel must be able to end; its exit then cancels first.
        target = workers.thread_context().run
        self._thread = threading.Thread(target=target, args=(run,), name="couchette-pouchdb-live", daemon=True)
        running.add(self)
        self._thread.start()

    def join(self) -> None:
        """Wait until it has ended, for a short while at most; its last events may still be to come."""
        if self._thread is not None:
            self._thread.join(SHUTDOWN_GRACE_S)


class Changes(Handle):
    """The changes of a database, until now or as they happen.

    Events: ``change`` with each change, ``complete`` with ``{"results", "last_seq"}``, or after :meth:`cancel` with
    ``{"status": "cancelled"}``, and ``error``. A feed with ``live`` keeps no results.
    """

    def __init__(
        self, context: Context, core: DatabaseCore, given: Mapping[str, Any], callback: Listener | None = None
    ) -> None:
        super().__init__(context)
        self._core = core
        self._options = spelled(given)
        self._feed: Any = None
        self._room = threading.Semaphore(POUCHDB_UNSEEN_CHANGES)
        self._starting = threading.Lock()
        self._listen_for(self._options, callback)

    @property
    def is_live(self) -> bool:
        """Whether it goes on after the changes of the past."""
        return bool(self._options.get("live"))

    def cancel(self) -> None:
        """End the feed: no change is told any more, also none that happened already."""
        with self._starting:
            self._cancelled = True
            feed = self._feed
        if feed is not None:
            feed.cancel()
        # The feed's thread may be waiting for the program to look at what it has told.
        self._room.release()

    def begin(self) -> None:
        """Begin to read, in the calling thread, which a feed that is live leaves soon."""
        try:
            if not self.is_live:
                self._read_page()
                return
            feed = self._core.database.changes(live=True, **feed_options(self._core, self._options))
            with self._starting:
                self._feed = feed
            if self._cancelled:
                feed.cancel()
        except Exception as exc:
            self._fail(exc)
        else:
            self._in_thread(lambda: self._follow_feed(feed))

    def _read_page(self) -> None:
        result = Result(changes_page(self._core, **self._options))
        for change in result.results:
            self._tell("change", change)
        self._dispatcher.post(self._end_page, _kept(result, self._options))

    def _end_page(self, result: Result) -> None:
        self._complete({"status": "cancelled"} if self._cancelled else result)

    def _follow_feed(self, feed: Iterable[dict[str, Any]]) -> None:
        last_seq, binary = self._options.get("since", 0), bool(self._options.get("binary"))
        try:
            for row in feed:
                self._room.acquire()
                if self._cancelled:
                    break
                change = Result(shown_change(self._core, row, binary=binary))
                last_seq = change["seq"]
                self._tell("change", change)
        except DatabaseClosed:
            self._cancelled = True
        except Exception as exc:
            self._fail(exc)
            return
        self._complete({"status": "cancelled"} if self._cancelled else {"results": [], "last_seq": last_seq})

    def _call_listeners(self, event: str, *args: Any) -> None:
        if event == "change":
            self._room.release()
            if self._cancelled:
                return
        super()._call_listeners(event, *args)


def _kept(result: Result, options: Mapping[str, Any]) -> Result:
    """What a feed ends with: without ``return_docs`` the changes were told, and that is all."""
    return Result({**result, "results": []}) if options.get("return_docs") is False else result


def page_with_callbacks(context: Context, core: DatabaseCore, given: Mapping[str, Any]) -> Result:
    """The changes until now, for the synchronous API; ``onChange`` and ``complete`` are called before it returns."""
    asked = spelled(given)
    on_change, on_complete = asked.pop("on_change", None), asked.pop("on_complete", None)
    result = Result(changes_page(core, **asked))
    if on_change is not None:
        for change in result.results:
            context.dispatcher.call_safely(on_change, change)
    result = _kept(result, asked)
    if on_complete is not None:
        context.dispatcher.call_safely(on_complete, None, result)
    return result
