"""Icons of our own for vendors: their initials on a colour of their name's, as no artwork of theirs is shipped."""

import zlib
from xml.sax.saxutils import escape

# Of one lightness, so that white letters read on each of them.
COLOURS = (
    *("#b4232c", "#b03c10", "#92600a", "#4d7c0f", "#15803d", "#0f766e"),
    *("#0e7490", "#1d6fb8", "#4453c4", "#6d3fc0", "#9333a8", "#b02a6b", "#57606a"),
)


def icon(label: str) -> str:
    """A rounded square with one or two initials, as SVG. The same label always gets the same."""
    colour = COLOURS[zlib.crc32(label.encode()) % len(COLOURS)]
    letters = initials(label)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true">'
        f'<rect width="32" height="32" rx="7" fill="{colour}"/>'
        f'<text x="16" y="21.5" fill="#fff" font-family="system-ui,sans-serif" font-size="{15 if letters[1:] else 18}" '
        f'font-weight="600" text-anchor="middle">{escape(letters)}</text></svg>'
    )


def initials(label: str) -> str:
    """The first letters of the first two words; of a single word its capitals, such as DS of DeepSeek."""
    words = ["".join(filter(str.isalnum, word)) for word in label.split()]
    words = [word for word in words if word]
    if len(words) > 1:
        return (words[0][0] + words[1][0]).upper()
    capitals = [letter for letter in "".join(words) if letter.isupper()]
    return "".join(capitals[:2]) or "".join(words)[:1].upper() or "?"
