"""`pylon test` runs these: the whole server, inside the test."""

from collections.abc import Iterator

import pytest
from app import Post, app, like

from pylon import PylonError
from pylon.testing.kit import TestApp


@pytest.fixture
def t() -> Iterator[TestApp]:
    with app.test() as running:
        yield running


def test_everybody_reads_and_likes_a_post_and_its_author_alone_changes_it(t: TestApp) -> None:
    ada, ben = t.as_user("ada"), t.as_user("ben")
    post = ada.insert(Post, text="hello")
    assert ben.call(like, post=post)["likes"] == 1
    assert t.anonymous().can_read(Post, post)
    for change in (lambda: ben.update(Post, post, text="mine"), lambda: ben.delete(Post, post)):
        with pytest.raises(PylonError, match="denied"):
            change()
    ada.update(Post, post, text="hello, world")


def test_a_post_is_live(t: TestApp) -> None:
    with t.as_guest().live() as guest:
        t.as_user("ada").insert(Post, text="hello")
        assert [event["data"]["text"] for event in guest.events] == ["hello"]
