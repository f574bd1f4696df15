"""Runs a program as a unit of systemd would run it, as far as that goes without systemd.

    confine.py UNIT PROGRAM [ARGUMENT…]

What of the unit holds: NoNewPrivileges, CapabilityBoundingSet, MemoryDenyWriteExecute, RestrictAddressFamilies,
RestrictNamespaces, SystemCallFilter, LimitCORE. The system calls come from systemd's own lists, and libseccomp is what systemd uses too.
"""

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys

PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65
PR_MDWE_REFUSE_EXEC_GAIN = 1
CAPABILITIES = 41
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000
SCMP_CMP_EQ = 4
SCMP_CMP_GT = 6


class Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def settings(unit):
    found = {}
    with open(unit, encoding="utf-8") as lines:
        for line in lines:
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith(("#", "[")):
                found.setdefault(name, []).append(value)
    return found


def expand(words):
    names = set()
    for word in words:
        if word.startswith("@"):
            lines = subprocess.run(
                ["systemd-analyze", "syscall-filter", word], check=True, capture_output=True, text=True
            ).stdout.splitlines()
            inner = [line.strip() for line in lines if line.startswith("    ") and not line.strip().startswith("#")]
            names |= expand(inner)
        else:
            names.add(word)
    return names


def checked(what, result):
    if result != 0:
        sys.exit(f"confine: {what}: {result} {os.strerror(ctypes.get_errno())}")


def filter_calls(unit):
    allowed = expand(["@default"])
    for value in unit["SystemCallFilter"]:
        if value.startswith("~"):
            allowed -= expand(value[1:].split())
        else:
            allowed |= expand(value.split())
    assert unit["RestrictNamespaces"] == ["yes"]
    # systemd looks at the flags; a call without any does nothing that is missed here.
    allowed -= {"unshare", "setns"}
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    refuse = SCMP_ACT_ERRNO | errno.EPERM
    context = ctypes.c_void_p(seccomp.seccomp_init(refuse))
    families = sorted({getattr(socket, name) for name in unit["RestrictAddressFamilies"][0].split()})
    for name in sorted(allowed):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue
        if name != "socket":
            # Calls that this architecture does not have are left out.
            seccomp.seccomp_rule_add(context, SCMP_ACT_ALLOW, number, 0)
            continue
        for family in families:
            one = (Comparison * 1)(Comparison(0, SCMP_CMP_EQ, family, 0))
            checked("socket", seccomp.seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 1, one))
    checked("filter", seccomp.seccomp_load(context))


def main():
    unit = settings(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (int(unit["LimitCORE"][0]),) * 2)
    assert unit["CapabilityBoundingSet"] == [""]
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    assert unit["NoNewPrivileges"] == ["yes"]
    checked("no new privileges", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        # Kernels before 6.3 do not know it.
        libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
    filter_calls(unit)
    os.execv(sys.argv[2], sys.argv[2:])


main()
