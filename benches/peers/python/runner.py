"""Starlette and Django, as a runner; benches/src/runner.rs says how one is
spoken to.

    runner.py WORKLOADS

WORKLOADS is a folder that `cargo bench-libcors` writes.
"""

import json
import re
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def pattern_of(workload):
    """A regular expression for what a list cannot say, or None."""
    if workload["expressions"]:
        return "|".join(f"(?:{each})" for each in workload["expressions"])
    origin = workload["origins"][0]
    if "//*." in origin:
        return re.escape(origin).replace(r"\*", ".*")
    return None


class Starlette:
    """An ASGI application, bare or behind Starlette's middleware."""

    def __init__(self, workload, cors):
        self.messages = []
        application = self.application
        if cors:
            from starlette.middleware.cors import CORSMiddleware

            application = CORSMiddleware(
                application, **self.options(workload)
            )
        self.application = application
        self.scope = {
            "type": "http",
            "method": workload["method"],
            "path": "/",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in workload["lines"]
            ],
        }

    @staticmethod
    def options(workload):
        pattern = pattern_of(workload)
        return {
            "allow_origins": () if pattern else workload["origins"],
            "allow_origin_regex": pattern,
            "allow_methods": workload["methods"],
            "allow_headers": workload["headers"],
            "allow_credentials": workload["credentials"],
            "max_age": workload["max_age"],
        }

    @staticmethod
    async def application(scope, receive, send):
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    async def send(self, message):
        self.messages.append(message)

    async def receive(self):
        return {"type": "http.request", "body": b"", "more_body": False}

    def once(self):
        self.messages.clear()
        call = self.application(self.scope, self.receive, self.send)
        try:
            call.send(None)
        except StopIteration:
            return
        raise RuntimeError("the application waits")

    def response(self):
        self.once()
        start = self.messages[0]
        lines = [(n.decode(), v.decode("latin-1")) for n, v in start["headers"]]
        return start["status"], lines


class Django:
    """A Django application, bare or behind django-cors-headers.

    Django has one set of settings in a process, so each request sets those of
    its workload when it is made; measuring does not set any.
    """

    ready = False

    def __init__(self, workload, cors):
        from django.conf import settings

        if not Django.ready:
            import django

            settings.configure(
                ALLOWED_HOSTS=["*"], ROOT_URLCONF=[], USE_TZ=True
            )
            django.setup()
            Django.ready = True

        from django.http import HttpRequest, HttpResponse

        self.workload = workload
        self.make = HttpResponse
        self.handler = self.view
        if cors:
            from corsheaders.middleware import CorsMiddleware

            if workload["headers"] == ["*", "Authorization"]:
                raise NotImplementedError("it cannot allow any header")
            self.handler = CorsMiddleware(self.view)
        self.request_class = HttpRequest
        self.meta = {"REQUEST_METHOD": workload["method"], "HTTP_HOST": "a.example"}
        for name, value in workload["lines"]:
            self.meta["HTTP_" + name.upper().replace("-", "_")] = value

    def view(self, request):
        return self.make(b"")

    def configure(self):
        from django.conf import settings

        workload = self.workload
        pattern = pattern_of(workload)
        settings.CORS_ALLOWED_ORIGINS = [] if pattern else workload["origins"]
        settings.CORS_ALLOWED_ORIGIN_REGEXES = (
            [f"^(?:{pattern})$"] if pattern else []
        )
        settings.CORS_ALLOW_METHODS = workload["methods"]
        settings.CORS_ALLOW_HEADERS = workload["headers"]
        settings.CORS_ALLOW_CREDENTIALS = workload["credentials"]
        settings.CORS_PREFLIGHT_MAX_AGE = workload["max_age"]

    def once(self):
        # A request keeps what middleware finds out, so each needs its own.
        request = self.request_class()
        request.META = self.meta
        request.method = self.meta["REQUEST_METHOD"]
        request.path = request.path_info = "/"
        return self.handler(request)

    def response(self):
        self.configure()
        response = self.once()
        return response.status_code, list(response.items())


CONTENDERS = {
    "asgi-none": lambda workload: Starlette(workload, cors=False),
    "starlette": lambda workload: Starlette(workload, cors=True),
    "django-none": lambda workload: Django(workload, cors=False),
    "django-cors-headers": lambda workload: Django(workload, cors=True),
}

subjects = {}


def subject(contender, name):
    key = contender, name
    if key not in subjects:
        try:
            subjects[key] = CONTENDERS[contender](load(name))
        except NotImplementedError:
            subjects[key] = None
    return subjects[key]


def batch(once, times):
    start = time.perf_counter_ns()
    for _ in range(times):
        once()
    return time.perf_counter_ns() - start


def measure(subject, batches, length):
    if isinstance(subject, Django):
        subject.configure()
    once = subject.once
    # As many as fill a batch; finding that out warms up.
    times = 1
    while True:
        took = batch(once, times)
        if took * 2 >= length:
            break
        times *= 2
    times = max(1, times * length // took)
    return [batch(once, times) / times for _ in range(batches)]


def main():
    for line in sys.stdin:
        match line.split():
            case ["contenders"]:
                print(*CONTENDERS)
            case ["answer", contender, name]:
                found = subject(contender, name)
                if found is None:
                    print("none")
                else:
                    status, lines = found.response()
                    print(status)
                    for header, value in lines:
                        print(f"{header}: {value}")
                    print()
            case ["time", contender, name, batches, length]:
                samples = measure(
                    subject(contender, name), int(batches), int(length)
                )
                print(*(f"{sample:.3f}" for sample in samples))
            case _:
                sys.exit(f"cannot do {line!r}")
        sys.stdout.flush()


main()
