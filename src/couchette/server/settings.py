"""The settings that ``_config`` shows, by CouchDB's sections and keys, and those of them that can be changed.

What changes at runtime concerns browsers (CORS), sizes, public fields of users and the replicator, and holds until the
server stops: the program's policy says what it begins with. Administrators are apart: they are kept
(:mod:`couchette.users.admins`). All values are texts, as in CouchDB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from couchette import __version__, limits
from couchette.environment import Environment
from couchette.errors import BadRequest, NotFound
from couchette.server import uuids
from couchette.server.policy import Cors, Policy

_INFINITY: Final = "infinity"

Values = dict[str, dict[str, str]]
"""section -> key -> value."""


class Settings:
    """The settings of one app. Any thread may read and change them."""

    def __init__(self, environment: Environment, policy: Policy) -> None:
        """Begin with what the policy says. Raises BadRequest for a value that it cannot have."""
        self._lock = threading.Lock()
        self._turns = environment.replications.scheduler.turns
        self._initial = _initial(environment, policy)
        for name, value in policy.settings.items():
            section, _, key = name.partition("/")
            if (section, key) not in _CHECKS:
                raise BadRequest(f"{name!r} is no setting that can be set.", f"There are {_listed()}.")
            self._initial.setdefault(section, {})[key] = value
        for section, key in _CHECKS:
            if key in self._initial.get(section, {}):
                _check(section, key, self._initial[section][key])
        self.request_bytes_max = limits.REQUEST_BYTES_MAX
        """How large a request may be."""
        self.attachment_bytes_max: int | None = None
        """How large an attachment may be; None for as large as a request."""
        self.public_fields: tuple[str, ...] = ()
        """Members of a user's document that every user may see."""
        self.cors: Cors | None = None
        """Which pages may use the server from other sites; None: no page may."""
        self.reset()

    def reset(self) -> None:
        """Go back to what the program began with."""
        with self._lock:
            self._adopt({section: dict(values) for section, values in self._initial.items()})

    def all(self) -> Values:
        """All of them, but for the administrators. No secret is among them."""
        return {section: dict(values) for section, values in self._values.items() if values}

    def section(self, name: str) -> dict[str, str]:
        """Those of a section; there are none in one that does not exist."""
        return dict(self._values.get(name, {}))

    def get(self, section: str, key: str) -> str:
        """One value. Raises NotFound."""
        try:
            return self._values[section][key]
        except KeyError as exc:
            raise NotFound("unknown_config_value", f"There is no {section}/{key} here.") from exc

    def set(self, section: str, key: str, value: str | None) -> str:
        """Change a value, or with None take it back to its default; return the old one, empty where there was none.

        Raises BadRequest for a setting that cannot be changed, and for a value that it cannot have.
        """
        if (section, key) not in _CHECKS:
            raise BadRequest(
                "This config variable is read-only",
                f"{section}/{key} cannot be changed while the server runs.",
                error="modification_not_allowed",
            )
        if value is not None:
            _check(section, key, value)
        with self._lock:
            changed = {name: dict(values) for name, values in self._values.items()}
            old = changed.setdefault(section, {}).pop(key, "")
            if value is not None:
                changed[section][key] = value
            self._adopt(changed)
        return old

    def _adopt(self, values: Values) -> None:
        self._values = values
        cors = values.get("cors", {})
        enabled = any(values.get(section, {}).get("enable_cors") == "true" for section in ("chttpd", "httpd"))
        self.cors = _cors(cors) if enabled else None
        size = values["chttpd"].get("max_http_request_size")
        self.request_bytes_max = limits.REQUEST_BYTES_MAX if size is None else int(size)
        size = values["couchdb"].get("max_attachment_size", _INFINITY)
        self.attachment_bytes_max = None if size == _INFINITY else int(size)
        self.public_fields = _split(values["chttpd_auth"].get("public_fields", ""))
        replicator = values["replicator"]
        self._turns.max_jobs = int(replicator.get("max_jobs", limits.JOBS_MAX))
        self._turns.max_churn = int(replicator.get("max_churn", limits.JOBS_CHURN_MAX))
        self._turns.interval_s = int(replicator.get("interval", limits.JOBS_INTERVAL_S * 1000)) / 1000


