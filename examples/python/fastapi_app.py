"""FastAPI behind libcors. Run it with

    fastapi run fastapi_app.py

or

    uvicorn fastapi_app:app

and ask it with

    curl -i -H 'Origin: https://app.example.com' http://127.0.0.1:8000/items
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, WebSocket

from libcors.asgi import CORSMiddleware

app = FastAPI()


def policy(scope: MutableMapping[str, Any]) -> str:
    """The name of the policy that a request gets."""
    return "public" if scope["path"] == "/status" else "api"


# Added to the application itself, so that every command that finds the
# application serves it with the middleware. Add it after all others.
app.add_middleware(
    CORSMiddleware,
    policies=Path(__file__).with_name("cors.toml"),
    policy=policy,
    # Look at the file again when it changes.
    reload=True,
)


@app.get("/items")
async def items() -> list[str]:
    return ["spoon", "fork"]


@app.put("/items/{item}")
async def put(item: str, request: Request) -> dict[str, str]:
    # What was decided is there for the application too.
    return {"item": item, "cors": request.scope["libcors"].reason}


@app.get("/broken")
async def broken() -> None:
    raise RuntimeError("a page can read this 500, and that it is one")


@app.get("/status")
async def status() -> str:
    return "up"


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()
