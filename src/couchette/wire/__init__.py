"""CouchDB's protocol without I/O: what client and server must agree on, as functions over bytes and text.

``names`` splits and quotes paths, ``parameters`` reads query strings, ``multipart`` writes documents
with their attachments, ``feed`` frames a changes feed, ``conditions`` decides about ranges and ETags,
``checkpoint`` reads and writes what replications remember.
"""
