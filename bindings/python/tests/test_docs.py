"""What the documentation shows, in an empty folder, by the commands that it
shows."""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from documents import (
    APPLICATIONS,
    MIDDLEWARE,
    MORE_PROGRAMS,
    MORE_SECTIONS,
    PACKAGE,
    POLICY_FILE,
    Application,
    Block,
)
from hosts import call_asgi, call_wsgi, environ, http_scope
from serving import APP, EVIL, Server, environment, free_port, running, stop

import libcors
import libcors.asgi
import libcors.wsgi

ROOT = Path(__file__).parents[3]

# By the beginning of a command, what makes it listen where the test says.
LISTEN = {
    "daphne": "--bind=127.0.0.1 --port=PORT",
    "fastapi dev": "--host=127.0.0.1 --port=PORT",
    "fastapi run": "--host=127.0.0.1 --port=PORT",
    "flask run": "--port=PORT",
    "granian": "--port=PORT",
    "gunicorn": "--bind=127.0.0.1:PORT --no-control-socket",
    "hypercorn": "--bind=127.0.0.1:PORT",
    "litestar run": "--port=PORT",
    "python manage.py runserver": "127.0.0.1:PORT",
    "quart run": "--port=PORT",
    "sanic": "--port=PORT --single-process",
    "uvicorn": "--port=PORT",
    "waitress-serve": "--listen=127.0.0.1:PORT",
}


def command_line(command: str) -> list[str]:
    for program, options in LISTEN.items():
        if command.startswith(program):
            rest = command.removeprefix(program).split()
            return [*program.split(), *options.split(), *rest]
    if command.startswith("uwsgi"):
        command += " --die-on-term"
    # The port is in the program, or in the command.
    return command.replace("8000", "PORT").split()


def folder_of(application: Application, folder: Path) -> Path:
    """A folder with the files, and with nothing but these."""
    folder.mkdir()
    if application.section == "Django":
        subprocess.run(
            [*PYTHON, "-m", "django", "startproject", "mysite", "."],
            check=True,
            cwd=folder,
        )
    (folder / "cors.toml").write_text(POLICY_FILE)
    for name, text in application.files.items():
        (folder / name).write_text(text)
    return folder


PYTHON = [sys.executable]


@contextmanager
def serving(
    application: Application, command: str, path: Path
) -> Iterator[Server]:
    folder = folder_of(application, path / "site")
    words = command_line(command)
    if command == "python app.py":
        # Its port is in the file.
        words.append("PORT")
        file = folder / "app.py"
        text = file.read_text()
        assert text.count("8000") == 1
        port = "int(__import__('sys').argv[1])"
        file.write_text(text.replace("8000", port))
    with running(words, folder, path / "log") as server:
        yield server


def find(section: str) -> Application:
    """The first application of a section."""
    return next(a for a in APPLICATIONS if a.section == section)


FIRST = "The Python middleware"
OFTEN = ("uvicorn", "hypercorn")


def shown() -> list[Any]:
    found = []
    for application in APPLICATIONS:
        for command in application.commands:
            is_first = application.section == FIRST
            is_more = (
                command.startswith(MORE_PROGRAMS)
                or application.section in MORE_SECTIONS
                # Once is enough for a short run.
                or (command.startswith(OFTEN) and not is_first)
            )
            found.append(
                pytest.param(
                    application,
                    command,
                    id=f"{application.section}: {command}",
                    marks=[pytest.mark.more] if is_more else [],
                )
            )
    return found


@pytest.mark.parametrize(("application", "command"), shown())
def test_application(
    tmp_path: Path, application: Application, command: str
) -> None:
    with serving(application, command, tmp_path) as server:
        has_items = application.section != "Django"
        for path, status in (
            ("/items", 200 if has_items else 404),
            ("/missing", 404),
        ):
            answer = server.ask(path)
            assert answer.status == status and answer.whole
            assert answer.allowed == APP
            assert "Origin" in (answer.one("Vary") or "")
            if status == 200:
                assert "spoon" in answer.text
            answer = server.ask(path, origin=EVIL)
            assert answer.status == status and answer.whole
            assert answer.allowed is None
            assert "Origin" in (answer.one("Vary") or "")
            answer = server.preflight(path)
            assert answer.status == 204 and answer.whole
            assert answer.allowed == APP
            methods = answer.one("Access-Control-Allow-Methods")
            assert methods == "PUT, DELETE"
            assert answer.one("Access-Control-Max-Age") == "600"
            answer = server.preflight(path, origin=EVIL)
            assert answer.status == 204 and answer.allowed is None
        if "/broken" in "".join(application.files.values()):
            answer = server.ask("/broken")
            assert (answer.status, answer.text) == (500, "sorry")
            assert answer.allowed == APP


