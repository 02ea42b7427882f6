"""Axes and the cases on them: what a suite asks a function, as data.

The first value of an axis is its plainest, and the order of values is the order of simplicity. The cases are: all
plain; each other value by itself; and as few more as it takes for any two values of two axes to meet once, somewhere
where the operands are not empty. So the first case that fails is the simplest one, and a rule of thumb of testing is
served: most faults need one setting, or two.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchgrade.errors import AuthoringError

Row = tuple[int, ...]  # of each axis the number of its value
Meeting = tuple[tuple[int, int], ...]  # axes with the numbers of values that are not plain


class LeftOut:
    """The argument is not written: its default is asked for."""

    def __repr__(self) -> str:
        return "left out"


LEFT_OUT = LeftOut()

# Axes of the kit: what tensors are like, and how the call is made. Every other axis is an argument of the function.
KIT_AXES = ("shape", "values", "dtype", "layout", "grad", "training", "layer_dtype", "steps", "state", "objects")


@dataclass(frozen=True)
class Case:
    """One point of the grid: the value of each axis, and the axes whose value is not the plainest."""

    point: Mapping[str, Any]
    departures: tuple[str, ...]

    def has(self, axis: str, value: Any) -> bool:
        return same_value(self.point[axis], value)


@dataclass(frozen=True)
class Grid:
    """Axes with their values. ``vary`` and ``thorough`` make new grids; a grid itself never changes."""

    axes: Mapping[str, tuple[Any, ...]]
    operands: Callable[..., Any] | None = None
    where: tuple[Callable[..., bool], ...] = ()
    strength: int = 2
    by_name: bool = False
    calls: tuple[str, ...] = ()

    def vary(self, **axes: Sequence[Any]) -> Grid:
        """The same grid with these axes besides, or in place of those of the same name."""
        return replace(self, axes={**self.axes, **_axes(axes)})

    def only(self, where: Callable[..., bool]) -> Grid:
        """The same grid without the points that ``where`` leaves out."""
        return _checked(replace(self, where=(*self.where, where)))

    def thorough(self) -> Grid:
        """The same grid, on which any three values of three axes meet."""
        return replace(self, strength=3)

    def plain(self) -> Grid:
        """The same grid without pairs: the plainest case, and each other value by itself."""
        return replace(self, strength=1)

    def settings(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name: each axis that is neither the kit's nor the operands' alone, and is not left out."""
        own = {name for name, parameter in self._taken().items() if parameter.kind is not parameter.KEYWORD_ONLY}
        names = [name for name in point if name not in KIT_AXES and name not in own]
        return {name: point[name] for name in names if point[name] is not LEFT_OUT}

    def drawn(self, draw: Callable[..., Any], point: Mapping[str, Any]) -> dict[str, Any]:
        """The operands by name, in the order in which they are passed."""
        if self.operands is None:
            return {}
        found = self.operands(draw, **{name: point[name] for name in self._taken()})
        return dict(found) if isinstance(found, Mapping) else {"x": found}

    def cases(self) -> list[Case]:
        """All plain; one by one; in pairs. Simple ones first."""
        sizes = [len(values) for values in self.axes.values()]
        rows = _covering(sizes, self._has_meaning, self.strength)
        telling = [row for row in rows if not self._is_empty(row)]
        if len(telling) < len(rows):  # what met in an empty row only meets once more
            rows += _covering(
                sizes, lambda row: self._has_meaning(row) and not self._is_empty(row), self.strength, telling
            )
        return [
            Case(self._point(row), tuple(name for name, n in zip(self.axes, row, strict=True) if n))
            for row in sorted(dict.fromkeys(rows), key=lambda row: (sum(1 for n in row if n), sum(row)))
        ]

    def _point(self, row: Row) -> dict[str, Any]:
        return {name: values[n] for (name, values), n in zip(self.axes.items(), row, strict=True)}

    def _has_meaning(self, row: Row) -> bool:
        point = self._point(row)
        return all(where(**{name: point[name] for name in inspect.signature(where).parameters}) for where in self.where)

    def _is_empty(self, row: Row) -> bool:
        """Whether a size of the operands is 0, by a value that is not plain: no other setting shows there."""
        taken = {name for name, parameter in self._taken().items() if parameter.kind is not parameter.KEYWORD_ONLY}
        axes = zip(self.axes.items(), row, strict=True)
        return any(n and name in taken and _has_zero(values[n]) for (name, values), n in axes)

    def _taken(self) -> dict[str, inspect.Parameter]:
        """The axes that ``operands`` takes."""
        if self.operands is None:
            return {}
        return dict(list(inspect.signature(self.operands).parameters.items())[1:])


