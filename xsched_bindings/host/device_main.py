"""Entry point of the device process; its one argument is JSON written by `Device`."""

import json
import sys

from xsched_bindings.host.device import serve

if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))
