"""A server of one archive, as the tests of downloads need it."""

import http.server
import threading


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` as `url`, and promises `extra_length` more bytes of it."""

    def __init__(self, body):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = body
        self.extra_length = 0
        self.num_requests = 0
        self.url = f"http://127.0.0.1:{self.server_port}/photos.zip"

    def running(self):
        """Serves until a fixture that yields from it ends."""
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        yield self
        self.shutdown()
        self.server_close()
        thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.num_requests += 1
        if self.path != "/photos.zip":
            self.send_error(404)
            return
        self.send_response(200)
        if server.extra_length is not None:
            length = len(server.body) + server.extra_length
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *_):
        pass
