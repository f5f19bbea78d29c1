"""Which of a source's changes a replication looks at, and how a request to ``_changes`` says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """The source's part of a replication's filter; the default is everything.

    ``filter`` is a function of a design document (``"design/name"``, with ``query_params``) or one of CouchDB's own:
    ``_doc_ids``, ``_selector``, ``_view``, ``_design``. The first three are implied by ``doc_ids``, ``selector`` and
    ``view``.
    """

    style: str = "all_docs"
    """``all_docs``: every leaf of a document. ``main_only``: its winner."""
    filter: str | None = None
    doc_ids: Sequence[str] | None = None
    selector: Mapping[str, Any] | None = None
    view: str | None = None
    query_params: Mapping[str, str] = field(default_factory=dict)
    accepts: Callable[[Document], bool] | None = None
    """A predicate that runs on our side, for documents that the source gave."""
    with_docs: bool = False
    """Whether the documents are wanted too, where the source can add ordinary ones to its changes."""

    @property
    def filtered(self) -> bool:
        """Whether the source leaves any change out."""
        return any(each is not None for each in (self.filter, self.doc_ids, self.selector, self.view))

    def parameters(self) -> dict[str, Any]:
        """The query parameters of a request to ``_changes``."""
        params: dict[str, Any] = {"style": self.style}
        if self.doc_ids is not None:
            params["filter"] = "_doc_ids"
        elif self.selector is not None:
            params["filter"] = "_selector"
        elif self.view is not None:
            params |= {"filter": "_view", "view": self.view}
        elif self.filter is not None:
            params["filter"] = self.filter
        return {**self.query_params, **params}

    def body(self) -> dict[str, Any] | None:
        """The body of such a request, which then is a POST; None where a GET will do."""
        if self.doc_ids is not None:
            return {"doc_ids": sorted(self.doc_ids)}
        return None if self.selector is None else {"selector": self.selector}


EVERYTHING = Selection()
"""All changes, with every leaf."""
