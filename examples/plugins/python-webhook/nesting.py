"""How deep JSON is nested. Python's parser recurses for each bracket, and the stack of a sandbox ends before
Python counts to its own limit: what is deeper than anybody writes is not given to it."""

import re

#: Deeper than this is no answer and no attribute.
DEEPEST = 200

STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")


def too_deep(text: str) -> bool:
    depth = 0
    for bracket in BRACKET.finditer(STRING.sub("", text)):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > DEEPEST:
            return True
    return False
