"""Tries what a service must not be able to do, and prints what was possible all the same."""

import ctypes
import mmap
import os
import socket

CLONE_NEWUSER = 0x10000000
CLONE_NEWNS = 0x00020000
PTRACE_TRACEME = 0
libc = ctypes.CDLL(None, use_errno=True)


def works(attempt):
    try:
        return attempt() not in (-1, None)
    except OSError:
        return False


attempts = {
    "mounting": lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None),
    "a namespace": lambda: libc.unshare(CLONE_NEWUSER | CLONE_NEWNS),
    "tracing": lambda: libc.ptrace(PTRACE_TRACEME, 0, 0, 0),
    "loading a module": lambda: libc.syscall(175, b"", 0, b""),
    "setting the clock": lambda: libc.syscall(227, 0, (ctypes.c_long * 2)(1, 0)),
    "changing the root": lambda: libc.chroot(b"/"),
    "a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "memory to write and execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "another account": lambda: libc.setuid(0 if os.getuid() else 1),
    "a higher priority": lambda: libc.nice(-5),
}
print("\n".join(name for name, attempt in attempts.items() if works(attempt)))
