"""Serving the page: who may ask, from where, and what a browser may do with the answer."""

import base64
import hashlib
import hmac
import ipaddress
import re
from pathlib import Path

from dash import Dash
from flask import Flask, Request, Response, redirect, request

from growsearch.errors import UserError
from growsearch.text import reason
from growsearch.watch.page import make_app
from growsearch.watch.runs import WatchedRuns

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser may call this machine. Another name that leads here is one of a page that wants to read along."""

PATHS = re.compile(r"/|/run|/compare|/_dash-[a-z/_-]+|/_dash-component-suites/.+|/assets/.+|/_favicon\.ico")
MOST_BYTES = 2**20
"""Bytes of a request."""


def guarded(runs: WatchedRuns, token: str | None, names: tuple[str, ...] | None) -> Flask:
    """The page's server with its checks.

    Args:
        runs: what it shows.
        token: what a browser has to bring once, in the address; None to ask for nothing.
        names: of this machine that a request may name; None for any, where a token is asked for.
    """
    app = make_app(runs)
    server: Flask = app.server
    server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    cookie = f"growsearch-{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"

    @server.before_request
    def check() -> Response | None:
        if (refused := refusal(request, names)) is not None:
            return _plain(refused, 403)
        if not PATHS.fullmatch(request.path):
            return _plain("There is no such page.", 404)
        if token is None or _same(request.cookies.get(cookie), token):
            return None
        if not _same(request.args.get("token"), token):
            return _plain("Open the address that growsearch watch printed, with its token.", 401)
        answer = redirect("/")
        answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
        return answer  # type: ignore[return-value]  # werkzeug's class, of which Flask's is one

    policy = _policy(app)

    @server.after_request
    def protect(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith(("/_dash-component-suites/", "/assets/")):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    return server


def refusal(asked: Request, names: tuple[str, ...] | None) -> str | None:
    """Why a request is not answered: it names another machine, or comes from the page of another site."""
    host = asked.headers.get("Host", "")
    if names is not None and re.sub(r":\d+$", "", host) not in names:
        return "This page is for this machine; open it as http://127.0.0.1."
    origin = asked.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        return "Requests from pages of other sites are not answered."
    if asked.headers.get("Sec-Fetch-Site") == "cross-site" and asked.headers.get("Sec-Fetch-Mode") != "navigate":
        return "Requests from pages of other sites are not answered."
    return None


def _policy(app: Dash) -> str:
    """Everything comes from this server; of inline scripts, the one that starts Dash."""
    digest = base64.b64encode(hashlib.sha256(app.renderer.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _same(given: str | None, token: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), token.encode())


def _plain(text: str, status: int) -> Response:
    return Response(f"{text}\n", status, content_type="text/plain; charset=utf-8")


def is_local(host: str) -> bool:
    """Whether an address is one that only this machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(folder: Path, host: str, port: int, token: str | None) -> None:
    """Serve the page until Ctrl-C.

    Args:
        folder: above the runs.
        host: address to listen on.
        port: its port.
        token: what is asked for; None for nothing.

    Raises:
        UserError: if the address cannot be used.
    """
    from waitress import create_server

    names = (*LOCAL_NAMES, host) if is_local(host) else None
    server = guarded(WatchedRuns(folder), token, names)
    try:
        listening = create_server(server, host=host, port=port, threads=4, ident=None, max_request_body_size=MOST_BYTES)
    except OSError as error:
        raise UserError(
            f"{host}:{port}: cannot be listened on ({reason(error)}); use another --port or --host"
        ) from error
    try:
        listening.run()
    finally:
        listening.close()
