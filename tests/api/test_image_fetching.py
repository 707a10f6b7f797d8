"""Fetching pictures over real sockets of the loopback, from hosts that misbehave."""

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.api.images.fetching import Budget, Fetcher, Limits
from ggufrun.errors import OutOfRange, RequestError, Unsupported
from tests.api.picture_host import picture_host, png, to, whole

_LOCAL = ("127.0.0.1",)
_PNG = png()


async def test_a_picture_comes_as_it_is() -> None:
    async with picture_host({"/a.png": whole(_PNG, Content_Type="text/plain")}) as host:
        assert await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/a.png?x=1#part") == _PNG
    head = host.asked[0]
    assert head.startswith("GET /a.png?x=1 HTTP/1.1") and f"Host: 127.0.0.1:{host.port}" in head


async def test_nothing_of_ours_is_sent_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with picture_host({"/": to("/b", Set_Cookie="a=b; Path=/"), "/b": whole(_PNG)}) as host:
        assert await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/") == _PNG
    heads = "".join(host.asked).lower()
    assert len(host.asked) == 2 and "cookie" not in heads and "authorization" not in heads


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0177.0.0.1", "0"])
async def test_a_private_host_is_not_asked(name: str) -> None:
    async with picture_host({"/": whole(_PNG)}) as host:
        with pytest.raises(RequestError, match=r"not on the public internet|nobody knows|is no URL"):
            await Fetcher().fetch(f"http://{name}:{host.port}/")
    assert not host.asked


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to() -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]  # a name that means something else when it is asked again
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), 2) - 1]

    async with (
        picture_host({"/": whole(_PNG)}) as first,
        picture_host({"/": whole(png(color="blue"))}, address="127.0.0.2", port=first.port) as second,
    ):
        fetcher = Fetcher(["pictures.test"], resolve=rebinding)
        assert await fetcher.fetch(f"http://pictures.test:{first.port}/") == _PNG
        assert asked == ["pictures.test"] and not second.asked
        assert f"Host: pictures.test:{first.port}" in first.asked[0]


async def test_a_public_name_with_a_private_address_is_not_asked() -> None:
    async with picture_host({"/": whole(_PNG)}) as host:
        with pytest.raises(RequestError, match="not on the public internet"):
            await Fetcher(resolve=lambda *_: ["127.0.0.1"]).fetch(f"http://pictures.test:{host.port}/")
    assert not host.asked


async def test_an_unknown_host_is_refused_as_a_private_one_is() -> None:
    def none(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror("Name or service not known")

    told = []
    for resolve in (none, lambda *_: ["10.1.2.3"], lambda *_: []):
        with pytest.raises(RequestError) as refused:
            await Fetcher(resolve=resolve).fetch("http://intranet.test/a.png")
        told.append((str(refused.value), type(refused.value), refused.value.__cause__, refused.value.__context__))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_a_private_host_is_not_followed(status: str) -> None:
    names = {"public.test": ["127.0.0.2"], "inside.test": ["127.0.0.1"]}
    async with picture_host({"/": whole(_PNG)}) as inside:
        target = to(f"http://inside.test:{inside.port}/", status)
        async with picture_host({"/": target}, address="127.0.0.2") as outside:
            fetcher = Fetcher(["public.test"], resolve=lambda host, _: names[host])
            with pytest.raises(RequestError, match=r"inside\.test is not on the public internet"):
                await fetcher.fetch(f"http://public.test:{outside.port}/")
    assert outside.asked and not inside.asked


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.png", "gopher://127.0.0.1/"])
async def test_a_redirect_to_another_kind_of_url_is_refused(target: str) -> None:
    async with picture_host({"/": to(target)}) as host:
        with pytest.raises(Unsupported, match="http and https"):
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/")


async def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    hops = {"/1": to("/2"), "/2": to("/3"), "/3": to("/4"), "/4": whole(_PNG), "/0": to("/1")}
    async with picture_host(hops) as host:
        fetcher = Fetcher(_LOCAL)
        assert await fetcher.fetch(f"http://127.0.0.1:{host.port}/1") == _PNG
        with pytest.raises(RequestError, match="more than 3 redirects"):
            await fetcher.fetch(f"http://127.0.0.1:{host.port}/0")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://h/a.png", "//h/a.png", "a.png", "javascript:1"])
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Unsupported, match="http and https"):
        await Fetcher().fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://me:secret@h/a.png", "https://me@h/", "http:///a.png", "http://me:secret@[::1/", "https://xn--a/"),
        *("http://127.0.0.1:99999/?secret", "http://h/secret\0", "http://xn--\N{LATIN SMALL LETTER E}/secret"),
    ],
)
async def test_urls_with_a_password_or_without_a_host_are_refused(url: str) -> None:
    with pytest.raises(OutOfRange) as refused:
        await Fetcher().fetch(url)
    assert "secret" not in str(refused.value)


