"""The users of an environment: their documents in ``_users``, their passwords, and who logs in.

The HTTP server and :mod:`couchette.pouchdb` know users by this package. Nothing of it is HTTP: cookies, tokens and
what a user may do with a request are the server's.

* ``user``: a user, as functions and answers show one;
* ``passwords``: how passwords are derived and verified;
* ``totp``: one-time passwords beside them;
* ``rules``: what the documents of ``_users`` must be, and whose they are;
* ``admins``: the administrators that the program names, and those of the folder;
* ``accounts``: the users that exist, and whether a password is theirs;
* ``lockout``: who has failed too often;
* ``secret``: what an environment signs with.
"""

from __future__ import annotations

from couchette.users.accounts import Account, Accounts
from couchette.users.user import ADMIN_ROLE, ANONYMOUS, EVERYONE_IS_ADMIN, PREFIX, User

__all__ = ["ADMIN_ROLE", "ANONYMOUS", "EVERYONE_IS_ADMIN", "PREFIX", "Account", "Accounts", "User"]
