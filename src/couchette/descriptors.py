"""How many files and sockets the operating system lets this process have open at once."""

from __future__ import annotations

from couchette.limits import DATABASES_AWAKE_MAX, DESCRIPTORS_MAX

try:
    import resource
except ImportError:  # Windows, which has no such limit.
    resource = None  # type: ignore[assignment]


def descriptors() -> int | None:
    """The limit that holds now; None where there is none."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_descriptors() -> None:
    """Raise the limit as far as that is useful and allowed; for programs that are a server and nothing else."""
    soft = descriptors()
    if resource is None or soft is None or soft >= DESCRIPTORS_MAX:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def databases_awake_max() -> int:
    """How many databases of a folder may keep their files open: each takes five descriptors, two for each reader."""
    limit = descriptors()
    return DATABASES_AWAKE_MAX if limit is None else max(1, min(DATABASES_AWAKE_MAX, limit // 16))
