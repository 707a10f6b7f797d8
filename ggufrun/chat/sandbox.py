"""A Jinja environment for chat templates of unknown origin: no attribute escapes, no endless work, no enormous values.

It renders as Hugging Face's `apply_chat_template` does, which templates are written for. Messages are not known here.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from ggufrun.chat.budget import Budget, TemplateLimit, current, spend
from ggufrun.chat.template_filters import JOIN_FILTER, LOOP_FILTER, Refusal, furnish, written
from ggufrun.errors import OptionError, RequestError

_LONGEST_SOURCE = 512 * 1024
_NO_TEXT_METHODS = {"expandtabs", "translate"}  # a few characters ask for gigabytes
# What an expression of a template can raise on its own when it meets an unexpected message.
_FAULTS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError, RuntimeError)


class ChatTemplate:
    """One compiled template. Rendering is safe from several threads."""

    def __init__(self, source: str) -> None:
        """Raises OptionError if the template cannot be compiled."""
        self.source = source
        hint = "Give another one with --chat-template FILE."
        if len(source) > _LONGEST_SOURCE:
            raise OptionError(f"The chat template has {len(source)} characters, more than {_LONGEST_SOURCE}.", hint)
        spend(Budget(len(source)))
        try:
            self._template = _environment().from_string(source)
        except TemplateSyntaxError as error:
            reason = f"line {error.lineno}: {error.message}"
            raise OptionError(f"The chat template is not valid Jinja ({_one_line(reason)}).", hint) from error
        except (TemplateError, SyntaxError, *_FAULTS) as error:
            raise OptionError(f"The chat template cannot be compiled: {_one_line(str(error))}.", hint) from error

    def render(self, variables: dict[str, Any], size: int) -> str:
        """The prompt's text; `size` is about how many characters the variables hold. Raises RequestError."""
        spend(Budget(size))
        hint = "The template comes with the model; --chat-template FILE replaces it."
        try:
            return self._template.render(variables)
        except Refusal as error:
            reason = _one_line(str(error))
            raise RequestError(f"The model's chat template refuses these messages: {reason}", "", "messages") from error
        except TemplateLimit as error:
            raise RequestError(f"The chat template was stopped: {_one_line(str(error))}.", hint) from error
        except SecurityError as error:
            raise RequestError(
                f"The chat template is not allowed to do this: {_one_line(str(error))}.", hint
            ) from error
        except (TemplateError, *_FAULTS) as error:
            reason = _one_line(str(error) or type(error).__name__)
            raise RequestError(f"The chat template fails on these messages: {reason}.", hint, "messages") from error


class _Sandbox(ImmutableSandboxedEnvironment):
    """Every loop round, call, filter and operator that can make something large goes through the budget."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, str) and attr in _NO_TEXT_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        safe = super().wrap_str_format(value)
        return safe and functools.partial(_checked_format, value.__self__, safe)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        budget = current()
        budget.step()
        match operator:
            case "*":
                budget.multiplied(left, right)
            case "**":
                budget.raised(left, right)
            case "+":
                budget.added(left, right)
            case _ if isinstance(left, str):
                _check_format(left, "%", [right])
        return budget.made(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget = current()
        budget.step()
        budget.check_arguments((*args, *kwargs.values()))
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str):
            name = getattr(__obj, "__name__", "")
            if name == "replace" and len(args) >= 2:
                budget.check_replace(owner, args[0], args[1])
            elif name == "join" and args:
                args = (list(args[0]),)
                budget.check_join(owner, args[0])
        return budget.made(super().call(__context, __obj, *args, **kwargs))


class _Metered(NodeTransformer):
    """Sends loops and `~` through filters that count."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        static = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        node.iter = nodes.Filter(node.iter, LOOP_FILTER, [nodes.Const(static)], [], None, None)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return nodes.Filter(nodes.List(node.nodes), JOIN_FILTER, [], [], None, None)


class _MeteredCode(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:
        _Metered().visit(node).set_environment(self.environment)
        super().visit_Template(node, frame)


class _Generation(Extension):
    """`{% generation %}`, which marks the answers for training, renders what it encloses."""

    tags = {"generation"}  # noqa: RUF012  # as the base's

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@functools.cache
def _environment() -> _Sandbox:
    environment = _Sandbox(
        trim_blocks=True, lstrip_blocks=True, finalize=written, extensions=[_Generation, loopcontrols], cache_size=0
    )
    environment.code_generator_class = _MeteredCode
    furnish(environment)
    return environment


def _checked_format(text: str, safe: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    """`str.format` and `format_map`, after a look at how much they would write."""
    _check_format(text, "{", [*args, *kwargs.values()])
    return safe(*args, **kwargs)


def _check_format(text: str, field: str, values: list[Any]) -> None:
    budget = current()
    budget.check_arguments(values)
    if re.search(r"\d{4}|:[^{}]*\{" if field == "{" else r"\d{4}|\*", text):  # a number, or a width from elsewhere
        raise TemplateLimit("it asks for an enormous width")
    widest = max((value for value in values if isinstance(value, int)), default=0)
    budget.check((text.count(field) + 1) * (len(text) + widest + budget.weigh(values)))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300].rstrip(".")
