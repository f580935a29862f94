"""How a program uses the generated client. mypy holds it to the types and to refusing what is wrong; tests run it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from pylon.client import LiveQuery
from tests.client.generated.pylon_client import Api, AsyncApi, AsyncLive, Book, Line, Live, LocalBook, Report, Where


async def walk(api: AsyncApi) -> Report:
    """Rows and functions, for asyncio."""
    user = await api.guest()
    first = await api.Book.insert(title="Momo", size="large", stock=3, from_="Ende", tags=["a"])
    await api.Book.insert(title="Jim", code="jim-1")
    await api.Book.update(first, stock=4, from_=None)
    book = await api.Book.get(first)
    assert_type(book, Book | None)
    assert book is not None
    assert (book.title, book.stock, book.from_, book.owner, book.isNew) == ("Momo", 4, None, user, True)
    found = await api.Book.query(
        {"$or": [{"from_": "Ende"}, {"stock": {"$gte": 4}, "isNew": True}]}, order=["-made", "title"], limit=5
    )
    assert [one.id for one in found] == [first]
    assert [one.title async for one in api.Book.all()] == ["Momo", "Jim"]
    assert (await api.Book.one({"code": "jim-1"}, order="title")) is not None
    assert [one.title for one in await api.fn.find(where=Where(size="large", least=1))] == ["Momo"]
    assert await api.fn.order(lines=[Line(title="Momo", count=2), Line(title="Jim")], self_="y") == 3
    await api.fn.forget(name="b")
    assert [str(event) async for event in api.fn.spell(word="abc")] == ["a", "b", "c"]
    assert await api.fn.anything(value={"x": [1]}) == {"x": [1]}
    name = await api.Client.insert(name="carl")
    assert await api.Client.delete(name)
    assert not await api.Client.delete(name)
    text = await api.query_.insert(text="named as a method")
    assert (await api.query_.get(text)) is not None
    return await api.fn.report()


async def follow(api: AsyncApi) -> None:
    """A replica, for asyncio."""
    async with api.replica() as replica:
        await replica.ready()
        live = AsyncLive(replica)
        before = len(live.Book.rows())
        made = live.Book.insert(title="Bastian", size="small")
        query = live.Book.live({"title": {"$like": "bast"}}, order="-made")
        assert_type(query, LiveQuery[LocalBook])
        async for books in query:
            if books:
                assert (books[0].id, books[0].stock) == (made, 0)
                break
        await replica.quiet()
        assert len(live.Book.rows(order="title")) == before + 1
        async for report in live.fn.report():
            assert_type(report, Report)
            assert "Bastian" in [book.title for book in report.books]
            break
        live.Book.delete(made)
        await replica.quiet()


def walk_blocking(url: str, file: Path) -> None:
    """The same without asyncio."""
    with Api(url) as api:
        api.guest()
        row = api.Book.insert(title="Fuchur", datetime_=None)
        book = api.Book.get(row)
        assert book is not None
        assert book.datetime_ is None
        api.Book.update(row, title="Fuchur the dragon")
        assert [one.title for one in api.Book.query({"id": row})] == ["Fuchur the dragon"]
        assert api.fn.spell(word="ab").text() == "ab"
        with api.replica(file) as replica:
            replica.ready(timeout=10)
            live = Live(replica)
            assert live.Book.get(row) is not None
            live.Book.update(row, stock=9)
            replica.quiet(timeout=10)
            for books in live.Book.live({"stock": 9}):
                assert [one.title for one in books] == ["Fuchur the dragon"]
                break
            for report in live.fn.report():
                assert report.by_size["large"] >= 0
                break
        assert api.Book.delete(row)


async def refused_by_mypy(api: AsyncApi) -> None:
    """Never run: an ignored error that is none is one."""
    await api.Book.insert(stock=1)  # type: ignore[call-arg]  # the title is missing
    await api.Book.insert(title="x", size="huge")  # type: ignore[arg-type]
    await api.Book.insert(title="x", owner="me")  # type: ignore[call-arg]  # stamped by the server
    await api.Book.update("id", made=None)  # type: ignore[call-arg]  # readonly
    await api.Book.query({"titel": "x"})  # type: ignore[arg-type]
    await api.Book.query({"stock": {"$like": "x"}})  # type: ignore[arg-type]
    await api.Book.query(order="tags")  # type: ignore[arg-type]
    await api.fn.find(limit=3)  # type: ignore[call-arg]
    await api.fn.order(lines=["x"])  # type: ignore[list-item]
    (await api.fn.report()).books[0].bought_for  # type: ignore[attr-defined]  # noqa: B018
