"""What warm parents of these tests load, and the processes that they fork."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

#: How the loader misbehaves, by the model's name.
ODD = ("raises", "thread", "device", "dies")
loaded: list[str] = []


def load(spec: Mapping[str, Any]) -> None:
    match spec["name"]:
        case "raises":
            raise MemoryError("no room for 20 GiB")
        case "thread":
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        case "device":
            # As a library that starts CUDA while it is imported: /dev/null is open, as stdin.
            sys.modules["__main__"].DEVICE_FILES = "/dev/null"  # type: ignore[attr-defined]
        case "dies":
            os.kill(os.getpid(), 9)
    loaded.append(spec["name"])


def load_raises(spec: Mapping[str, Any]) -> None:
    load({"name": "raises"})


def load_thread(spec: Mapping[str, Any]) -> None:
    load({"name": "thread"})


def main(argument: str) -> None:
    """Tell what there is, then do what is said."""
    parent = Connection(int(argument))
    kept = sorted(int(fd.name) for fd in Path("/proc/self/fd").iterdir() if fd.exists())
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    parent.send(
        {
            "parent": os.getppid(),
            "loaded": loaded,
            "fds": kept,
            "environment": dict(os.environ),
            "of_libraries": getenv(b"CUDA_VISIBLE_DEVICES"),
        }
    )
    match parent.recv():
        case "raise":
            raise RuntimeError("its last words")
        case int(code):
            print("its last words", file=sys.stderr, flush=True)
            os._exit(code)
        case "hang":
            time.sleep(600)