# What is added to an application: headers of its own, and a 401 for what has
# no password.
OTHERS = {
    "aiohttp": """

async def other_headers(request, response):
    response.headers["access-control-allow-origin"] = "*"
    response.headers["vary"] = "Cookie"

@web.middleware
async def login(request, handler):
    if request.method == "OPTIONS":
        raise web.HTTPUnauthorized
    return await handler(request)

app.middlewares.append(login)
app.on_response_prepare.insert(0, other_headers)
""",
    "Tornado": """

def other_headers(self: web.RequestHandler) -> None:
    self.set_header("access-control-allow-origin", "*")
    self.set_header("vary", "Cookie")

def login(self: web.RequestHandler) -> None:
    self.set_status(401)

web.RequestHandler.set_default_headers = other_headers
Items.options = login
""",
    "Sanic": """

@app.on_response
async def other_headers(request: Request, response: HTTPResponse) -> None:
    response.headers["access-control-allow-origin"] = "*"
    response.headers["vary"] = "Cookie"

@app.on_request
async def login(request: Request) -> HTTPResponse | None:
    return empty(401) if request.method == "OPTIONS" else None
""",
}


@pytest.mark.more
@pytest.mark.parametrize("section", OTHERS)
def test_nothing_answers_without_the_policy(
    tmp_path: Path, section: str
) -> None:
    application = find(section)
    text = application.files["app.py"]
    head, main, tail = text.partition('if __name__ == "__main__":')
    wrong = f"{head}{OTHERS[section]}\n{main}{tail}"
    other = Application(section, {"app.py": wrong}, [])
    with serving(other, application.commands[0], tmp_path) as server:
        for path, status in (("/items", 200), ("/missing", 404)):
            for origin, allowed in ((APP, APP), (EVIL, None)):
                answer = server.ask(path, origin=origin)
                assert answer.status == status and answer.allowed == allowed
                vary = answer.one("Vary") or ""
                assert vary.split(", ") == ["Cookie", "Origin"]
        answer = server.preflight("/items")
        assert answer.status == 204 and answer.allowed == APP


# Where there is an application beside the wrapped one, these take it.
@pytest.mark.parametrize(
    ("section", "command"),
    [
        pytest.param(FIRST, "fastapi dev main.py", marks=pytest.mark.more),
        (FIRST, "fastapi run main.py"),
        ("Litestar", "litestar run"),
        ("Flask", "flask run"),
    ],
)
def test_what_commands_search_for(
    tmp_path: Path, section: str, command: str
) -> None:
    application = find(section)
    ((name, text),) = application.files.items()
    wrong = re.sub(r"(?m)^app\.(add_|asgi_|wsgi_)[^)]*\)\n", "", text)
    assert "policies" not in wrong
    wrong += (
        'wrapped = CORSMiddleware(app, policies="cors.toml", policy="api")'
    )
    beside = Application(section, {name: wrong}, [])
    with serving(beside, command, tmp_path) as server:
        answer = server.ask("/items")
        assert answer.status == 200 and "spoon" in answer.text
        assert answer.allowed is None and answer.one("Vary") is None


WRONG = """\
[policy.api]
allow_origins = ["https://a.example/"]
allow_orgins = []
"""


def pattern(block: Block) -> str:
    """An expression for a text in which dots stand for some words."""
    lines = [re.escape(line) for line in block.text.splitlines()]
    # What a log has before or between the lines is its own business.
    return ".*".join(lines).replace(r"\.\.\.", r"[^\n]+")


# The text of a file, and what is then said.
ERRORS = (WRONG, ["PolicyError: 2 errors in cors.toml", "E0209", "E0108"])
NAME = (POLICY_FILE.replace("api", "apj"), ["no policy 'api'; it has 'apj'"])
NO_FILE = (None, ["FileNotFoundError", "cors.toml"])


