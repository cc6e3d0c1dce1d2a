"""./run: builds Lodgepole and starts it, or shows it at work on real data with --demo."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import environments
from lodgepole_server import EndedEarly, Server, ServerError, scratch_folder
from workspace import ROOT, SetupError, build, say, stop_on_signals

QUICKSTART = ROOT / "scripts" / "quickstart"
DEFAULT_URL = "http://localhost:5080"

HELP = """\
./run builds Lodgepole, starts it on this machine's disk, and prints lines to paste into
Python, TypeScript and a shell. Ctrl-C stops it; the data stays.

  ./run                              data in ./data, control plane on http://localhost:5080
  ./run --data-dir DIR --listen HOST:PORT   elsewhere; these and all other arguments are those of
                                     `lodgepole serve` (see `./run --serve-help`)
  ./run --demo                       the main job on 1,797 images of handwritten digits: load,
                                     query, back up, delete half, restore, compare
  ./run --demo --data FOLDER         the same on vectors of your own: FOLDER holds
                                     base-NAME.f16 and base-NAME.jsonl.gz, and queries-NAME
                                     likewise (rows of half floats; a JSON object with "id" each)

The demo uses a folder of its own and free ports, and removes what it made.
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--serve-help", action="store_true")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--data", type=Path)
    options, rest = parser.parse_known_args(arguments)
    if options.help:
        print(HELP, end="")
        return 0
    if options.serve_help:
        return subprocess.run([str(build()), "serve", "--help"]).returncode
    if options.demo:
        return demo(options.data, rest)
    if options.data is not None:
        raise SetupError("--data goes with --demo; the server's own folder is --data-dir")
    return serve(rest)


def serve(arguments: list[str]) -> int:
    """Runs the server in the foreground until Ctrl-C or SIGTERM."""
    server = Server(build(), [*data_folder(arguments), *arguments])
    try:
        server.start()
        print(greeting(reachable(server.url)), flush=True)
        return server.process.wait()
    except EndedEarly:
        # It has said why on standard error, which is ours too.
        return server.process.returncode
    except KeyboardInterrupt:
        say("\nStopping")
        return server.stop()
    finally:
        server.stop()


def data_folder(arguments: list[str]) -> list[str]:
    """The default folder is that of the checkout, unless the user names one in any way."""
    named = any(word.split("=")[0] in ("--data-dir", "--config") for word in arguments)
    if named or os.environ.get("LODGEPOLE_DATA_DIR"):
        return []
    return ["--data-dir", str(ROOT / "data")]


def greeting(url: str) -> str:
    """What a user sees when the server is ready."""
    parts = [f"\nLodgepole is ready at {url}. Stop it with Ctrl-C; the data stays.",
             f"Most clients need only this: export PINECONE_CONTROLLER_HOST={url}"]
    titles = [("Python (pip install pinecone)", "quickstart.py"),
              ("TypeScript (npm install @pinecone-database/pinecone)", "quickstart.mjs"),
              ("curl", "quickstart.sh")]
    for title, name in titles:
        lines = quickstart(name, url).splitlines()
        parts.append("\n".join([f"{title}\n", *(f"    {line}".rstrip() for line in lines)]))
    return "\n\n".join(parts) + "\n"


def quickstart(name: str, url: str) -> str:
    """The text of an example, made out to the server at `url`."""
    return (QUICKSTART / name).read_text().replace(DEFAULT_URL, url)


def reachable(url: str) -> str:
    """The address as a person types it. One that means every interface cannot be dialled."""
    return re.sub(r"//(127\.0\.0\.1|0\.0\.0\.0|\[::\])(?=:)", "//localhost", url)


def demo(data: Path | None, rest: list[str]) -> int:
    """The main job on real data, with the newest official client, on a server of its own."""
    if rest:
        raise SetupError(f"--demo does not know {' '.join(rest)}")
    binary = build()
    python = environments.demo()
    with scratch_folder() as folder, Server.for_test(binary, Path(folder)) as server:
        command = [str(python), str(ROOT / "demo" / "main.py"), "--url", server.url]
        if data is not None:
            command += ["--data", str(data)]
        done = subprocess.run(command)
        if done.returncode == 0:
            print("  The server and its data are gone again. To start one that stays: ./run\n")
        if done.returncode == 1:
            say(f"The end of the server's log:{server.tail()}")
        return done.returncode


if __name__ == "__main__":
    stop_on_signals()
    try:
        sys.exit(main(sys.argv[1:]))
    except (SetupError, ServerError) as problem:
        say(f"run: {problem}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