async def test_a_host_that_sends_a_little_now_and_then_is_given_up() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + _PNG[:20])
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with picture_host({"/": drip}) as host:
        with pytest.raises(RequestError, match=r"did not come within 0\.3 s"):
            await Fetcher(_LOCAL, Limits(time_s=0.3)).fetch(f"http://127.0.0.1:{host.port}/")
        await asyncio.wait_for(host.left.wait(), 60)


async def test_headers_that_come_for_ever_are_given_up() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with picture_host({"/": drip}) as host:
        with pytest.raises(RequestError, match="did not come within"):
            await Fetcher(_LOCAL, Limits(time_s=0.3)).fetch(f"http://127.0.0.1:{host.port}/")


async def test_what_says_that_it_is_too_large_is_not_read() -> None:
    async with picture_host({"/": whole(_PNG, Content_Length="5000")}) as host:
        with pytest.raises(RequestError, match=r"larger than 0\.001 MB"):
            await Fetcher(_LOCAL, Limits(bytes=1000)).fetch(f"http://127.0.0.1:{host.port}/")


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked\r\n", b""])
async def test_what_does_not_say_so_is_stopped_when_it_is(head: bytes) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        piece = _PNG + bytes(4096 - len(_PNG))
        while True:
            writer.write(b"1000\r\n" + piece + b"\r\n" if head else piece)
            await writer.drain()

    async with picture_host({"/": endless}) as host:
        with pytest.raises(RequestError, match=r"larger than 0\.5 MB"):
            await Fetcher(_LOCAL, Limits(bytes=500_000)).fetch(f"http://127.0.0.1:{host.port}/")
        await asyncio.wait_for(host.left.wait(), 60)


@pytest.mark.parametrize("body", [b"<html>secret</html>", b"", b"\x89PN", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
async def test_what_is_no_picture_is_refused_whatever_it_is_called(body: bytes) -> None:
    async with picture_host({"/a.png": whole(body, Content_Type="image/png")}) as host:
        with pytest.raises(RequestError, match="no PNG, JPEG, WebP or GIF") as refused:
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/a.png")
    assert "secret" not in str(refused.value)


async def test_what_is_no_picture_is_not_read_to_its_end() -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"<html>" * 100)
            await writer.drain()

    async with picture_host({"/": endless}) as host:
        with pytest.raises(RequestError, match="no PNG"):
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/")


async def test_a_body_that_is_compressed_is_never_unpacked() -> None:
    bomb = gzip.compress(_PNG + bytes(50_000_000))
    async with picture_host({"/": whole(bomb, Content_Encoding="gzip")}) as host:
        with pytest.raises(RequestError, match="came compressed"):
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/")
    assert "Accept-Encoding: identity" in host.asked[0]


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial", "304 Not Modified"])
async def test_another_status_is_no_picture(status: str) -> None:
    async with picture_host({"/": whole(b"" if status[:1] != "4" else _PNG, status)}) as host:
        with pytest.raises(RequestError, match=f"status {status[:3]}"):
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/")


async def test_a_connection_that_breaks_off_is_said_so() -> None:
    async with picture_host({"/": whole(_PNG, Content_Length=str(len(_PNG) + 5))}) as host:
        with pytest.raises(RequestError, match="broke off"):
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/")


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with picture_host({"/": whole(_PNG)}) as host:
        fetcher = Fetcher(["two.test"], resolve=lambda *_: ["127.0.0.9", "127.0.0.1"])
        assert await fetcher.fetch(f"http://two.test:{host.port}/") == _PNG
        nowhere = Fetcher(["two.test"], resolve=lambda *_: ["127.0.0.9"])
        with pytest.raises(RequestError, match="could not be reached"):
            await nowhere.fetch(f"http://two.test:{host.port}/")


async def test_a_refusal_leaves_out_what_is_behind_the_question_mark() -> None:
    async with picture_host({"/a.png": whole(b"hello", "404 Not Found")}) as host:
        with pytest.raises(RequestError, match=r"a\.png was answered with status 404") as refused:
            await Fetcher(_LOCAL).fetch(f"http://127.0.0.1:{host.port}/a.png?token=secret#secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", [".", ".leading.test", "a..b"])
async def test_a_name_that_no_certificate_can_have_is_refused_in_words(name: str) -> None:
    async with picture_host() as host:
        fetcher = Fetcher([name], Limits(time_s=0.3), resolve=lambda *_: ["127.0.0.1"])
        with pytest.raises(RequestError, match="The picture https://"):
            await fetcher.fetch(f"https://{name}:{host.port}/")


async def test_names_that_nobody_answers_for_keep_no_other_picture_waiting() -> None:
    found = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        if host != "127.0.0.1":
            found.wait(60)
        return ["127.0.0.1"]

    async with picture_host({"/": whole(_PNG)}) as host:
        fetcher = Fetcher(_LOCAL, Limits(time_s=0.3), resolve=resolve)
        hanging = [fetcher.fetch(f"http://host{n}.test/") for n in range(16)]
        try:
            for error in await asyncio.gather(*hanging, return_exceptions=True):
                assert "did not come within" in str(error)
            assert await fetcher.fetch(f"http://127.0.0.1:{host.port}/") == _PNG
        finally:
            found.set()


async def test_a_request_s_slow_pictures_keep_those_of_others_not_waiting() -> None:
    came = asyncio.Event()

    async def never(_: asyncio.StreamWriter) -> None:
        if len(host.asked) >= 4:
            came.set()
        await asyncio.Event().wait()

    async with picture_host({"/": whole(_PNG), "/slow": never}) as host:
        fetcher, one = Fetcher(_LOCAL), Budget(10**9)
        slow = [asyncio.create_task(fetcher.fetch(f"http://127.0.0.1:{host.port}/slow", one)) for _ in range(40)]
        try:
            await asyncio.wait_for(came.wait(), 60)
            assert await asyncio.wait_for(fetcher.fetch(f"http://127.0.0.1:{host.port}/"), 60) == _PNG
            assert len(host.asked) == 5
        finally:
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)


