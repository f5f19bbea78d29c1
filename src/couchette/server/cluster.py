"""The server as a cluster of one node that holds every database whole: ``_membership``, ``_cluster_setup``, shards."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest
from couchette.server.answers import json_answer
from couchette.server.replications import NODE
from couchette.server.request import Request

RANGE: Final = "00000000-ffffffff"
"""The only shard: all documents."""


def membership(request: Request) -> Response:
    """``GET /_membership``: the nodes of the cluster."""
    return json_answer({"all_nodes": [NODE], "cluster_nodes": [NODE]})


def setup(request: Request) -> Response:
    """``GET /_cluster_setup``: there is nothing to set up. CouchDB's own interface asks for it."""
    return json_answer({"state": "single_node_enabled"})


def change_setup(request: Request) -> Response:
    """``POST /_cluster_setup``: whoever sets up a single node finds it done; others are refused."""
    request.require_json()
    action = request.json_object().get("action")
    if action not in ("enable_single_node", "finish_cluster"):
        raise BadRequest("Cluster setup is not supported: this is a single node.", f"The action is {action!r}.")
    return json_answer({"ok": True}, 201)


def shards(request: Request, db: Database) -> Response:
    """``GET /{db}/_shards``: which nodes hold which part of the database."""
    return json_answer({"shards": {RANGE: [NODE]}})


def shard_of(request: Request, db: Database) -> Response:
    """``GET /{db}/_shards/{docid}``: where a document would be, whether there is one or not."""
    return json_answer({"range": RANGE, "nodes": [NODE]})


def sync_shards(request: Request, db: Database) -> Response:
    """``POST /{db}/_sync_shards``: there are no copies to bring together."""
    return json_answer({"ok": True}, 202)
