"""Matrix products and squared distances, written as LLVM IR so that their sums stay in vector registers.

Each sum is added in the order of the inner dimension, by fused multiplications and additions, so it has the same bits
on every machine: the number of lanes decides only how many sums are added at once.
"""

# mypy: disable-error-code="no-untyped-call,no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from energyknn._shared.compiling import compile_step
from energyknn.learning.products_numpy import TILE_COLUMNS

_TILE_ROWS = 8
_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)


def _make_tile(n_rows: int) -> Any:
    """Make a function that adds a product to a tile of so many rows and `TILE_COLUMNS` columns."""

    @intrinsic
    def add_tile(context, left, at_left, row_step, inner_step, right, at_right, n_inner, out, at_out, n_columns):
        del context
        kinds = left, at_left, row_step, inner_step, right, at_right, n_inner, out, at_out, n_columns

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            left, at_left, row_step, inner_step, right, at_right, n_inner, out, at_out, n_columns = arguments
            lefts, rights, outs = (
                builder.gep(context.make_array(kind)(context, builder, array).data, [at])
                for kind, array, at in (
                    (signature.args[0], left, at_left),
                    (signature.args[4], right, at_right),
                    (signature.args[7], out, at_out),
                )
            )
            vector = _find_vector(signature.args[0])
            n_parts = TILE_COLUMNS // vector.count
            places = [
                builder.gep(outs, [builder.add(builder.mul(n_columns, _INDEX(row)), _INDEX(part * vector.count))])
                for row in range(n_rows)
                for part in range(n_parts)
            ]
            totals = [cgutils.alloca_once_value(builder, _load(builder, place, vector)) for place in places]
            with cgutils.for_range(builder, n_inner, intp=_INDEX) as loop:
                at_inner = builder.gep(rights, [builder.mul(loop.index, n_columns)])
                values = [
                    _load(builder, builder.gep(at_inner, [_INDEX(part * vector.count)]), vector)
                    for part in range(n_parts)
                ]
                at_inner = builder.gep(lefts, [builder.mul(loop.index, inner_step)])
                for row in range(n_rows):
                    number = builder.load(builder.gep(at_inner, [builder.mul(row_step, _INDEX(row))]))
                    share = _spread(builder, number, vector)
                    for part, value in enumerate(values):
                        total = totals[row * n_parts + part]
                        builder.store(_fuse(builder, share, value, builder.load(total)), total)
            for place, total in zip(places, totals, strict=True):
                _store(builder, builder.load(total), place)
            return context.get_dummy_value()

        return types.void(*kinds), generate

    return add_tile


_add_large_tile: Any = _make_tile(_TILE_ROWS)
_add_small_tile: Any = _make_tile(1)


@compile_step
def add_products(left, is_turned, right, out):  # pragma: no cover
    """Add left @ right, or left.T @ right, to `out`."""
    (n_inner, n_columns), width = right.shape, left.shape[1]
    row_step, inner_step = (1, width) if is_turned else (width, 1)
    for column in range(0, n_columns, TILE_COLUMNS):
        row = 0
        while row < out.shape[0]:
            start, at_out = row * row_step, row * n_columns + column
            if row + _TILE_ROWS <= out.shape[0]:
                _add_large_tile(left, start, row_step, inner_step, right, column, n_inner, out, at_out, n_columns)
                row += _TILE_ROWS
            else:
                _add_small_tile(left, start, row_step, inner_step, right, column, n_inner, out, at_out, n_columns)
                row += 1


@intrinsic
def measure_square(context, rows, at_row, others, at_other, n_columns):
    """Sum the squared differences of two rows, whose number of columns is a multiple of `TILE_COLUMNS`."""
    del context
    kinds = rows, at_row, others, at_other, n_columns

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        rows, at_row, others, at_other, n_columns = arguments
        first, second = (
            builder.gep(context.make_array(kind)(context, builder, array).data, [at])
            for kind, array, at in ((signature.args[0], rows, at_row), (signature.args[2], others, at_other))
        )
        vector = ir.VectorType(_find_vector(signature.args[0]).element, TILE_COLUMNS)
        total = cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * TILE_COLUMNS))
        with cgutils.for_range(builder, builder.udiv(n_columns, _INDEX(TILE_COLUMNS)), intp=_INDEX) as loop:
            start = builder.mul(loop.index, _INDEX(TILE_COLUMNS))
            one, other = (_load(builder, builder.gep(row, [start]), vector) for row in (first, second))
            gap = builder.fsub(one, other)
            builder.store(_fuse(builder, gap, gap, builder.load(total)), total)
        return _add_lanes(builder, builder.load(total))

    return rows.dtype(*kinds), generate


def _find_vector(array: Any) -> ir.VectorType:
    """Find the vector of 64 bytes of an array's numbers."""
    return ir.VectorType(ir.FloatType(), 16) if array.dtype == types.float32 else ir.VectorType(ir.DoubleType(), 8)


def _add_lanes(builder: ir.IRBuilder, total: ir.Value) -> ir.Value:
    """Add the lanes of a vector, half to half."""
    count = total.type.count
    while count > 1:
        count //= 2
        halves = [
            builder.shuffle_vector(total, total, ir.Constant(ir.VectorType(_LANE, count), list(lanes)))
            for lanes in (range(count), range(count, 2 * count))
        ]
        total = builder.fadd(*halves)
    return builder.extract_element(total, _LANE(0))


def _fuse(builder: ir.IRBuilder, first: ir.Value, second: ir.Value, added: ir.Value) -> ir.Value:
    """Return first * second + added, rounded once."""
    vector = first.type
    name = f"llvm.fma.v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"
    return builder.call(
        cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name),
        (first, second, added),
    )


def _load(builder: ir.IRBuilder, pointer: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Load a vector that need not be aligned."""
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = 4
    return value


def _store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    """Store a vector where it need not be aligned."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = 4


def _spread(builder: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Repeat a number in all lanes of a vector."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, _LANE(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_LANE, vector.count), [0] * vector.count))
