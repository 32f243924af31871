"""Does the server lose a question where many ask at once, and how long do they wait?

  python benchmarks/serving.py RUN_OR_FILE FOLDER_OF_PHOTOS

Starts scripts/serve.py and sends it 200 photos on loopback by 8 clients at a time;
beside it, 50 photos by one client, which waits for nobody. Prints the median and the
99th percentile of the seconds from question to answer, and photos a second.
"""

import json
import math
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import measuring
import numpy as np

from landmarks_tf.data.photo_set import find_photos

ROOT = Path(__file__).parents[1]
NUM_CLIENTS = 8
NUM_QUESTIONS = 200
NUM_ALONE = 50
DEADLINE = 120


def main(model: str, folder: str) -> None:
    photos = [path.read_bytes() for path in find_photos([folder])]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["scripts/serve.py", f"--model={model}", f"--port={port}"]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    url = f"http://127.0.0.1:{port}/predict"

    def ask(number: int) -> float:
        contents = photos[number % len(photos)]
        begin = time.perf_counter()
        try:
            with urllib.request.urlopen(url, contents, timeout=DEADLINE) as response:
                json.load(response)["landmarks"]
        except (OSError, ValueError, KeyError):
            return math.nan
        return time.perf_counter() - begin

    try:
        wait_for(port)
        ask(0)
        seconds, facts = {}, {}
        for num_clients, count in ((NUM_CLIENTS, NUM_QUESTIONS), (1, NUM_ALONE)):
            begin = time.perf_counter()
            with ThreadPoolExecutor(num_clients) as clients:
                taken = np.array(list(clients.map(ask, range(count))))
            rate = count / (time.perf_counter() - begin)
            name = f"{num_clients} clients, {count} photos"
            seconds[name] = float(np.nanmedian(taken))
            facts[name] = {
                "p99": float(np.nanquantile(taken, 0.99)),
                "photos_per_second": rate,
                "lost": int(np.isnan(taken).sum()),
            }
            print(name, facts[name])
        measuring.report("an answer by POST /predict, median", seconds, **facts)
        if any(fact["lost"] for fact in facts.values()):
            sys.exit("photos were lost")
    finally:
        process.terminate()
        process.wait(DEADLINE)


def wait_for(port: int) -> None:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


if __name__ == "__main__":
    main(*sys.argv[1:])
