"""Design functions at work on a database: shows, lists, updates, rewrites, filters, and writes that are validated.

:mod:`couchette.functions` runs a function; here is what CouchDB does around it: which document it is given, what it is
told of the request, what becomes of its answer. Nothing of it is HTTP. The server's resources, ``db.design`` and
``db.as_user`` of the facades, and :mod:`couchette.pouchdb` are all thin over it.

* ``request``: what is asked, and CouchDB's request object of it;
* ``designs``: functions that are kept compiled;
* ``calls``: shows, lists and updates; ``filters``: those of changes;
* ``rewriting``: the request that another one stands for; ``routing``: the operation that it means;
* ``validation``: the validation functions that hold; ``judging``: a database whose writes they judge;
* ``access`` and ``accessors``: the facades' part.
"""