@pytest.mark.parametrize(
    ("command", "cors_toml", "problems"),
    [
        ("fastapi run main.py", *ERRORS),
        ("gunicorn --worker-class=asgi main:app", *ERRORS),
        ("uvicorn main:app", *ERRORS),
        ("uvicorn main:app", *NAME),
        ("uvicorn main:app", *NO_FILE),
        pytest.param("hypercorn main:app", *ERRORS, marks=pytest.mark.more),
        pytest.param(
            "granian --interface=asgi main:app",
            *ERRORS,
            marks=pytest.mark.more,
        ),
    ],
)
def test_a_server_does_not_start_with_a_wrong_file(
    tmp_path: Path, command: str, cors_toml: str | None, problems: list[str]
) -> None:
    folder = folder_of(find(FIRST), tmp_path / "site")
    (folder / "cors.toml").unlink()
    if cors_toml is not None:
        (folder / "cors.toml").write_text(cors_toml)
    words = command_line(command)
    port = str(free_port())
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [word.replace("PORT", port) for word in words],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        status = process.wait(90)
    finally:
        stop(process)
    said = log.read_text()
    for problem in problems:
        assert problem in said, said
    # hypercorn says so, and returns 0.
    assert status != 0 or command.startswith("hypercorn"), said
    if cors_toml == WRONG and command.startswith("uvicorn"):
        assert re.search(f"(?s){pattern(startup_log())}", said), said


@pytest.mark.parametrize(
    "command",
    [
        "uvicorn --lifespan=off main:app",
        pytest.param("daphne main:app", marks=pytest.mark.more),
    ],
)
def test_without_a_lifespan_the_first_request_fails(
    tmp_path: Path, command: str
) -> None:
    files = find(FIRST).files | {"cors.toml": WRONG}
    application = Application(FIRST, files, [])
    with serving(application, command, tmp_path) as server:
        for _ in range(2):
            answer = server.ask("/items")
            assert answer.status == 500 and answer.allowed is None
        for problem in ERRORS[1]:
            server.wait_for_log(problem)


def startup_log() -> Block:
    return next(b for b in MIDDLEWARE if "startup failed" in b.text)


def log_lines() -> list[str]:
    block = next(b for b in MIDDLEWARE if b.text.startswith("CORS: unknown"))
    lines = block.text.splitlines()
    assert len(lines) == 2
    return lines


def log_set_up() -> str:
    found = [b for b in MIDDLEWARE if b.text.startswith("import logging")]
    assert len(found) == 1
    return found[0].text


# It configures all loggers, from INFO.
VERBOSE = "litestar run"
# It configures all loggers.
LEVELS = "waitress-serve"


@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize(
    ("section", "command"),
    [
        (FIRST, "uvicorn main:app"),
        pytest.param(FIRST, "fastapi run main.py", marks=pytest.mark.more),
        ("Litestar", "litestar run"),
        ("Flask", "flask run"),
        ("Flask", "gunicorn app:app"),
        ("Flask", "waitress-serve app:app"),
        pytest.param("Quart", "hypercorn app:app", marks=pytest.mark.more),
        pytest.param(
            "Flask",
            "granian --interface wsgi app:app",
            marks=pytest.mark.more,
        ),
    ],
)
def test_what_is_logged(
    tmp_path: Path, section: str, command: str, configured: bool
) -> None:
    ((name, text),) = find(section).files.items()
    unknown, denied = log_lines()
    choose = (
        "lambda request: 'acme' if '/acme' in "
        "(request.get('path'), request.get('PATH_INFO')) else 'api'"
    )
    assert text.count('policy="api"') == 1
    text = text.replace('policy="api"', f"policy={choose}")
    if configured:
        text = f"{log_set_up()}\n{text}"
    application = Application(section, {name: text}, [])
    with serving(application, command, tmp_path) as server:
        file = tmp_path / "site" / "cors.toml"
        assert file.read_text() == POLICY_FILE
        for _ in range(3):
            assert server.ask("/acme").allowed is None
        assert server.ask("/items", origin=EVIL).allowed is None
        one_policy = unknown.replace(", 'public'", "")
        server.wait_for_log(re.escape(one_policy))
        if configured or command.startswith(VERBOSE):
            server.wait_for_log(re.escape(denied))
    assert server.log().count("unknown policy") == 1
    if not configured and not command.startswith(VERBOSE):
        assert "denied actual" not in server.log()
        # The message alone, but with waitress.
        prefix = "ERROR:libcors:" if command.startswith(LEVELS) else ""
        assert f"\n{prefix}{one_policy}\n" in f"\n{server.log()}"
    if configured and command.startswith("uvicorn"):
        assert re.search(r"\d+ INFO libcors: denied actual", server.log())


