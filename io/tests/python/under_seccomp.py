"""Runs a command under a seccomp filter, as a container runtime or systemd would.

    under_seccomp.py --profile seccomp.json [--without io_uring_setup,…] COMMAND…
    under_seccomp.py --unit cc-metric-store.service [--without …] COMMAND…

Needs libseccomp.so.2, which every Debian has, and for --unit systemd-analyze.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys

ALLOW = 0x7FFF0000
ERRNO_EPERM = 0x00050000 | 1


def of_profile(path):
    """The system calls that a container profile allows."""
    with open(path, encoding="utf-8") as file:
        profile = json.load(file)
    if profile["defaultAction"] != "SCMP_ACT_ERRNO":
        sys.exit(f"{path} does not forbid by default")
    groups = profile["syscalls"]
    if any(group["action"] != "SCMP_ACT_ALLOW" for group in groups):
        sys.exit(f"{path} has a group that does not allow")
    return {name for group in groups for name in group["names"]}


def members(name):
    """The system calls in a set of systemd, such as @system-service."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    lines = (line.strip() for line in listed.stdout.splitlines()[1:])
    entries = [line for line in lines if line and not line.startswith("#")]
    return set().union(*(members(entry) for entry in entries))


def of_unit(path):
    """The system calls that the lines SystemCallFilter= of a unit leave; the first one allows."""
    allowed = None
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    for line in lines:
        key, _, value = line.partition("=")
        if key != "SystemCallFilter":
            continue
        takes_away = value.startswith("~")
        named = set().union(*(members(entry) for entry in value.lstrip("~").split()))
        if takes_away:
            allowed -= named
        else:
            allowed = (allowed or members("@default")) | named
    if not allowed:
        sys.exit(f"{path} has no SystemCallFilter=")
    return allowed


def main():
    parser = argparse.ArgumentParser()
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--profile")
    source.add_argument("--unit")
    parser.add_argument("--without", default="")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    allowed = of_profile(arguments.profile) if arguments.profile else of_unit(arguments.unit)
    # The command itself has to be started; systemd and runtimes do that before, or allow it.
    allowed |= {"execve"}
    allowed -= set(filter(None, arguments.without.split(",")))

    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERRNO_EPERM)))
    for name in sorted(allowed):
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Names of other architectures or of a newer kernel mean nothing here, as for systemd and runtimes.
        if number >= 0 and library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) != 0:
            sys.exit(f"{name} cannot be allowed")
    if library.seccomp_load(context) != 0:
        sys.exit("the filter cannot be loaded")
    os.execv(arguments.command[0], arguments.command)


if __name__ == "__main__":
    main()
