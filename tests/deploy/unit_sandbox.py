"""`python unit_sandbox.py UNIT -- COMMAND...`: runs a command under what a systemd unit's SystemCallFilter and
MemoryDenyWriteExecute leave it, without systemd as process 1. As systemd does, through seccomp and prctl; a refused
call gets EPERM.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

HEADERS = (
    Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    Path("/usr/include/asm/unistd_64.h"),
)
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_MDWE = 38, 22, 65
_SECCOMP_MODE_FILTER, _REFUSE_EXEC_GAIN = 2, 1
_AUDIT_ARCH_X86_64 = 0xC000003E
_ALLOW, _KILL, _EPERM = 0x7FFF0000, 0x80000000, 0x00050000 | 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06


def why_not() -> str | None:
    """Why this machine can't do it, None when it can."""
    if platform.machine() != "x86_64":
        return "only written for x86_64"
    if not any(header.is_file() for header in HEADERS):
        return "no kernel headers with the numbers of system calls"
    if tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2]) < (6, 3):
        return "Linux before 6.3 can't refuse executable memory by prctl"
    return None


def values(unit: str, name: str) -> list[str]:
    """What a unit file says of one setting, in its order."""
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def members(group: str) -> set[str]:
    """The calls of a group such as @system-service, those of the groups in it included."""
    if not group.startswith("@"):
        return {group}
    shown = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True, check=True
    )
    lines = [line.strip() for line in shown.stdout.splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and not line.startswith("#")))


def allowed(unit: str) -> set[str]:
    """The calls that the unit leaves: the first list opens, one with ~ takes away. @default is always in it."""
    calls = members("@default")
    for value in values(unit, "SystemCallFilter"):
        named = set().union(*(members(word) for word in value.removeprefix("~").split()))
        calls = calls - named if value.startswith("~") else calls | named
    return calls


def numbers() -> dict[str, int]:
    """The number of each call."""
    header = next(path for path in HEADERS if path.is_file())
    return {name: int(number) for name, number in re.findall(r"__NR_(\w+) (\d+)", header.read_text("ascii"))}


def program(calls: set[str]) -> bytes:
    """The filter: another architecture dies, a listed call passes, any other gets EPERM."""
    known = numbers()
    listed = sorted(known[name] for name in calls if name in known)
    code = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH_X86_64), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in listed:  # one test and one return each: jumps reach 255 instructions only
        code += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    code.append((_RETURN, 0, 0, _EPERM))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def confine(unit: str) -> None:
    """Put this process, and what it becomes, under the unit's rules."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, *arguments: object) -> None:
        padded = [*arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))]
        if libc.prctl(ctypes.c_int(option), *padded) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")

    code = program(allowed(unit))
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    filled = Program(len(code) // 8, ctypes.addressof(buffer))
    prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
    if values(unit, "MemoryDenyWriteExecute") == ["yes"]:
        prctl(_PR_SET_MDWE, ctypes.c_ulong(_REFUSE_EXEC_GAIN))
    prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(filled))


if __name__ == "__main__":
    separator = sys.argv.index("--")
    confine(Path(sys.argv[1]).read_text("utf-8"))
    command = sys.argv[separator + 1 :]
    os.execvp(command[0], command)