async def test_many_at_once_all_come() -> None:
    async with picture_host({"/": whole(_PNG)}) as host:
        fetcher = Fetcher(_LOCAL)
        fetched = await asyncio.gather(*(fetcher.fetch(f"http://127.0.0.1:{host.port}/") for _ in range(40)))
    assert fetched == [_PNG] * 40


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1"),
            *("-nodes", "-subj", "/CN=pictures.test", "-addext", "subjectAltName=DNS:pictures.test"),
            *("-keyout", str(key), "-out", str(chain)),
        ],
        check=True,
        capture_output=True,
    )
    return chain, key


async def test_a_certificate_must_be_of_the_host_that_the_url_names(certificate: tuple[Path, Path]) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*certificate)
    named: list[str] = []
    server.sni_callback = lambda _socket, name, _context: named.append(str(name))
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    async with picture_host({"/": whole(_PNG)}, tls=server) as host:
        fetcher = Fetcher(["pictures.test", "other.test"], resolve=lambda *_: ["127.0.0.1"], tls=trust)
        assert await fetcher.fetch(f"https://pictures.test:{host.port}/") == _PNG
        with pytest.raises(RequestError, match="could not be reached"):
            await fetcher.fetch(f"https://other.test:{host.port}/")
    assert named == ["pictures.test", "other.test"]
    assert len(host.asked) == 1 and f"Host: pictures.test:{host.port}" in host.asked[0]


async def test_over_ipv6() -> None:
    try:
        async with picture_host({"/": whole(_PNG)}, address="::1") as host:
            assert await Fetcher(["::1"]).fetch(f"http://[::1]:{host.port}/") == _PNG
            with pytest.raises(RequestError, match="not on the public internet"):
                await Fetcher().fetch(f"http://[::1]:{host.port}/")
    except OSError:
        pytest.skip("there is no IPv6 here")


@given(
    st.one_of(
        st.text(max_size=80),
        st.builds(
            "{}://{}{}".format, st.sampled_from(["http", "HTTPS", "ftp"]), st.text(max_size=40), st.text(max_size=20)
        ),
    )
)
def test_whatever_is_said_to_be_a_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(RequestError):
        asyncio.run(Fetcher(resolve=lambda *_: ["127.0.0.1"]).fetch(url))
