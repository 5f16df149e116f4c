"""An agent that registers itself. Nothing but Python's standard library.

    python3 agent.py scout 8003
"""
import json
import os
import random
import signal
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGISTRY = os.environ.get("REGISTRY_URL", "http://localhost:8000").rstrip("/")
AGENT_ID, PORT = sys.argv[1], int(sys.argv[2])
TTL = 60


class Agent(BaseHTTPRequestHandler):
    def do_GET(self):
        well = self.path == "/health"
        body = json.dumps({"status": "healthy"} if well else {}).encode()
        self.send_response(200 if well else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def call(method, path, body=None):
    """The status code of the answer; an exception when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(REGISTRY + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def keep_registered(stopped):
    registered = False
    while not stopped.is_set():
        pause = TTL / 3 * random.uniform(0.9, 1.1)  # not all agents at the same moment
        try:
            if registered:
                # 404: the registry does not know this agent, so it must register again.
                registered = call("POST", f"/agents/{AGENT_ID}/heartbeat") == 200
            if not registered:
                registered = call("POST", "/agents/register", {
                    "agent_id": AGENT_ID,
                    "agent_name": AGENT_ID.capitalize(),
                    "host": "127.0.0.1",
                    "port": PORT,
                    "ttl_seconds": TTL,
                    "metadata": json.dumps({"capability": "search"}),
                }) == 200
        except OSError:
            pass  # the registry is away: keep trying
        stopped.wait(pause if registered else 2)
    try:
        call("DELETE", f"/agents/{AGENT_ID}")
    except OSError:
        pass  # the registration expires by itself


server = ThreadingHTTPServer(("127.0.0.1", PORT), Agent)
stopped = threading.Event()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: stopped.set())
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"agent {AGENT_ID} on http://127.0.0.1:{PORT}/health", flush=True)
keep_registered(stopped)
