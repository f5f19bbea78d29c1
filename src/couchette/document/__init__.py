"""Pure values: what a document, a revision, a rev tree, an attachment and a sort key are.

Nothing here does I/O or waits, so everything here can be tested by properties. Modules of this package
know JSON and CouchDB's rules; where and how values are kept is the store's business, how they travel is
that of ``wire``.
"""
