"""What a replication is asked to do: checked once, and told in two ways.

The source hears a :class:`~couchette.wire.selection.Selection`. The replication id gets the *facts*: those options
that change which documents travel. How fast they travel, who asks and whether it goes on for ever is not among them,
so a one-time pull and a live one share their checkpoints.

:meth:`Options.as_json` gives them the names of CouchDB's ``_replicator`` documents, for jobs that are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any, Final, Literal, Self, TypedDict

from couchette import limits
from couchette.errors import BadRequest
from couchette.merging import Resolver
from couchette.replication.fingerprint import fingerprint
from couchette.replication.result import Progress
from couchette.replication.status import Event
from couchette.wire.checkpoint import Seq
from couchette.wire.selection import Selection
from couchette.wire.transfer import Document

Style = Literal["all_docs", "main_only"]
Filter = Callable[..., bool]


class ReplicationOptions(TypedDict, total=False):
    """The keyword arguments of ``replicate`` and ``sync``, for type checkers; :class:`Options` explains them."""

    create_target: bool
    create_target_params: Mapping[str, Any] | None
    doc_ids: Sequence[str] | None
    selector: Mapping[str, Any] | None
    filter: str | Filter | None
    query_params: Mapping[str, Any] | None
    view: str | None
    since: Seq | None
    winning_revs_only: bool
    style: Style | None
    skip_deletes: bool
    use_checkpoints: bool
    batch_docs: int
    batch_bytes: int
    resolver: Resolver | None
    dry_run: bool
    progress: Callable[[Progress], object] | None
    on_event: Callable[[Event], object] | None


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one replication. Raises BadRequest for those that do not go together.

    Attributes:
        live: go on when the source has no more for now, and wait for changes.
        create_target: create the database behind a target URL if it is missing.
        create_target_params: what its server is told of it then, such as ``{"partitioned": True}``.
        doc_ids: only these documents.
        selector: only documents that match this Mango selector.
        filter: only documents for which a function is true: one of the source's design documents (``"design/name"``),
            which the source runs; or a Python function of the document, which we run. It is given deletions too.
        query_params: handed to the filter function: the source's has them in ``req.query``, Python's as its
            second argument. The only thing that a Python function should depend on beside the document.
        view: only documents for which this view (``"design/name"``) emits something.
        since: where to begin while there is no checkpoint: a sequence of the source, or ``"now"``.
        winning_revs_only: leave losing leaves behind; the same as ``style="main_only"``.
        skip_deletes: leave out tombstones of documents that the target never had. For a first pull; a later
            replication without it goes on from there.
        use_checkpoints: look for recorded progress, and record it.
        batch_docs, batch_bytes: bounds of one batch. Within them it adapts to the line.
        resolver: ends the conflicts that a pull brings into a database of this process; see :mod:`couchette.merging`.
        dry_run: only find out what would move; see ``ReplicationResult.would_move``.
        progress: called with a :class:`Progress` after each batch, on the thread that replicates; must not block.
        on_event: likewise called with an :class:`Event` when the state changes, after each batch, for each refusal.
    """

    live: bool = False
    create_target: bool = False
    create_target_params: Mapping[str, Any] | None = None
    doc_ids: Sequence[str] | None = None
    selector: Mapping[str, Any] | None = None
    filter: str | Filter | None = None
    query_params: Mapping[str, Any] | None = None
    view: str | None = None
    since: Seq | None = None
    winning_revs_only: bool = False
    style: Style | None = None
    skip_deletes: bool = False
    use_checkpoints: bool = True
    batch_docs: int = limits.BATCH_DOCS
    batch_bytes: int = limits.BATCH_BYTES
    resolver: Resolver | None = None
    dry_run: bool = False
    progress: Callable[[Progress], object] | None = field(default=None, compare=False)
    on_event: Callable[[Event], object] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("batch_docs", "batch_bytes"):
            if getattr(self, name) < 1:
                raise BadRequest(f"{name} must be at least 1", f"Got {getattr(self, name)}.")
        given = [name for name in ("doc_ids", "selector", "filter", "view") if getattr(self, name) is not None]
        if len(given) > 1:
            raise BadRequest("`doc_ids`, `selector`, `filter` and `view` exclude one another.", f"Got {given}.")
        if self.query_params is not None and self.filter is None:
            raise BadRequest("`query_params` are for a filter function.", "Give `filter` too.")
        if self.style not in (None, "all_docs", "main_only"):
            raise BadRequest("`style` must be main_only or all_docs.", f"Got {self.style!r}.")
        if self.winning_revs_only and self.style == "all_docs":
            raise BadRequest("`winning_revs_only` is style=main_only.", "Leave out `style`.")
        if self.doc_ids is not None and not _are_ids(self.doc_ids):
            raise BadRequest("`doc_ids` must be a list of ids.", f"Got {self.doc_ids!r}.")
        for name in ("filter", "view"):
            value = getattr(self, name)
            if isinstance(value, str) and "" in value.partition("/"):
                raise BadRequest(f"`{name}` must be of the form `design/name`.", f"Got {value!r}.")
        if self.live and self.dry_run:
            raise BadRequest("A dry run ends by itself.", "Leave out `live` or `dry_run`.")

    @cached_property
    def selection(self) -> Selection:
        """What the source is asked for."""
        return Selection(
            style="main_only" if self.winning_revs_only else self.style or "all_docs",
            filter=self.filter if isinstance(self.filter, str) else None,
            doc_ids=self.doc_ids,
            selector=self.selector,
            view=self.view,
            query_params=dict(self.query_params or {}) if isinstance(self.filter, str) else {},
            accepts=self._predicate(),
        )

    def _predicate(self) -> Callable[[Document], bool] | None:
        if not callable(self.filter):
            return None
        if self.query_params is None:
            return self.filter
        return partial(_with_params, self.filter, dict(self.query_params))

    @property
    def design_doc(self) -> str | None:
        """The id of the source's design document whose function decides what travels."""
        name = self.view or (self.filter if isinstance(self.filter, str) else None)
        return None if name is None else f"_design/{name.partition('/')[0]}"

    def facts(self, design_doc: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What belongs into the replication id, as JSON; the function's code comes from the design document."""
        facts: dict[str, Any] = {}
        if self.selection.style == "main_only":
            facts["style"] = "main_only"
        if self.doc_ids is not None:
            facts["doc_ids"] = sorted(set(self.doc_ids))
        for name in ("selector", "query_params", "view", "since"):
            if (value := getattr(self, name)) is not None:
                facts[name] = value
        if callable(self.filter):
            facts["filter"] = fingerprint(self.filter)
        elif self.filter is not None:
            facts["filter"] = self.filter
        if design_doc is not None:
            facts["code"] = _code(design_doc, self.filter, self.view)
        return facts

    # -- Stored jobs ----------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """The options that differ from their defaults, in CouchDB's names. Callbacks are left out.

        Raises BadRequest for a Python filter or resolver, which a stored job cannot hold.
        """
        stored: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value == one.default or not one.compare:
                continue
            if callable(value) or one.name == "resolver":
                raise BadRequest(f"A Python `{one.name}` cannot be stored.", "Start this replication from the program.")
            stored[COUCHDB_NAMES.get(one.name, one.name)] = value
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The options in a ``_replicator`` document or a body of ``_replicate``; other members are ignored."""
        names = {COUCHDB_NAMES.get(one.name, one.name): one.name for one in fields(cls) if one.compare}
        del names["resolver"]
        return cls(**{names[name]: value for name, value in stored.items() if name in names})


COUCHDB_NAMES: Final = {"live": "continuous", "since": "since_seq", "batch_docs": "worker_batch_size"}


def _are_ids(value: Any) -> bool:
    """Whether it is a list of texts; a stored job may have anything there."""
    return isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(one, str) for one in value)


def _with_params(accepts: Filter, params: Mapping[str, Any], doc: Document) -> bool:
    return accepts(doc, params)


def _code(design_doc: Mapping[str, Any], filter: str | Filter | None, view: str | None) -> Any:
    """The source of the function in its design document; None where it is not there."""
    name = view if view is not None else str(filter)
    functions = design_doc.get("filters" if view is None else "views")
    return functions.get(name.partition("/")[2]) if isinstance(functions, Mapping) else None
