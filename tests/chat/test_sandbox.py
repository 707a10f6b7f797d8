"""Templates of unknown origin: what they may do, what stops them, and that they render as Hugging Face's do."""

import sys
import time
from datetime import datetime
from typing import Any

import pytest

from ggufrun.chat.sandbox import ChatTemplate
from ggufrun.errors import OptionError, RequestError

LONG = "{% set long = 'a' * 1000000 %}"
ENDLESS = {
    "nested ranges": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "one range, nested": "{% set r = range(99999) %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
    "a giant range": "{{ range(1000000000) | list }}",
    "a giant text": "{{ 'a' * 10**10 }}",
    "a giant list": "{{ ([0] * 10**10) | length }}",
    "a giant number": "{{ 7 ** 99999999 }}",
    "squares": "{% set n = namespace(x=7) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "doubling by ~": "{% set n = namespace(s='abc') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
    "doubling by +": "{% set n = namespace(s='abc') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}",
    "growing lists": "{% set n = namespace(l=[]) %}{% for i in range(99999) %}{% set n.l = n.l + [i] %}{% endfor %}",
    "many lists": "{% set n = namespace(l=[]) %}{% for i in range(9999) %}"
    "{% set n.l = n.l + [[0] * 99999] %}{% endfor %}",
    "one text many times": LONG + "{{ [long] * 99999 }}",
    "a wide join": LONG + "{{ range(99999) | join(long) }}",
    "a wide join method": LONG + "{{ long.join(['x'] * 99999) }}",
    "join of attributes": LONG + "{{ ([{'a': long}] * 9999) | join(',', attribute='a') }}",
    "replace": LONG + "{{ long.replace('a', long) }}",
    "replace filter": LONG + "{{ long | replace('a', long) }}",
    "indent": "{{ ('\\n' * 1000000) | indent(99999) }}",
    "indent by keyword": "{{ ('\\n' * 1000000) | indent(width=99999) }}",
    "indented JSON": "{{ [[1]] | tojson(indent=100000) }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "nested format": "{{ '{:>{a[w]}}'.format(1, a={'w': 1000000000}) }}",
    "format_map": "{{ '{a:>1000000000}'.format_map({'a': 1}) }}",
    "format by attribute": "{{ (['{:>1000000000}'] | map(attribute='format') | list)[0](1) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (1000000000, 1) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "sum of lists": "{{ ([[1] * 99999] * 99999) | sum(start=[]) }}",
    "a block": LONG + "{% set s %}{% for i in range(99999) %}{{ long }}{% endfor %}{% endset %}",
    "its own text": "{% set s %}{% for i in range(99999) %}" + "x" * 100_000 + "{% endfor %}{% endset %}",
    "calls": "{% macro m() %}{{ caller() }}" + "x" * 100_000 + "{% endmacro %}"
    "{% for i in range(99999) %}{% call m() %}{% endcall %}{% endfor %}",
    "a tree of macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}"
    + "x" * 1000 + "{% endmacro %}{{ f(40) }}",
}  # fmt: skip
FORBIDDEN = {
    "class": "{{ ''.__class__.__mro__ }}",
    "subclasses": "{{ messages.__class__.__base__.__subclasses__() }}",
    "init": "{{ cycler.__init__.__globals__ }}",
    "globals of a function": "{{ raise_exception.__globals__['os'] }}",
    "by subscript": "{{ ''['__class__']['__mro__'] }}",
    "by filter": "{{ (''|attr('__class__')).x }}",
    "changing the request": "{{ messages.append(1) }}",
    "changing a message": "{{ messages[0].update({'role': 'system'}) }}",
    "expandtabs": "{{ '\t'.expandtabs(1) }}",
    "translate": "{{ 'a'.translate({97: 'bb'}) }}",
}


def peak_mib() -> float:
    """This process's peak memory; 0 where the system does not say it in the same way."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def render(source: str, **variables: Any) -> str:
    return ChatTemplate(source).render({"messages": [{"role": "user", "content": "hi"}], **variables}, 100)


@pytest.mark.parametrize("name", ENDLESS)
def test_endless_work_is_stopped(name: str) -> None:
    template = ChatTemplate(ENDLESS[name])
    start, before = time.thread_time(), peak_mib()
    with pytest.raises(RequestError, match="was stopped") as caught:
        template.render({"messages": []}, 100)
    assert time.thread_time() - start < 4
    assert peak_mib() - before < 400
    assert "\n" not in str(caught.value)


def test_recursion_is_stopped() -> None:
    with pytest.raises(RequestError, match="recursion"):
        render("{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}")


@pytest.mark.parametrize("name", FORBIDDEN)
def test_escapes_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"not allowed|undefined|no attribute"):
        render(FORBIDDEN[name])


def test_files_cannot_be_read() -> None:
    with pytest.raises(RequestError, match="loader"):
        render("{% include 'secrets' %}")


def test_long_conversations_are_not_stopped() -> None:
    messages = [{"role": "user", "content": "word " * 1000 + str(turn)} for turn in range(400)]
    source = (
        "{% set ns = namespace(text='') %}{% for m in messages %}{% set ns.text = ns.text ~ m.content[:10] %}"
        "<{{ m.role }}>{{ m.content | trim }}{{ m | tojson }}{% endfor %}{{ ns.text | length }}"
    )
    size = sum(len(message["content"]) for message in messages)
    text = ChatTemplate(source).render({"messages": messages}, size)
    assert text.endswith("4000")
    assert len(text) > 2 * size


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for m in messages %}\n  {{ m.role }}\n{% endfor %}\n", "  user\n"),
        ("{{ {'a': '<é> \\'&'} | tojson }}", '{"a": "<é> \'&"}'),
        ("{{ [1, {'b': none}] | tojson(indent=2) }}", '[\n  1,\n  {\n    "b": null\n  }\n]'),
        ("{% for i in [0, 1] %}{% if i == 0 %}{% continue %}{% endif %}{{ i }}{% endfor %}", "1"),
        ("{% for i in [0, 1] %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}", "0"),
        ("{% for i in [1, 2, 3] if i > 1 %}{{ loop.index }}/{{ loop.length }} {% endfor %}", "1/2 2/2 "),
        ("{% for i in [1, 2] %}{{ loop.last }}{{ loop.previtem }}{% endfor %}", "FalseTrue1"),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% else %}none{% endfor %}", "a1"),
        ("{% for x in missing %}{% else %}none{% endfor %}", "none"),
        ("{% generation %}said{% endgeneration %}", "said"),
        ("{{ 'a' ~ 1 ~ none ~ true }}", "a1NoneTrue"),
        ("{{ '%s: %5.2f' % ('pi', 3.14159) }}", "pi:  3.14"),
        ("{{ '{}-{x}'.format('a', x='b') }}", "a-b"),
        ("{{ [1, 2, 3] | sum }}{{ [1] | sum(start=2) }}", "63"),
        ("{{ ['a', 'b'] | join('-') }}{{ '-'.join(['c', 'd']) }}", "a-bc-d"),
        ("{{ ' x\ny ' | trim | indent(2) | replace('y', 'z') }}", "x\n  z"),
        ("{{ messages | map(attribute='role') | list }}", "['user']"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ 7 // 2 + 2 ** 3 - 10 % 4 }}{{ 3 * 'ab' }}{{ [1] + [2] }}", "9ababab[1, 2]"),
        ("{% macro f(x, y='d') %}{{ x }}{{ y }}{% endmacro %}{{ f('a') }}{{ f('a', y='b') }}", "adab"),
    ],
)  # fmt: skip
def test_renders_as_hugging_face_does(source: str, text: str) -> None:
    assert render(source) == text


def test_today() -> None:
    assert render("{{ strftime_now('%Y') }}") == str(datetime.now().year)


def test_a_template_that_refuses_says_so() -> None:
    with pytest.raises(RequestError, match="refuses these messages: Roles must alternate") as caught:
        render("{{ raise_exception('Roles must\nalternate!') if messages }}")
    assert caught.value.param == "messages"
    assert "\n" not in str(caught.value)


def test_a_template_that_stumbles() -> None:
    with pytest.raises(RequestError, match="fails on these messages"):
        render("{{ messages[0].content + none }}")


@pytest.mark.parametrize(
    "source", ["{% for", "{{ x | no_such_filter }}", "{{ " + "(" * 5000, "{% bad %}", "x" * 600_000]
)
def test_a_template_that_does_not_compile(source: str) -> None:
    with pytest.raises(OptionError, match="--chat-template") as caught:
        ChatTemplate(source)
    assert "\n" not in str(caught.value)
