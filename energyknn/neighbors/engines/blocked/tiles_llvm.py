"""The loops over a tile, written as LLVM IR so that they stay in vector registers.

Numba would leave such a loop to LLVM's vectoriser, which does not keep sixteen sums in registers. Spelled out, the
loop runs at the speed of a matrix product for any number of columns, so no kernel has to be compiled for each number
of columns. LLVM splits the vectors into what the machine has. `tiles_numpy` says what each function computes.
"""

# mypy: disable-error-code="no-untyped-call,no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from energyknn.neighbors.engines.blocked.tile_shape import LANES, TILE_QUERIES, TILE_ROWS

_N_VECTORS = TILE_ROWS // LANES
_INDEX = ir.IntType(64)
_FIRST = _INDEX(0)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


def _choose_by_p(builder: ir.IRBuilder, p: ir.Value, generate: Callable[[int], ir.Value]) -> ir.Value:
    """Generate all of a function for p = 2 and for p = 1, and take one of them when it runs.

    A branch around less than all would have vector registers live across it, which costs half as much again.
    """
    result = cgutils.alloca_once(builder, _INDEX)
    with builder.if_else(builder.icmp_signed("==", p, p.type(2))) as (squares, absolutes):
        with squares:
            builder.store(generate(2), result)
        with absolutes:
            builder.store(generate(1), result)
    return builder.load(result)


def _make_locator(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Callable[..., ir.Value]:
    """Return a function that returns a pointer to an element of an array among the arguments."""
    kinds = dict(zip(arguments, signature.args, strict=True))

    def locate(array: ir.Value, offset: ir.Value = _FIRST) -> ir.Value:
        return builder.gep(context.make_array(kinds[array])(context, builder, array).data, [offset])

    return locate


@intrinsic
def fill_tile(context, p, rows, at_row, starts, at_start, queries, at_query, stride, n_columns, limits, sums, masks):
    """Screen four queries against 64 rows; return the four masks joined by "or"."""
    del context
    kinds = p, rows, at_row, starts, at_start, queries, at_query, stride, n_columns, limits, sums, masks

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        p, rows, at_row, starts, at_start, queries, at_query, stride, n_columns, limits, sums, masks = arguments
        locate = _make_locator(context, builder, signature, arguments)

        def fill(p: int) -> ir.Value:
            totals = _start_totals(builder, locate(starts, at_start))
            with cgutils.for_range(builder, n_columns, intp=_INDEX) as loop:
                row = builder.gep(locate(rows, at_row), [builder.mul(loop.index, _INDEX(TILE_ROWS))])
                query = builder.gep(locate(queries, at_query), [builder.mul(loop.index, stride)])
                _add_column(builder, totals, row, query, p)
            return _store_tile(builder, totals, locate(limits, at_query), locate(sums), locate(masks))

        return _choose_by_p(builder, p, fill)

    return types.uint64(*kinds), generate


@intrinsic
def find_near_parts(context, p, low, high, at_box, queries, at_query, stride, n_columns, limits):
    """Find which of LANES boxes any of four queries may reach: a bit for each box."""
    del context
    kinds = p, low, high, at_box, queries, at_query, stride, n_columns, limits

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        p, low, high, at_box, queries, at_query, stride, n_columns, limits = arguments
        locate = _make_locator(context, builder, signature, arguments)

        def find(p: int) -> ir.Value:
            zeros = ir.Constant(_VECTOR, [0.0] * LANES)
            totals = [cgutils.alloca_once_value(builder, zeros) for _ in range(TILE_QUERIES)]
            with cgutils.for_range(builder, n_columns, intp=_INDEX) as loop:
                at_column = builder.add(at_box, builder.mul(loop.index, _INDEX(LANES)))
                box = _load(builder, locate(low, at_column), 0), _load(builder, locate(high, at_column), 0)
                query = builder.gep(locate(queries, at_query), [builder.mul(loop.index, stride)])
                _add_gaps(builder, totals, box, query, p)
            near = ir.Constant(ir.IntType(LANES), 0)
            for number, total in enumerate(totals):
                limit = _spread(builder, builder.load(builder.gep(locate(limits, at_query), [_INDEX(number)])))
                below = builder.fcmp_ordered("<=", builder.load(total), limit)
                near = builder.or_(near, builder.bitcast(below, ir.IntType(LANES)))
            return builder.zext(near, _INDEX)

        return _choose_by_p(builder, p, find)

    return types.uint64(*kinds), generate


@intrinsic
def count_at_most(context, values, start, n_values, limit):
    """Count how many of the values from `start` on, a multiple of LANES, do not exceed a limit."""
    del context
    kinds = values, start, n_values, limit

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        values, start, n_values, limit = arguments
        first = _make_locator(context, builder, signature, arguments)(values, start)
        limits = _spread(builder, limit)
        total = cgutils.alloca_once_value(builder, _INDEX(0))
        with cgutils.for_range(builder, builder.udiv(n_values, _INDEX(LANES)), intp=_INDEX) as loop:
            place = builder.gep(first, [builder.mul(loop.index, _INDEX(LANES))])
            bits = builder.bitcast(builder.fcmp_ordered("<=", _load(builder, place, 0), limits), ir.IntType(LANES))
            builder.store(builder.add(builder.load(total), builder.zext(builder.ctpop(bits), _INDEX)), total)
        return builder.load(total)

    return types.int64(*kinds), generate


@intrinsic
def find_at_most(context, values, start, limit):
    """Find which of the TILE_ROWS values from `start` on do not exceed a limit: a bit for each."""
    del context
    kinds = values, start, limit

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        values, start, limit = arguments
        first = _make_locator(context, builder, signature, arguments)(values, start)
        limits = _spread(builder, limit)
        found = _INDEX(0)
        for vector in range(_N_VECTORS):
            below = builder.fcmp_ordered("<=", _load(builder, first, vector * LANES), limits)
            bits = builder.zext(builder.bitcast(below, ir.IntType(LANES)), _INDEX)
            found = builder.or_(found, builder.shl(bits, _INDEX(vector * LANES)))
        return found

    return types.uint64(*kinds), generate


@intrinsic
def count_trailing_zeros(typing_context: Any, mask: Any) -> Any:
    """Return the position of the lowest bit that is set; the mask is not zero."""
    del typing_context

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        del context, signature
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(mask), generate


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
