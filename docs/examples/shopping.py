"""A shopping list in a terminal window, the same one on every device of a household.

It was written for the package ``pouchdb`` and a Qt window; here it runs on couchette, in a terminal:

    pip install 'couchette[js]'
    python shopping.py ~/shopping --server http://ada:secret@laptop.local:5984/shopping

Documents are used like a dict, totals come from a view, replication goes both ways while the window is open, and what
another device writes is on the screen at once. Without a server, or while it is away, everything works but the others.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from typing import Any

from couchette import pouchdb

DESIGN = {
    "views": {
        "to_buy": {
            "map": "function (doc) { if (doc.shop && !doc.bought) emit(doc.shop, doc.amount); }",
            "reduce": "_sum",
        }
    }
}
HELP = "add THING AMOUNT SHOP   bought THING   forget THING   quit"


class Window:
    """The list on the screen, and what is typed below it."""

    def __init__(self, folder: str, server: str | None) -> None:
        environment = pouchdb.setup(folder)
        self.db = environment.PouchDB("shopping")
        if "_design/shopping" not in self.db:
            self.db["_design/shopping"] = DESIGN
        self.message = HELP
        self.feed = self.db.changes(live=True, since="now", onChange=lambda change: self.draw())
        self.sync = self.db.sync(server, live=True, retry=True) if server else None
        if self.sync:
            self.sync.on(
                "paused", lambda error=None: self.say(f"waiting for the server: {error}" if error else "in sync")
            )
            self.sync.on("error", lambda error: self.say(f"no more syncing: {error['message']}"))

    def say(self, message: str) -> None:
        """Show a message below the list."""
        self.message = message
        self.draw()

    def draw(self) -> None:
        """Show the list as it is now."""
        lines = [
            f"{'✓' if item.get('bought') else ' '} {name} {item['amount']} ({item['shop']})"
            for name, item in self.items()
        ]
        totals = [f"{row.key}: {row.value}" for row in self.db.query("shopping/to_buy", group=True).rows]
        clear = "\033[H\033[2J" if sys.stdout.isatty() else ""
        print(clear + "\n".join([*lines, "to buy  " + ", ".join(totals), f"[{self.message}]"]), flush=True)

    def items(self) -> list[tuple[str, Any]]:
        """The things on the list, in their order."""
        return [(name, item) for name, item in self.db.items() if not name.startswith("_")]

    def do(self, line: str) -> bool:
        """Carry out what was typed; False ends the program."""
        match line.split():
            case ["add", thing, amount, *shop] if amount.isdigit() and shop:
                self.db[thing] = {"amount": int(amount), "shop": " ".join(shop)}
            case ["bought", thing] if thing in self.db:
                self.db[thing] = {**self.db[thing], "bought": True}
            case ["forget", thing] if thing in self.db:
                del self.db[thing]
            case ["quit"]:
                return False
            case _:
                self.say(HELP)
        return True

    def close(self) -> None:
        """End what goes on in the background."""
        self.feed.cancel()
        if self.sync:
            self.sync.cancel()


async def main() -> None:
    """Open the window until `quit`, or the end of the input."""
    parser = argparse.ArgumentParser(description="A shopping list that syncs.")
    parser.add_argument("folder", help="where the list is kept")
    parser.add_argument("--server", help="the URL of the household's database")
    options = parser.parse_args()
    window = Window(options.folder, options.server)
    typed: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(typed.put_nowait, line)
        loop.call_soon_threadsafe(typed.put_nowait, "quit")

    threading.Thread(target=read, daemon=True).start()
    window.draw()
    while window.do(await typed.get()):
        pass
    window.close()


if __name__ == "__main__":
    asyncio.run(main())
