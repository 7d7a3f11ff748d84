"""Stand-ins for servers that the story's hub calls, and the certificate that some requests need."""

import json
import pathlib
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The servers that the hub calls: each has a stand-in of its own. Whatever else the requests name is switched off.
PUBLIC_NAMES = ["https://hooks.nordlicht.example", "https://eu1.cloud.thethings.network", "https://eu1.loriot.io"]

# Answer of The Things Stack to a question about the rights of an API key.
RIGHTS = {"api_key": {"api_key": {"rights": ["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"]}}}

CERTIFICATE_SHOWN = "-----BEGIN CERTIFICATE-----\n(the certificate, in PEM)\n-----END CERTIFICATE-----\n"
PRIVATE_KEY_SHOWN = "-----BEGIN PRIVATE KEY-----\n(the private key, in PEM)\n-----END PRIVATE KEY-----\n"


class Answers(BaseHTTPRequestHandler):
    """Takes whatever integrations and downlinks bring."""

    protocol_version = "HTTP/1.1"

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(RIGHTS if self.path.endswith("/auth_info") else {})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer({})

    def log_message(self, *_):
        pass


class StandIn:
    """A server on a free port of this machine."""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def certificate(folder):
    """A certificate and its private key, in PEM."""
    folder = pathlib.Path(folder)
    key, cert = folder / "story-key.pem", folder / "story-cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
         "-subj", "/CN=Nordlicht example", "-keyout", key, "-out", cert],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    ssl.PEM_cert_to_DER_cert(cert.read_text())
    return cert.read_text(), key.read_text()
