"""Flask behind libcors. Run it with

    gunicorn flask_app:app

or

    flask --app flask_app run --port 8000

and ask it with

    curl -i -H 'Origin: https://app.example.com' http://127.0.0.1:8000/items
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, request

from libcors.wsgi import CORSMiddleware

app = Flask(__name__)


@app.get("/items")
def items() -> list[str]:
    return ["spoon", "fork"]


@app.put("/items/<item>")
def put(item: str) -> dict[str, str]:
    # What was decided is there for the application too.
    return {"item": item, "cors": request.environ["libcors.decision"].reason}


@app.get("/broken")
def broken() -> str:
    raise RuntimeError("a page can read this 500, and that it is one")


# Around the whole application; app itself stays a Flask.
app.wsgi_app = CORSMiddleware(  # type: ignore[method-assign]
    app.wsgi_app,
    policies=Path(__file__).with_name("cors.toml"),
    policy="api",
    # Look at the file again when it changes.
    reload=True,
)
