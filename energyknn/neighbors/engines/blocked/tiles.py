"""Four queries against 64 rows, held in vector registers: the inner loop of the blocked engine, written as LLVM IR.

Numba's own loops leave this one to LLVM's vectoriser, which does not keep sixteen sums in registers. Spelled out,
the loop runs at the speed of a matrix product whatever the number of columns, so no kernel has to be compiled for
each number of columns. LLVM splits the vectors into what the machine has.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = [
    "LANES",
    "TILE_QUERIES",
    "TILE_ROWS",
    "count_at_most",
    "count_trailing_zeros",
    "fill_tile_1",
    "fill_tile_2",
    "find_near_parts_1",
    "find_near_parts_2",
]

TILE_ROWS = 64
TILE_QUERIES = 4
LANES = 16
_N_VECTORS = TILE_ROWS // LANES
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _make_tile(p: int) -> Any:
    """Make the function that fills a tile with sums of |x - q| (p = 1) or x² - 2xq (p = 2)."""

    def fill_tile(
        typing_context: Any,
        rows: Any,
        at_row: Any,
        starts: Any,
        at_start: Any,
        queries: Any,
        at_query: Any,
        stride: Any,
        n_columns: Any,
        limits: Any,
        sums: Any,
        masks: Any,
    ) -> Any:
        del typing_context
        signature = types.uint64(
            rows, at_row, starts, at_start, queries, at_query, stride, n_columns, limits, sums, masks
        )

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            def data(position: int, offset: ir.Value | None = None) -> ir.Value:
                array = context.make_array(signature.args[position])(context, builder, arguments[position])
                return builder.gep(array.data, [offset if offset is not None else _INDEX(0)])

            totals = _start_totals(builder, data(2, arguments[3]))
            with cgutils.for_range(builder, arguments[7], intp=_INDEX) as loop:
                row = builder.gep(data(0, arguments[1]), [builder.mul(loop.index, _INDEX(TILE_ROWS))])
                query = builder.gep(data(4, arguments[5]), [builder.mul(loop.index, arguments[6])])
                _add_column(builder, totals, row, query, p)
            return _store_tile(builder, totals, data(8, arguments[5]), data(9), data(10))

        return signature, generate

    return intrinsic(fill_tile)


def _start_totals(builder: ir.IRBuilder, starts: ir.Value) -> list[list[ir.Value]]:
    """Begin every sum of a row with that row's start."""
    totals = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(_N_VECTORS)] for _ in range(TILE_QUERIES)]
    for vector in range(_N_VECTORS):
        start = _load(builder, starts, vector * LANES)
        for query in range(TILE_QUERIES):
            builder.store(start, totals[query][vector])
    return totals


def _add_column(builder: ir.IRBuilder, totals: list[list[ir.Value]], row: ir.Value, query: ir.Value, p: int) -> None:
    """Add one column's share to all sums: x * q (q comes in times -2), or |x - q|."""
    values = [_load(builder, row, vector * LANES) for vector in range(_N_VECTORS)]
    for number in range(TILE_QUERIES):
        share = _spread(builder, builder.load(builder.gep(query, [_INDEX(number)])))
        for value, total in zip(values, totals[number], strict=True):
            if p == 2:
                added = _call(builder, "fmuladd", value, share, builder.load(total))
            else:
                added = builder.fadd(_call(builder, "fabs", builder.fsub(value, share)), builder.load(total))
            builder.store(added, total)


def _store_tile(
    builder: ir.IRBuilder, totals: list[list[ir.Value]], limits: ir.Value, sums: ir.Value, masks: ir.Value
) -> ir.Value:
    """Write the sums, and for each query a mask of those below its limit; return all masks in one."""
    found = _INDEX(0)
    for query in range(TILE_QUERIES):
        limit = _spread(builder, builder.load(builder.gep(limits, [_INDEX(query)])))
        mask = _INDEX(0)
        for vector in range(_N_VECTORS):
            total = builder.load(totals[query][vector])
            target = builder.gep(sums, [_INDEX(query * TILE_ROWS + vector * LANES)])
            builder.store(total, builder.bitcast(target, _VECTOR.as_pointer())).align = 4
            below = builder.bitcast(builder.fcmp_ordered("<", total, limit), ir.IntType(LANES))
            mask = builder.or_(mask, builder.shl(builder.zext(below, _INDEX), _INDEX(vector * LANES)))
        builder.store(mask, builder.gep(masks, [_INDEX(query)]))
        found = builder.or_(found, mask)
    return found


