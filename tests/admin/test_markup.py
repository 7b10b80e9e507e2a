"""Values as HTML."""

import math

import pytest

from localctl.admin.markup import badge, facts, heading, items, moment, progress, text
from tests.admin.samples import HOSTILE


def test_words_become_no_markup() -> None:
    """Angles, quotes and ampersands are escaped, and a text that runs the other way is kept to itself."""
    assert text("<b a='1'>&\"") == "<bdi>&lt;b a=&#x27;1&#x27;&gt;&amp;&quot;</bdi>"
    for made in (badge("good", HOSTILE), progress(1, 2, HOSTILE), progress(1, None, HOSTILE), text(HOSTILE)):
        assert "<img" not in made
        assert 'alert(1)>"' not in made


@pytest.mark.parametrize("at", [None, math.nan, math.inf, -1.0, 1e300])
def test_a_time_that_is_none(at: float | None) -> None:
    """It is said, and nothing breaks."""
    assert moment(at) == "unknown"


def test_a_time() -> None:
    """UTC to be read as it is, and a form that the page turns into the reader's own."""
    told = '<time class="at" datetime="2001-09-09T01:46:40Z">2001-09-09 01:46:40 UTC</time>'
    assert moment(1e9) == told
    assert moment(1e9, "day") == '<time class="day" datetime="2001-09-09T01:46:40Z">2001-09-09</time>'


def test_progress() -> None:
    """How far it is stands in the bar and beside it; more than all is all; without a size there is no share."""
    assert 'value="25"' in progress(512, 2048, "x")
    assert "25 % · 512 B of 2.0 KiB" in progress(512, 2048, "x")
    assert 'value="100"' in progress(9, 3, "x")
    assert progress(512, None, "x").count("value") == 0
    assert "512 B, of an unknown size" in progress(512, None, "x")


def test_lists() -> None:
    """What there is none of is said; facts without a value are left out."""
    assert items([], "none") == '<p class="none">none</p>'
    assert items(["a", "b"], "none") == '<ul class="items"><li>a</li><li>b</li></ul>'
    assert facts([("A", "1"), ("B", "")]) == "<dl><div><dt>A</dt><dd>1</dd></div></dl>"
    assert heading("A", 0) == '<h2>A <span class="count">0</span></h2>'
    assert heading("A") == "<h2>A</h2>"