def test_an_entry_of_middleware_is_refused(tmp_path: Path) -> None:
    folder = folder_of(find("Django"), tmp_path / "site")
    settings = folder / "mysite" / "settings.py"
    entry = 'MIDDLEWARE = ["libcors.wsgi.CORSMiddleware"]\n'
    settings.write_text(f"{settings.read_text()}\n{entry}")
    code = "import mysite.wsgi"
    answer = subprocess.run(
        [*PYTHON, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "TypeError: policies is missing" in answer.stderr
    assert "wsgi.py or asgi.py" in answer.stderr


def test_static_files_and_the_test_client_of_django(tmp_path: Path) -> None:
    """They do not pass the middleware, as the documentation says."""
    application = find("Django")
    with serving(
        application, "python manage.py runserver", tmp_path
    ) as server:
        answer = server.ask("/static/admin/css/base.css")
        # Only with the admin's files, which a new project has.
        assert answer.status == 200 and answer.allowed is None
    code = (
        "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = "
        "'mysite.settings'; django.setup(); from django.test import Client; "
        "answer = Client().get('/', headers={'origin': "
        f"'{APP}'}}, SERVER_NAME='localhost'); "
        "assert 'Access-Control-Allow-Origin' not in answer.headers; "
        "print(answer.status_code)"
    )
    subprocess.run(
        [*PYTHON, "-c", code],
        cwd=tmp_path / "site",
        env=environment(),
        check=True,
    )


# Pieces of code that are no files, by how they begin.

Piece = Callable[[str, Path], None]


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(compile(code, "<documentation>", "exec"), names)
    return names


def piece_httpx(code: str, folder: Path) -> None:
    site = folder_of(find("Django"), folder / "site")
    subprocess.run(
        [*PYTHON, "-c", code], cwd=site, env=environment(), check=True
    )


PUBLIC = '\n[policy.public]\nallow_origins = ["*"]\n'


def piece_mounted(code: str, folder: Path) -> None:
    (folder / "cors.toml").write_text(POLICY_FILE + PUBLIC)
    main = find(FIRST).files["main.py"]
    # This piece is another way to add the middleware.
    main = main.replace("app.add_middleware", "# ")
    names = run(main, __name__="main")
    names["Scope"] = dict[str, Any]
    exec(code, names)
    for path, allowed in (("/items", None), ("/public/x", "*")):
        scope = http_scope(headers=[(b"origin", EVIL.encode())], path=path)
        answer = call_asgi(names["app"], scope)
        found = answer.values("access-control-allow-origin")
        assert found == ([allowed] if allowed else [])


def piece_tenants(code: str, folder: Path) -> None:
    policy = run(code, Any=Any)["policy"]
    assert policy({"HTTP_HOST": "api.acme.example"}) == "acme"
    assert policy({}) == "unknown"
    assert get_type_hints(policy)["return"] is str


def piece_signature(code: str, folder: Path) -> None:
    for middleware in (
        libcors.asgi.CORSMiddleware,
        libcors.wsgi.CORSMiddleware,
    ):
        words = []
        parameters = inspect.signature(middleware).parameters.values()
        for parameter in parameters:
            if parameter.kind == parameter.KEYWORD_ONLY and "*" not in words:
                words.append("*")
            default = f"={parameter.default!r}"
            if parameter.default is parameter.empty:
                default = ""
            words.append(f"{parameter.name}{default}")
        assert re.findall(r"[^\s,()]+", code) == ["CORSMiddleware", *words]


def piece_reload(code: str, folder: Path) -> None:
    (folder / "cors.toml").write_text(POLICY_FILE)
    for middleware in (
        libcors.asgi.CORSMiddleware,
        libcors.wsgi.CORSMiddleware,
    ):
        run(code, CORSMiddleware=middleware, app=None)


def piece_logging(code: str, folder: Path) -> None:
    """It is run by test_what_is_logged."""
    assert code == log_set_up()


def piece_count(code: str, folder: Path) -> None:
    import flask

    (folder / "cors.toml").write_text(POLICY_FILE)
    names = run(find("Flask").files["app.py"], __name__="app")
    counted = []

    class Statsd:
        def increment(self, name: str, tags: list[str]) -> None:
            counted.append((name, tags))

    names |= {"statsd": Statsd(), "request": flask.request}
    exec(code, names)
    answer = call_wsgi(names["app"], environ(path="/count", HTTP_ORIGIN=APP))
    assert answer.body == b"counted"
    assert counted == [("cors", ["actual", "allowed"])]


def piece_first(code: str, folder: Path) -> None:
    (folder / "cors.toml").write_text(POLICY_FILE)
    output = io.StringIO()
    run(code, print=lambda text: output.write(f"{text}\n"))
    assert output.getvalue() == f"Access-Control-Allow-Origin: {APP}\n"


def piece_mapping(code: str, folder: Path) -> None:
    policies = libcors.Policies.parse(POLICY_FILE)
    run(code, libcors=libcors, policies=policies, name="x")


def piece_answer(code: str, folder: Path) -> None:
    def application(env: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"ok"]

    policy = libcors.Policies.parse(POLICY_FILE)["api"]
    answer = run(
        code, policy=policy, application=application, HTTPStatus=HTTPStatus
    )["answer"]
    got = call_wsgi(answer, environ(HTTP_ORIGIN=APP))
    assert got.body == b"ok"
    assert got.values("access-control-allow-origin") == [APP]
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT"}
    got = call_wsgi(answer, environ("OPTIONS", HTTP_ORIGIN=APP, **asked))
    assert got.status == 204


def piece_warnings(code: str, folder: Path) -> None:
    file = folder / "cors.toml"
    file.write_text(POLICY_FILE)
    run(code, warnings=warnings, libcors=libcors)
    file.write_text(POLICY_FILE.replace('"PUT"', '"GET"'))
    with pytest.raises(libcors.PolicyWarning):
        run(code, warnings=warnings, libcors=libcors)


PIECES: dict[str, Piece] = {
    "import httpx": piece_httpx,
    "public = FastAPI()": piece_mounted,
    "TENANTS": piece_tenants,
    "CORSMiddleware(app, policies=None": piece_signature,
    'CORSMiddleware(app, policies="cors.toml"': piece_reload,
    "import logging": piece_logging,
    '@app.get("/count")': piece_count,
    "import libcors": piece_first,
    'policies["api"]': piece_mapping,
    "def answer": piece_answer,
    "with warnings": piece_warnings,
}


@pytest.mark.parametrize(
    "block",
    [
        block
        for block in [*MIDDLEWARE, *PACKAGE]
        if block.kind == "python" and block.name is None
    ],
    ids=str,
)
def test_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    (piece,) = [PIECES[b] for b in PIECES if block.text.startswith(b)]
    monkeypatch.chdir(tmp_path)
    piece(block.text, tmp_path)


def test_policy_files() -> None:
    """Those that are shown, and parts of such."""
    found = [b for b in [*MIDDLEWARE, *PACKAGE] if b.kind == "toml"]
    assert len(found) == 2
    for block in found:
        text = block.text
        if "[policy." not in text:
            text = f'[policy.p]\nallow_origins = ["{APP}"]\n{text}'
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            libcors.Policies.parse(text)


def test_texts(tmp_path: Path) -> None:
    """What programs print."""
    texts = [b for b in [*MIDDLEWARE, *PACKAGE] if b.kind == "text"]
    startup, log, explained, errors = texts
    # Other tests look for these.
    assert startup == startup_log() and log.text.splitlines() == log_lines()

    policy = libcors.Policies.parse(POLICY_FILE)["api"]
    said = policy.explain("GET", EVIL)
    assert re.search(f"(?s)^{pattern(explained)}", said), said

    wrong = (
        '[policy.api]\nallow_orgins = []\nallow_origins = ["https://b.example",'
        ' "https://app.example.com/"]\nmax_age = "4x"\n'
    )
    with pytest.raises(libcors.PolicyError) as caught:
        libcors.Policies.parse(wrong, "wrong.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == errors.text.splitlines()[0]
    message = errors.text.splitlines()[1].partition(": ")[2]
    assert message in str(caught.value)
    (last, *_) = traceback.format_exception_only(caught.value)
    assert last.startswith("libcors.PolicyError: ")


# Where `cargo xtask python` runs what these commands do.
ELSEWHERE = {
    "LIBCORS_SYSTEM=1 pip install ./bindings/python",
    "cargo xtask python --venv",
    "target/python/venv/main/bin/python benches/python/run.py --table",
    "target/python/venv/main/bin/python bindings/python/tests/leaks.py",
}


@pytest.mark.more
def test_installation(tmp_path: Path) -> None:
    commands = [b.text for b in PACKAGE if b.kind == "sh"]
    lines = [line for text in commands for line in text.splitlines()]
    here = [line for line in lines if line not in ELSEWHERE]
    assert len(here) == len(lines) - len(ELSEWHERE)
    (tmp_path / "bindings").symlink_to(ROOT / "bindings")
    env = environment() | {"PYTHONPATH": ""}
    script = "\n".join(
        ["set -eux", *here, "python -c 'import libcors; print(libcors)'"]
    )
    # Not into the source tree.
    script = script.replace(
        "--sdist bindings", "--sdist --outdir out bindings"
    )
    answer = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=env | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert str(tmp_path) in answer.stdout.splitlines()[-1]
    assert list((tmp_path / "wheels").glob("*.whl"))
    assert list((tmp_path / "out").glob("*.tar.gz"))
