"""A board of cards that everybody drags, and dots that move by the hundred, live for all.

Positions are fractions of the board, 0 to 1, so that it fits every window.
"""

import math

from pylon import App, Context, Entity, field, index

app = App("board")

NOTES = [
    ("Drag me", 0.05, 0.10, 48),
    ("Everybody sees it move", 0.20, 0.34, 160),
    ("Double-click the board for a new card", 0.42, 0.06, 210),
    ("Click a card to write on it", 0.63, 0.30, 330),
    ("Press Stir", 0.80, 0.12, 20),
]
DOTS = 300
STEP = 0.22


class Card(Entity, crdt=False):
    """A card, or one of the dots. `hue` is its colour in degrees; `ring` how far out a dot circles, 0 for a card."""

    title: str = ""
    x: float
    y: float
    hue: int = 48
    ring: float = 0.0
    phase: float = 0.0
    kind: str = field(default="card")

    indexes = [index("kind")]

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId != null && data.kind == 'card'"


@app.mutation(auth="guest")
def lay_out(ctx: Context) -> int:
    """Puts cards and dots on an empty board; how many there are."""
    if not ctx.db.count(Card):
        for title, x, y, hue in NOTES:
            ctx.db.insert(Card, title=title, x=x, y=y, hue=hue)
        for number in range(DOTS):
            ring, phase = 0.12 + 0.34 * (number % 12) / 11, number * 2.399963
            x, y = _place(ring, phase)
            ctx.db.insert(Card, kind="dot", x=x, y=y, hue=(number * 137) % 360, ring=ring, phase=phase)
    return ctx.db.count(Card)


@app.mutation(auth="guest")
def stir(ctx: Context) -> int:
    """Moves every dot a step along its circle, the inner ones faster: hundreds of rows in one transaction."""
    dots = ctx.db.query(Card, kind="dot", limit=1000)
    for dot in dots:
        phase = dot.phase + STEP * (1.2 - dot.ring * 2)
        x, y = _place(dot.ring, phase)
        ctx.db.update(Card, dot, x=x, y=y, phase=phase)
    return len(dots)


def _place(ring: float, phase: float) -> tuple[float, float]:
    return round(0.5 + ring * math.cos(phase), 4), round(0.55 + ring * math.sin(phase) * 0.85, 4)