def grid(
    operands: Callable[..., Any] | None = None,
    *,
    where: Callable[..., bool] | None = None,
    by_name: bool = False,
    calls: Sequence[str] = (),
    **axes: Sequence[Any],
) -> Grid:
    """A grid of cases. Each axis is an argument of the function, or one of the kit's (``dtype``, ``layout``, ...).

    ``operands(draw, ...)`` makes the tensors: it takes the axes that its parameters name and returns one tensor,
    called x, or a dict of arguments by name, made with ``draw(*shape)``. Axes behind a ``*`` among its parameters are
    passed on to the function as well. Without ``operands`` there is one tensor, of the axis ``shape``, or none without
    that axis.
    Operands are passed in order, or with ``by_name`` as keywords; all other axes are keywords. ``where`` is asked with
    the axes that its parameters name, and leaves out the points that mean nothing. For a class of modules the arguments
    build it, but for the axes in ``calls``, which go to the call.

    Raises AuthoringError for an axis without values, for two equal values, and for a name that nobody takes.
    """
    if operands is None and "shape" in axes:
        operands = one_tensor
    conditions = () if where is None else (where,)
    return _checked(Grid(_axes(axes), operands, conditions, 2, by_name, tuple(calls)))


def _checked(grid: Grid) -> Grid:
    """The grid, when all axes that somebody takes are there."""
    asked = [name for where in grid.where for name in inspect.signature(where).parameters]
    for name in (*grid._taken(), *asked, *grid.calls):
        if name not in grid.axes:
            raise AuthoringError(f"The grid has no axis {name!r}; it has {', '.join(grid.axes) or 'none'}.")
    return grid


def one_tensor(draw: Callable[..., Any], shape: Sequence[int]) -> Any:
    """The argument x."""
    return draw(*shape)


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of an axis are one: 1, 1.0 and True are three."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same_value(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _has_zero(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_zero, value))
    return type(value) is int and value == 0


def _axes(axes: Mapping[str, Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    for name, values in axes.items():
        if not isinstance(values, (list, tuple)) or not values:
            raise AuthoringError(f"The axis {name!r} needs a list of values, the plainest first.")
        if any(same_value(one, other) for one, other in itertools.combinations(values, 2)):
            raise AuthoringError(f"The axis {name!r} has one value twice.")
    return {name: tuple(values) for name, values in axes.items()}


# --- which points are cases ----------------------------------------------------------------------------------------


def _covering(
    sizes: Sequence[int], allowed: Callable[[Row], bool], strength: int, given: Sequence[Row] = ()
) -> list[Row]:
    """Rows in which every ``strength`` values that are not plain meet, where that is allowed; greedily few."""
    plain = (0,) * len(sizes)
    if not allowed(plain):
        raise AuthoringError("The first values of all axes are the plainest case: where= may not leave it out.")
    ones = [_with(plain, {axis: n}) for axis, size in enumerate(sizes) for n in range(1, size)]
    rows = list(given) or [plain, *filter(allowed, ones)]
    for size in range(2, strength + 1):
        missing = dict.fromkeys(_all_meetings(sizes, size))
        for row in rows:
            _strike(missing, row, size)
        while missing:
            first = next(iter(missing))
            grown = _grown(dict(first), sizes, missing, allowed, size)
            if grown is None:  # these never meet
                del missing[first]
            else:
                rows.append(grown)
                _strike(missing, grown, size)
    return list(dict.fromkeys(rows))


def _all_meetings(sizes: Sequence[int], size: int) -> Iterator[Meeting]:
    for axes in itertools.combinations(range(len(sizes)), size):
        yield from itertools.product(*([(axis, n) for n in range(1, sizes[axis])] for axis in axes))


def _strike(missing: dict[Meeting, None], row: Row, size: int) -> None:
    for meeting in itertools.combinations([(axis, n) for axis, n in enumerate(row) if n], size):
        missing.pop(meeting, None)


def _grown(
    fixed: dict[int, int], sizes: Sequence[int], missing: Mapping[Meeting, None], allowed: Any, size: int
) -> Row | None:
    """A row with the fixed values and, axis by axis, the value with the most meetings that are missing."""
    plain = (0,) * len(sizes)
    free = [axis for axis in range(len(sizes)) if axis not in fixed]
    if not allowed(_with(plain, fixed)):  # perhaps a third value gives them a meaning
        more = ({**fixed, axis: n} for axis in free for n in range(1, sizes[axis]))
        found = next((one for one in more if allowed(_with(plain, one))), None)
        if found is None:
            return None
        fixed = found
    row = dict(fixed)
    for axis in free:
        others = sorted((a, n) for a, n in row.items() if n and a != axis)
        best, most = row.get(axis, 0), 0
        for n in range(1, sizes[axis]):
            if axis in fixed or not allowed(_with(plain, {**row, axis: n})):
                continue
            few = itertools.combinations(others, size - 1)
            gain = sum(tuple(sorted((*some, (axis, n)))) in missing for some in few)
            if gain > most:
                best, most = n, gain
        row[axis] = best
    found_row = _with(plain, row)
    return found_row if allowed(found_row) else _with(plain, fixed)


def _with(row: Row, changes: Mapping[int, int]) -> Row:
    return tuple(changes.get(axis, n) for axis, n in enumerate(row))