def _initial(environment: Environment, policy: Policy) -> Values:
    values: Values = {
        "chttpd": {
            "enable_cors": _word(policy.cors is not None),
            "max_db_number_for_dbs_info_req": str(limits.DBS_INFO_MAX),
            "max_http_request_size": str(limits.REQUEST_BYTES_MAX),
            "require_valid_user": _word(policy.require_valid_user),
        },
        "chttpd_auth": {
            "iterations": str(policy.password_iterations),
            "timeout": str(limits.SESSION_S),
        },
        "couchdb": {
            "max_attachment_size": _INFINITY,
            "max_document_size": str(limits.DOC_BYTES_MAX),
            "uuid": environment.uuid,
        },
        "cors": {},
        "replicator": {
            "interval": str(int(limits.JOBS_INTERVAL_S * 1000)),
            "max_churn": str(limits.JOBS_CHURN_MAX),
            "max_jobs": str(limits.JOBS_MAX),
        },
        "uuids": {"algorithm": uuids.ALGORITHM, "max_count": str(limits.UUIDS_MAX)},
        "vendor": {"name": "couchette", "version": __version__},
    }
    if policy.cors is not None:
        values["cors"] = {
            "credentials": _word(policy.cors.credentials),
            "exposed_headers": _joined(policy.cors.exposed_headers),
            "headers": _joined(policy.cors.headers),
            "max_age": str(policy.cors.max_age),
            "methods": _joined(policy.cors.methods),
            "origins": _joined(policy.cors.origins),
        }
    return values


def _cors(values: Mapping[str, str]) -> Cors:
    """The values of the section ``cors``; what is not set is as CouchDB has it."""
    default = Cors(())
    return Cors(
        _split(values.get("origins", "")),
        credentials=values.get("credentials") == "true",
        methods=_split(values["methods"]) if "methods" in values else default.methods,
        headers=_split(values["headers"]) if "headers" in values else default.headers,
        exposed_headers=_split(values["exposed_headers"]) if "exposed_headers" in values else default.exposed_headers,
        max_age=int(values.get("max_age", default.max_age)),
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


def _joined(values: tuple[str, ...]) -> str:
    return ", ".join(values)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part for part in map(str.strip, text.split(",")) if part)


def _is_word(text: str) -> bool:
    return text in ("true", "false")


def _is_list(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15


def _is_count(text: str) -> bool:
    return _is_seconds(text) and int(text) > 0


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9  # A header's delta of 31 years; more is no age.


_CHECKS: Final[dict[tuple[str, str], Callable[[str], bool]]] = {
    ("chttpd", "enable_cors"): _is_word,
    ("httpd", "enable_cors"): _is_word,
    ("chttpd", "max_http_request_size"): _is_size,
    ("chttpd_auth", "public_fields"): str.isprintable,
    ("couchdb", "max_attachment_size"): lambda text: text == _INFINITY or _is_size(text),
    ("cors", "credentials"): _is_word,
    ("cors", "exposed_headers"): _is_list,
    ("cors", "headers"): _is_list,
    ("cors", "max_age"): _is_seconds,
    ("cors", "methods"): _is_list,
    ("cors", "origins"): _is_list,
    ("replicator", "interval"): _is_count,
    ("replicator", "max_churn"): _is_count,
    ("replicator", "max_jobs"): _is_count,
}
"""What can be changed, and whether a text can be its value. CouchDB, too, heeds ``httpd``, where tools still write."""


def _listed() -> str:
    return ", ".join("/".join(one) for one in sorted(_CHECKS))


def _check(section: str, key: str, value: str) -> None:
    if not _CHECKS[section, key](value):
        raise BadRequest(f"Invalid value for {section}/{key}", f"Got {value!r}.")
