"""Weights of text: ICU's root order, held against orders taken from ICU 72."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from couchette.document.weights import Levels, _table, levels, text_key
from tests.document.strategies import texts

# In ICU's order.
CHARACTERS = (
    "\ufffe\t\n\v\f\r\x85\u2028 _-–—,、;:!¡?¿.…·'‘’\"“”«»()[]{}§¶@*/\\&#%‰†•‿`´^¨°©®→⇒∀∂+±÷×<=>¬|¦~√≈─█■▲★☆♔♞♥⚡✅✓❤⬅⯾"
    "🃏🃵🨀🩠🌍🤔🥰🧠🪐🫡😀🙂🚀🛟ː々ー¤¢$£¥฿€₿₨﷼𐄒01①½¼²٣89aAªáÁàâåäãāæbBcçdðeéfgħiıjkLłnñoöøœqrsſßtuüvⅧwxyzZžþ"
    "αΑάβωΩбяЯաאבابتकก가あァア𗀀一日本龥\ufffd\uffff"
)
WORD_LINES = (
    "🥰 love|🚀|$5|€5|1|1/2|½|10|2|5€|a b|a-b|a1|a10|a2|ab|aB|Æ|aeon|Aeon|æon|ÆON|co-op|CO-OP|coop|cote|Cote|coté|Coté",
    "côte|Côte|côté|Côté|coteau|Mueller|Muller|Müller|naive|naïve|Naïve|oeuvre|œuvre|ŒUVRE|resume|Resume|resumé|résumé",
    "Résumé|strasse|Strasse|straße|Straße|uber|über|Über|zebra|αθηνα|Αθήνα|Ἀθῆναι|еж|ёж|Ёж|иод|йод|москва|Москва|Мосты",
    "שלום|سلام|हिन्दी|เกม|แกะ|ความ|ᄀ|가나|각|かく|カク|かぐ|がく|ガク|日本|東京",
)
WORDS = [word for line in WORD_LINES for word in line.split("|")]

ascii_texts = st.text(st.characters(max_codepoint=127), max_size=8)


@pytest.mark.parametrize("ordered", [CHARACTERS, WORDS], ids=["characters", "words"])
def test_texts_stand_in_the_order_of_icu(ordered):
    for before, after in pairwise(ordered):
        assert text_key(before) < text_key(after), (before, after)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("é", "e\u0301"),
        ("й", "и\u0306"),
        ("Å", "\u212b"),
        ("각", "\u1100\u1161\u11a8"),
        ("a", "a\0"),
        ("a", "\u200ba\u200d"),
        ("❤", "❤\ufe0f"),
        ("ệ", "e\u0323\u0302"),
        ("ё", "е\u0308"),
    ],
)
def test_texts_that_icu_takes_for_equal_have_equal_keys(a, b):
    assert text_key(a) == text_key(b)
    assert levels(a) == levels(b)


def test_combining_marks_count_in_the_order_they_have():
    assert text_key("a\u0323\u0301") != text_key("a\u0301\u0323")


def test_marks_reach_their_letter_over_others_that_do_not_block_them():
    assert text_key("и\u0323\u0306")[:3] == text_key("й")[:3]
    assert text_key("и\u0301\u0306")[:3] == text_key("и")[:3] != text_key("й")[:3]


@given(ascii_texts)
def test_the_short_way_for_ascii_agrees_with_the_table(text):
    assert levels(text) == (_table().levels(text) if text else Levels(b"", b"", b""))


@given(texts, texts)
@example("a", "ab")
@example("ab", "áb")
@example("aB", "áb")
def test_keys_compare_as_levels_do(a, b):
    assert (text_key(a) < text_key(b)) == (levels(a) < levels(b))
    assert (text_key(a) == text_key(b)) == (levels(a) == levels(b))


def test_no_weight_is_the_beginning_of_another():
    table = _table()
    single = {table._parsed(chars)[0][0] for chars in table._elements}
    weights = {table._listed(weight) for weight in single if 0 < weight < 0xFB00}
    weights |= {table._unlisted(char) for char in "\ufffe\ufffd\uffff₨🨀🥰⯾一㐀𠮷𗀀\ue000"}
    assert len(weights) > 20_000
    for weight, following in pairwise(sorted(weights)):
        assert not following.startswith(weight)
        assert weight[0] > 1


@given(st.text(max_size=4))
@example("\ud800")
def test_any_text_has_a_key_without_the_byte_that_ends_it(text):
    """A zero occurs only inside a weight: a key and its end are never the beginning of another key."""
    key = text_key(text)
    assert not key.startswith(b"\0")
    assert text_key(text + "\uffff") > key + b"\0"


@given(st.characters())
def test_common_weights_are_the_least_of_their_levels(char):
    _, secondary, tertiary = levels(char)
    assert min(secondary, default=2) >= 2
    assert min(tertiary, default=2) >= 2


def test_new_pictographs_are_among_the_old_ones():
    assert text_key("\U0001fae0") < text_key("0")
    assert text_key("\U0001f6d4") < text_key("\U0001f6df") < text_key("\U0001f6e0")


@pytest.mark.parametrize("unit", ["é", "ความ", "и\u0301", "日"])
def test_the_time_for_a_long_text_grows_with_its_length(unit):
    """Twenty times the text takes as long as the text twenty times; were its square what counts, twenty times as long.

    Whatever else the machine does can disturb a round, and either side of it. So one round in which it holds is enough.
    """

    def seconds(text: str, times: int) -> float:
        start = time.thread_time()
        for _ in range(times):
            text_key(text)
        return time.thread_time() - start

    text_key(unit)
    assert any(seconds(unit * 20_000, 1) < 5 * seconds(unit * 1_000, 20) for _ in range(10))
