"""Replications that outlast the program: jobs kept as documents, run side by side, restarted when they fail.

A job is a document of the database ``_replicator``, in CouchDB's form (:mod:`couchette.jobs.plan`). The
:class:`~couchette.jobs.scheduler.Scheduler` follows that database: a document that appears starts a
:class:`~couchette.jobs.job.Job`, one that changes restarts it, one that is deleted ends it. So a program
(:class:`Replications`, which is ``Environment.replications``), the server and a replication into ``_replicator``
itself all do the same thing. Jobs without a document, of the server's ``_replicate``, live beside them and end with
the program.
"""

from __future__ import annotations

from couchette.jobs.job import Job, JobState, JobStatus
from couchette.jobs.plan import Plan
from couchette.jobs.replications import Replication, Replications

__all__ = ["Job", "JobState", "JobStatus", "Plan", "Replication", "Replications"]
