"""The best cuts of a run of atoms: total fit instead of greedy filling.

As line breaking in Knuth and Plass, "Breaking Paragraphs into Lines" (1981): a dynamic programme minimises,
over the whole run, the price of each cut and the emptiness of each passage. A greedy fill leaves
tails; this evens them out.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpora.chunking_boundaries import Atom, Cut

# A passage costs 0.5 + (empty share)^2, so a cut inside a paragraph pays only where it saves about one.
_PASSAGE = 0.5
_CRUMB = 1.0  # more, for a passage under an eighth of the budget
_PRICE = {
    Cut.SECTION: 0.0,
    Cut.TOPIC: 0.0,
    Cut.BLANK: 0.05,
    Cut.LINE: 0.35,
    Cut.SENTENCE: 0.6,
    Cut.LEAD_IN: 0.9,
    Cut.CLAUSE: 1.5,
    Cut.SPACE: 2.5,
    Cut.CHARACTER: 6.0,
}
_WINDOW = 128  # most atoms a passage


def best_cuts(atoms: Sequence[Atom], tokens: int, characters: int) -> list[tuple[int, int]]:
    """Ranges of atoms (first, past the last), one a passage, in order.

    No range of several atoms has more than `tokens` tokens or `characters` characters. Time is
    linear in the atoms, times the atoms a passage.
    """
    count = len(atoms)
    best = [0.0] * (count + 1)
    origin = [0] * (count + 1)
    price = [_PRICE[atom.cut] for atom in atoms] + [0.0]
    price[0] = 0.0
    share = 1.0 / max(1, tokens)
    for stop in range(1, count + 1):
        end, total = atoms[stop - 1].end, 0
        cheapest = float("inf")
        for first in range(stop - 1, max(-1, stop - 1 - _WINDOW), -1):
            total += atoms[first].tokens
            if first < stop - 1 and (total > tokens or end - atoms[first].start > characters):
                break
            empty = max(0.0, 1.0 - total * share)
            cost = best[first] + empty * empty + (_CRUMB if empty > 0.875 else 0.0)
            if cost < cheapest:
                cheapest, origin[stop] = cost, first
        best[stop] = cheapest + _PASSAGE + price[stop]
    ranges = []
    stop = count
    while stop:
        ranges.append((origin[stop], stop))
        stop = origin[stop]
    return ranges[::-1]
