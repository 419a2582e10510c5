"""``growsearch watch [FOLDER]``: a live page of all runs of a folder."""

import logging
import secrets
from pathlib import Path

from growsearch.cli.arguments import Arguments, given_path
from growsearch.errors import UserError

PORT = 8050

EPILOG = """\
examples:
  growsearch watch                          all runs below outputs, at http://127.0.0.1:8050
  growsearch watch outputs/densemann --port 8051
  ssh -L 8050:127.0.0.1:8050 machine        then watch there, and open http://127.0.0.1:8050 here
  growsearch watch --host 0.0.0.0           reachable from other machines, with a token and without encryption
"""


def main(argv: list[str]) -> int:
    """Serve the page until Ctrl-C."""
    parser = Arguments(
        "growsearch watch",
        description="Show all runs of a folder in a browser as they go. Nothing in the folder is changed.",
        epilog=EPILOG,
    )
    parser.add_argument("folder", nargs="?", type=given_path, default=Path("outputs"), help="default: outputs")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}")
    parser.add_argument(
        "--token",
        help="ask browsers for this text; made up where --host is not this machine, and not asked for otherwise",
    )
    options = parser.parse_args(argv)
    folder = options.folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; name one that holds runs, or will")
    if not 0 < options.port < 65536:
        raise UserError(f"--port: {options.port} is not accepted; use 1 to 65535")
    if options.token == "":
        raise UserError("--token: an empty text is not accepted; leave --token out or give a text")
    try:
        from growsearch.watch.server import is_local, serve
    except ModuleNotFoundError as error:
        raise UserError(f"watch needs the package {error.name!r}; pip install 'growsearch[ui]' brings it") from error
    token = options.token or (None if is_local(options.host) else secrets.token_urlsafe(24))
    logging.getLogger("waitress").setLevel(logging.ERROR)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    print(f"watching {folder} at http://{shown}:{options.port}/{f'?token={token}' if token else ''}", flush=True)
    if not is_local(options.host):
        print("The connection is not encrypted; an SSH tunnel is (growsearch watch --help).", flush=True)
    print("Ctrl-C ends it; runs go on.", flush=True)
    serve(folder, options.host, options.port, token)
    return 0
