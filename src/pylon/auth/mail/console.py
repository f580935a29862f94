"""Mail in development: shown in the terminal instead of being sent."""

from __future__ import annotations

import sys

from pylon.auth.mail.transport import Letter


class Console:
    """Prints letters. For dev mode only: they carry codes."""

    name = "console"

    async def send(self, letter: Letter) -> None:
        """Print it."""
        text = "\n".join(f"  {line}" for line in letter.text.strip().splitlines())
        sys.stderr.write(f"\nMail to {letter.to}: {letter.subject}\n{text}\n\n")
        sys.stderr.flush()

    async def close(self) -> None:
        """Nothing to close."""