def _load(builder: ir.IRBuilder, pointer: ir.Value, offset: int) -> ir.Value:
    """Load a vector that need not be aligned."""
    place = builder.bitcast(builder.gep(pointer, [_INDEX(offset)]), _VECTOR.as_pointer())
    value = builder.load(place)
    value.align = 4
    return value


def _spread(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Repeat a number in all lanes of a vector."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, zeros)


def _call(builder: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    """Call one of LLVM's own functions on vectors."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, arguments)


def _make_find_near_parts(p: int) -> Any:
    """Make the function that says which of LANES boxes any of four queries may reach, a bit for each box."""

    def find_near_parts(
        typing_context: Any,
        low: Any,
        high: Any,
        at_box: Any,
        queries: Any,
        at_query: Any,
        stride: Any,
        n_columns: Any,
        limits: Any,
    ) -> Any:
        del typing_context
        signature = types.uint64(low, high, at_box, queries, at_query, stride, n_columns, limits)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            def data(position: int, offset: ir.Value) -> ir.Value:
                array = context.make_array(signature.args[position])(context, builder, arguments[position])
                return builder.gep(array.data, [offset])

            totals = [
                cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES)) for _ in range(TILE_QUERIES)
            ]
            with cgutils.for_range(builder, arguments[6], intp=_INDEX) as loop:
                at_column = builder.add(arguments[2], builder.mul(loop.index, _INDEX(LANES)))
                box = _load(builder, data(0, at_column), 0), _load(builder, data(1, at_column), 0)
                query = builder.gep(data(3, arguments[4]), [builder.mul(loop.index, arguments[5])])
                _add_gaps(builder, totals, box, query, p)
            near = ir.Constant(ir.IntType(LANES), 0)
            for number, total in enumerate(totals):
                limit = _spread(builder, builder.load(builder.gep(data(7, arguments[4]), [_INDEX(number)])))
                below = builder.fcmp_ordered("<=", builder.load(total), limit)
                near = builder.or_(near, builder.bitcast(below, ir.IntType(LANES)))
            return builder.zext(near, _INDEX)

        return signature, generate

    return intrinsic(find_near_parts)


def _add_gaps(
    builder: ir.IRBuilder, totals: list[ir.Value], box: tuple[ir.Value, ir.Value], query: ir.Value, p: int
) -> None:
    """Add what one column puts between the queries and the boxes (p = 2: queries come in times -2)."""
    zero = ir.Constant(_VECTOR, [0.0] * LANES)
    for number, total in enumerate(totals):
        share = builder.load(builder.gep(query, [_INDEX(number)]))
        value = _spread(builder, builder.fmul(share, ir.Constant(ir.FloatType(), -0.5)) if p == 2 else share)
        gap = _larger(builder, builder.fsub(box[0], value), builder.fsub(value, box[1]))
        gap = _larger(builder, gap, zero)
        if p == 2:
            added = _call(builder, "fmuladd", gap, gap, builder.load(total))
        else:
            added = builder.fadd(gap, builder.load(total))
        builder.store(added, total)


def _larger(builder: ir.IRBuilder, left: ir.Value, right: ir.Value) -> ir.Value:
    """Take the larger of two numbers in each lane."""
    return builder.select(builder.fcmp_ordered(">", left, right), left, right)


fill_tile_1: Any = _make_tile(1)
fill_tile_2: Any = _make_tile(2)
find_near_parts_1: Any = _make_find_near_parts(1)
find_near_parts_2: Any = _make_find_near_parts(2)


def _count_at_most(typing_context: Any, values: Any, start: Any, n_values: Any, limit: Any) -> Any:
    """Count how many of the values from `start` on do not exceed a limit; their number is a multiple of 16."""
    del typing_context
    signature = types.int64(values, start, n_values, limit)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        first = builder.gep(array.data, [arguments[1]])
        limit = _spread(builder, arguments[3])
        total = cgutils.alloca_once_value(builder, _INDEX(0))
        n_vectors = builder.udiv(arguments[2], _INDEX(LANES))
        with cgutils.for_range(builder, n_vectors, intp=_INDEX) as loop:
            place = builder.gep(first, [builder.mul(loop.index, _INDEX(LANES))])
            bits = builder.bitcast(builder.fcmp_ordered("<=", _load(builder, place, 0), limit), ir.IntType(LANES))
            builder.store(builder.add(builder.load(total), builder.zext(builder.ctpop(bits), _INDEX)), total)
        return builder.load(total)

    return signature, generate


def _count_trailing_zeros(typing_context: Any, mask: Any) -> Any:
    """Give the position of the lowest bit that is set."""
    del typing_context

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        del context, signature
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(mask), generate


count_trailing_zeros: Any = intrinsic(_count_trailing_zeros)
count_at_most: Any = intrinsic(_count_at_most)
