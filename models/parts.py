"""The parts of a module that its requests go through one after another: layers, blocks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def parts(module: nn.Module) -> list[nn.Module]:
    """Children of one kind that a module has several of and that have children themselves, the
    outermost ones, in order: BERT's layers, ResNet's blocks. None where nothing repeats."""
    from torch import nn

    lists = nn.Sequential, nn.ModuleList
    children = list(module.children())
    several = Counter(type(child) for child in children if any(child.children()))
    found = []
    for child in children:
        if several[type(child)] > 1 and not isinstance(child, lists):
            found.append(child)
        else:
            found += parts(child)
    return found
