"""The secret of an environment: what it signs, such as cookies, nobody else could have made."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from couchette.environment import Environment
from couchette.errors import StoreError

SECRET_FILE: Final = "secret"
_SECRET_BYTES: Final = 32


def stored_secret(environment: Environment) -> bytes:
    """The secret of an environment, which only its owner can read; it is made once, so cookies outlive a restart.

    Raises StoreError.
    """
    if environment.in_memory:
        return secrets.token_bytes(_SECRET_BYTES)
    file = Path(environment.folder, SECRET_FILE)
    fresh = Path(environment.folder, f"{SECRET_FILE}.{secrets.token_hex(8)}")
    try:
        if not file.exists():
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as output:
                output.write(secrets.token_hex(_SECRET_BYTES).encode())
            try:
                os.link(fresh, file)
            except FileExistsError:
                pass  # Another process was first; its secret stands.
            finally:
                fresh.unlink()
        secret = file.read_bytes().strip()
    except OSError as exc:
        raise StoreError(f"The file {file} cannot be used.", f"{exc.strerror}; it holds what signs cookies.") from exc
    if len(secret) < _SECRET_BYTES:
        raise StoreError(f"The file {file} is too short.", "Delete it: another one is made, and all sessions end.")
    return secret
