"""Queries: what drives design functions and indexes through the pool.

:mod:`~couchette.query.catching_up` brings an index up to date and is what all the others stand on. Views:
``definitions`` says which there are, ``compiled`` keeps their functions, ``options`` what is asked, ``rows`` and
``reduced`` answer, ``views`` puts it together. The modules ``find…`` do the same for Mango selectors, and ``gql…``
answer GQL by way of find.
"""
