"""One call with NVIDIA's client; the error that it ends with, if any, as one line of JSON: ADDRESS METHOD ARGUMENT…"""

import asyncio
import json
import sys

from triton_flavour import Client

if __name__ == "__main__":
    address, method, *arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(Client("tritonclient.grpc", address).refused(method, *arguments))))
