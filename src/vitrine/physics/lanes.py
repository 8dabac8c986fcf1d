"""Passes over the bonds of atoms with vectors of lanes, written as vector instructions.

:class:`Writer` writes them; other hot loops over rows of lanes may use it. The compiler cannot see
that an atom's rows and its neighbours' do not overlap, so it leaves plain loops over the lanes
scalar: these passes are six times faster. All arrays are contiguous; a *row* is ``lanes`` numbers.
The number of lanes is the length of the tuple ``lanes`` (its type, so that it is known when this is
compiled).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
_INDEX = ir.IntType(64)
_FAST = ("fast",)


class Writer:
    """Writes vector arithmetic on rows of lanes."""

    def __init__(self, context: Any, builder: Any, dtype: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.scalar = context.get_data_type(dtype)
        self.vector = ir.VectorType(self.scalar, lanes)
        self._align = context.get_abi_sizeof(self.scalar)

    def index(self, value: int) -> Any:
        """A constant index."""
        return ir.Constant(_INDEX, value)

    def number(self, base: Any, index: Any) -> Any:
        """One number of an array, in all lanes."""
        return self.spread(self.builder.load(self.place(base, index), typ=self.scalar))

    def row(self, base: Any, number: Any) -> Any:
        """Where a row starts."""
        b = self.builder
        start = b.gep(base, [b.mul(number, self.index(self.lanes))], source_etype=self.scalar)
        return b.bitcast(start, self.vector.as_pointer())

    def load(self, pointer: Any) -> Any:
        """A row of an array."""
        return self.builder.load(pointer, typ=self.vector, align=self._align)

    def store(self, value: Any, pointer: Any) -> None:
        """Write a row."""
        self.builder.store(value, pointer, align=self._align)

    def increase(self, pointer: Any, value: Any) -> None:
        """Add to a row."""
        self.store(self.add(self.load(pointer), value), pointer)

    def total(self, value: Any) -> Any:
        """Sum over the lanes, a number."""
        name = f"llvm.vector.reduce.fadd.v{self.lanes}f{32 if self.scalar == ir.FloatType() else 64}"
        kind = ir.FunctionType(self.scalar, [self.scalar, self.vector])
        declare: Any = cgutils.get_or_insert_function
        reduce = declare(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(self.scalar, 0.0), value], fastmath=_FAST)

    def spread(self, value: Any) -> Any:
        """A number in all lanes."""
        b = self.builder
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = b.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        return b.shuffle_vector(first, nothing, zeros)

    def place(self, base: Any, index: Any) -> Any:
        """Where a number of an array is."""
        return self.builder.gep(base, [index], source_etype=self.scalar)

    def add(self, *values: Any) -> Any:
        """Sum."""
        total = values[0]
        for value in values[1:]:
            total = self.builder.fadd(total, value, flags=_FAST)
        return total

    def subtract(self, a: Any, b: Any) -> Any:
        """Difference."""
        return self.builder.fsub(a, b, flags=_FAST)

    def times(self, a: Any, b: Any) -> Any:
        """Product."""
        return self.builder.fmul(a, b, flags=_FAST)

    def three(self, base: Any, atom: Any) -> list[Any]:
        """Where the rows x, y and z of an atom start."""
        b = self.builder
        first = b.mul(atom, self.index(3))
        return [self.row(base, b.add(first, self.index(c))) for c in range(3)]

    def registers(self, pointers: list[Any]) -> list[Any]:
        """Copies of rows that stay in registers during a loop."""
        reserve: Any = cgutils.alloca_once
        copies = [reserve(self.builder, self.vector) for _ in pointers]
        for copy, pointer in zip(copies, pointers, strict=True):
            self.builder.store(self.load(pointer), copy)
        return copies

    def held(self, register: Any) -> Any:
        """What a register holds."""
        return self.builder.load(register, typ=self.vector)

    def each_bond(self, begin: Any, end: Any, second: Any, packed: Any, body: Callable[..., None]) -> None:
        """``body(j, constant)`` for each bond: its second atom, and its packed numbers in all lanes."""
        b = self.builder
        with cgutils.for_range_slice(b, begin, end, self.index(1)) as (bond, _):
            word = ir.IntType(32)
            j = b.zext(b.load(b.gep(second, [bond], source_etype=word), typ=word), _INDEX)
            first = b.mul(bond, self.index(8))
            body(j, lambda k: self.number(packed, b.add(first, self.index(k))))


def pointers_of(context: Any, builder: Any, signature: Any, args: Any, count: int) -> list[Any]:
    """Where the data of the first arguments, arrays, start."""
    pairs = zip(signature.args[:count], args[:count], strict=True)
    return [context.make_array(kind)(context, builder, value).data for kind, value in pairs]


def _forces_and_densities(  # type: ignore[no-untyped-def]
    typing, moved, out, density, packed, second, atom, begin, end, lanes
):
    """For the bonds ``begin`` to ``end`` of an atom: forces at fixed densities, and change of densities.

    moved, out: (n, 3, lanes). density: (n, lanes). packed: (n_bonds, 8): unit vector, curvature along
    and across the bond, density slopes at its first and second atom, unused. second: uint32.
    """
    signature = types.void(moved, out, density, packed, second, types.int64, types.int64, types.int64, lanes)

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        w = Writer(context, builder, signature.args[0].dtype, signature.args[8].count)
        moved, out, density, packed, second = pointers_of(context, builder, signature, args, 5)
        atom, begin, end = args[5:8]
        own = [w.load(pointer) for pointer in w.three(moved, atom)]
        targets = [*w.three(out, atom), w.row(density, atom)]
        sums = w.registers(targets)

        def body(j: Any, number: Callable[[int], Any]) -> None:
            axis = [number(k) for k in range(3)]
            apart = [w.subtract(w.load(p), mine) for p, mine in zip(w.three(moved, j), own, strict=True)]
            stretch = w.add(*[w.times(a, d) for a, d in zip(axis, apart, strict=True)])
            tension, across = w.times(number(3), stretch), number(4)
            for c, pointer in enumerate(w.three(out, j)):
                force = w.add(w.times(tension, axis[c]), w.times(across, apart[c]))
                builder.store(w.subtract(w.held(sums[c]), force), sums[c])
                w.increase(pointer, force)
            builder.store(w.add(w.held(sums[3]), w.times(number(5), stretch)), sums[3])
            w.increase(w.row(density, j), w.times(number(6), stretch))

        w.each_bond(begin, end, second, packed, body)
        for pointer, total in zip(targets, sums, strict=True):
            w.store(w.held(total), pointer)
        return context.get_dummy_value()

    return signature, write


def _forces_of_densities(typing, out, density, packed, second, atom, begin, end, lanes):  # type: ignore[no-untyped-def]
    """For the bonds of an atom: forces from changed densities, times F'', of both ends. Shapes as above."""
    signature = types.void(out, density, packed, second, types.int64, types.int64, types.int64, lanes)

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        w = Writer(context, builder, signature.args[0].dtype, signature.args[7].count)
        out, density, packed, second = pointers_of(context, builder, signature, args, 4)
        atom, begin, end = args[4:7]
        own = w.load(w.row(density, atom))
        targets = w.three(out, atom)
        sums = w.registers(targets)

        def body(j: Any, number: Callable[[int], Any]) -> None:
            theirs = w.load(w.row(density, j))
            tension = w.add(w.times(number(5), own), w.times(number(6), theirs))
            for c, pointer in enumerate(w.three(out, j)):
                force = w.times(tension, number(c))
                builder.store(w.subtract(w.held(sums[c]), force), sums[c])
                w.increase(pointer, force)

        w.each_bond(begin, end, second, packed, body)
        for pointer, total in zip(targets, sums, strict=True):
            w.store(w.held(total), pointer)
        return context.get_dummy_value()

    return signature, write


forces_and_densities: Any = intrinsic(_forces_and_densities)
"""For compiled code; see :func:`_forces_and_densities`."""
forces_of_densities: Any = intrinsic(_forces_of_densities)
"""For compiled code; see :func:`_forces_of_densities`."""
