"""What can be told of a machine and its data folder without a running server: versions, settings, disk, database."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from pylon.settings import VARIABLES, Settings, effective

MAX_FILES = 2_000
"""Files of the data folder that are listed."""


def versions() -> dict[str, Any]:
    """Of Pylon, Python, SQLite and everything installed beside them."""
    import apsw

    installed = {
        str(found.metadata["Name"]): found.version for found in importlib.metadata.distributions() if found.metadata
    }
    return {
        "pylon": installed.get("pylon", "unknown"),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "installed": dict(sorted(installed.items(), key=lambda item: item[0].lower())),
    }


def configuration(settings: Settings) -> list[dict[str, Any]]:
    """Every setting with the value in force; secrets are masked."""
    return [
        {"name": variable.name, "value": effective(settings, variable), "secret": variable.secret}
        for variable in VARIABLES
    ]


def disk(folder: Path) -> dict[str, Any]:
    """Free space, and what lies in the data folder. Walks the folder: off the event loop."""
    usage = shutil.disk_usage(folder)
    files: list[dict[str, Any]] = []
    total = count = 0
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            file = Path(path, name)
            try:
                found = file.lstat()
            except OSError:  # it went while we looked
                continue
            count += 1
            total += found.st_size
            if len(files) < MAX_FILES:
                files.append(
                    {"path": str(file.relative_to(folder)), "bytes": found.st_size, "modified": found.st_mtime}
                )
    inodes = os.statvfs(folder)
    return {
        "folder": str(folder.absolute()),
        "total_bytes": usage.total,
        "used_bytes": usage.used,
        "free_bytes": usage.free,
        "free_inodes": inodes.f_favail,
        "folder_bytes": total,
        "folder_files": count,
        "files": files,
        "listed_all": len(files) == count,
    }


def process(uptime: float | None = None) -> dict[str, Any]:
    """This process as the system sees it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told: dict[str, Any] = {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "uid": os.getuid(),
        "arguments": sys.orig_argv,
        "folder": os.getcwd(),
        "cpu_user_seconds": used.ru_utime,
        "cpu_system_seconds": used.ru_stime,
        "rss_peak_kib": used.ru_maxrss,
        "open_files_limit": {"soft": soft, "hard": hard},
        "load_average": list(os.getloadavg()),
        "cpus": os.cpu_count(),
    }
    if uptime is not None:
        told["uptime_seconds"] = uptime
    proc = Path("/proc/self")
    if proc.is_dir():
        told["open_files"] = len(list((proc / "fd").iterdir()))
        wanted = ("VmRSS", "VmSize", "VmSwap", "Threads", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        told["status"] = {name: status[name].strip() for name in wanted if name in status}
    return told
