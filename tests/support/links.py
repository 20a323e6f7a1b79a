"""The links of a Markdown page, and the anchors that GitHub gives its headings."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["anchors_of", "links_of"]

_FENCE = re.compile(r"^(```+).*?^\1$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def links_of(page: str) -> list[tuple[str, str]]:
    """Path and anchor of each link that stays in the repository; one of them may be empty."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", page)))


def anchors_of(page: str) -> set[str]:
    """The anchors of all headings: lower case, spaces to hyphens, other signs left out, a number after the first."""
    anchors = set()
    seen: Counter[str] = Counter()
    for heading in _HEADING.findall(_FENCE.sub("", page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return anchors
