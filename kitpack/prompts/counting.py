"""The counting of a template's work, put into its syntax tree before it is compiled.

What a template writes at its top is measured when it is put together, see :mod:`kitpack.prompts.sandbox`. Everything
that could grow before that is counted where it happens: the turns of loops, calls of macros, texts and lists that are
put together, comparisons, and what a block writes that is kept as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from kitpack.prompts.sandbox import CHARGE, CONCAT, LOOP, WEIGH, WRITTEN

__all__ = ["counted"]

_Block = TypeVar("_Block", nodes.Macro, nodes.CallBlock, nodes.AssignBlock, nodes.FilterBlock)
_Including = TypeVar("_Including", nodes.Include, nodes.Import, nodes.FromImport)


def counted(
    tree: nodes.Template, resolve: Callable[[str], str], *, values: frozenset[str] = frozenset()
) -> nodes.Template:
    """Put the counting into a template.

    Args:
        tree: The template; it is changed.
        resolve: Gives the path of an include from its name.
        values: The variables whose values are known to be plain.
    """
    _Counting(resolve).visit(tree)
    _write_with_care(tree.body, values)
    return tree


_CALL = 25
"""Steps for a call: it takes so much longer than a turn of a loop."""


class _Counting(NodeTransformer):
    def __init__(self, resolve: Callable[[str], str]) -> None:
        self._resolve = resolve

    def visit_Template(self, node: nodes.Template) -> nodes.Template:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, _charge(node, _CALL))
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:  # noqa: N802
        return self._block(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:  # noqa: N802
        return self._block(node)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.AssignBlock:  # noqa: N802
        return self._block(node)

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.FilterBlock:  # noqa: N802
        return self._block(node)

    def _block(self, node: _Block) -> _Block:
        """A block whose text is put together before anybody can look at it."""
        self.generic_visit(node)
        for output in [found for one in node.body for found in _outputs(one)]:
            output.nodes = [
                child if isinstance(child, nodes.TemplateData) else _concat(child) for child in output.nodes
            ]
        node.body.insert(0, _charge(node, _CALL))
        return node

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        node.iter = _filtered(node.iter, LOOP, nodes.Const(_constant_size(node), lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802
        self.generic_visit(node)
        first, *rest = node.nodes
        return _filtered(first, CONCAT, *rest)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:  # noqa: N802
        self.generic_visit(node)
        is_simple = len(node.ops) == 1 and node.ops[0].op not in ("in", "notin")
        if is_simple and (isinstance(node.expr, nodes.Const) or isinstance(node.ops[0].expr, nodes.Const)):
            return node
        node.expr = _weighed(node.expr)
        for operand in node.ops:
            operand.expr = _weighed(operand.expr)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighed(node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighed(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:  # noqa: N802
        self.generic_visit(node)
        return _weighed(node) if node.ctx == "load" else node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:  # noqa: N802
        self.generic_visit(node)
        if node.args:
            node.node = _weighed(node.node)
            node.args = [_weighed(one) for one in node.args]
        return node

    def visit_Include(self, node: nodes.Include) -> nodes.Include:  # noqa: N802
        return self._placed(node)

    def visit_Import(self, node: nodes.Import) -> nodes.Import:  # noqa: N802
        return self._placed(node)

    def visit_FromImport(self, node: nodes.FromImport) -> nodes.FromImport:  # noqa: N802
        return self._placed(node)

    def _placed(self, node: _Including) -> _Including:
        if isinstance(node.template, nodes.Const):
            node.template = nodes.Const(self._resolve(str(node.template.value)), lineno=node.lineno)
        return node


def _outputs(node: nodes.Node) -> list[nodes.Output]:
    return [*([node] if isinstance(node, nodes.Output) else []), *node.find_all(nodes.Output)]


def _write_with_care(body: Sequence[nodes.Node], values: frozenset[str]) -> None:
    """Look at everything that is written, but for plain values outside of loops: each is only as large as it is."""
    for node in body:
        if isinstance(node, nodes.Output):
            node.nodes = [_careful(child, values) for child in node.nodes]
        else:
            inside = values if isinstance(node, nodes.If) else frozenset[str]()
            _write_with_care(list(node.iter_child_nodes()), inside)


def _careful(node: nodes.Expr, values: frozenset[str]) -> nodes.Expr:
    if isinstance(node, nodes.TemplateData) or (isinstance(node, nodes.Name) and node.name in values):
        return node
    if isinstance(node, nodes.Filter) and node.name == CONCAT:
        return node
    return _filtered(node, WRITTEN)


def _filtered(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _weighed(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _filtered(node, WEIGH)


def _concat(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Filter) and node.name == CONCAT else _filtered(node, CONCAT)


def _charge(node: nodes.Node, extra: int = 0) -> nodes.ExprStmt:
    steps = nodes.Const(_constant_size(node) + extra, lineno=node.lineno)
    return nodes.ExprStmt(_filtered(steps, CHARGE), lineno=node.lineno)


def _constant_size(node: nodes.Node) -> int:
    """What a block writes each time, at least: the text that stands in it, but not in loops inside of it."""
    size, stack = 1, list(node.iter_child_nodes())
    while stack:
        child = stack.pop()
        if isinstance(child, nodes.TemplateData):
            size += len(child.data)
        elif isinstance(child, nodes.Const):
            size += len(child.value) if isinstance(child.value, str) else 1
        if not isinstance(child, nodes.For | nodes.Macro):
            stack += child.iter_child_nodes()
    return size
