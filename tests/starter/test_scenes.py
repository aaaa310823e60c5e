"""The drawn world: its captions are true, its pictures repeatable, and some of it is kept for judging."""

import re

import numpy as np
import pytest

from training.scenes import composition, landscape
from training.scenes.captions import caption
from training.scenes.composition import Background, Composition, Thing, random_composition
from training.scenes.landscape import Landscape, random_landscape
from training.scenes.palette import NAMES, rgb
from training.scenes.shapes import SHAPES, outline


def scenes(count: int = 300) -> list[Composition | Landscape]:
    rng = np.random.default_rng(7)
    return [random_composition(rng) if i % 2 else random_landscape(rng) for i in range(count)]


def test_a_seed_draws_the_same_picture_again():
    for scene in scenes(10):
        draw = composition.draw if isinstance(scene, Composition) else landscape.draw
        first, second = (draw(scene, 48, np.random.default_rng(3)) for _ in range(2))  # pyright: ignore[reportArgumentType]  # draw fits its scene
        assert np.array_equal(first, second)
        assert first.shape == (48, 48, 3)
        assert 0 <= first.min() <= first.max() <= 1


def test_captions_name_every_thing_and_every_colour():
    rng = np.random.default_rng(1)
    for scene in scenes():
        text = caption(scene, rng)
        if isinstance(scene, Composition):
            for thing in scene.things:
                assert re.search(rf"\b{thing.color} {thing.shape}\b", text), (text, scene)
                assert (thing.fill in text) or thing.fill == "flat"
            for color in (scene.background.first, scene.background.second):
                assert color is None or color in text
        else:
            assert scene.ground in text
            assert {"sun": "sun", "moon": "moon", "stars": "stars"}.keys() >= set(scene.lights)
            for word in (*scene.lights, *scene.extras):
                assert word in text
            assert ("snowy" in text) == scene.snow
            assert bool(re.search(r"\bclouds?\b", text)) == (scene.clouds > 0)


def test_captions_of_one_scene_vary_in_wording_and_order():
    scene = Composition((Thing("star", "red", "small"), Thing("ring", "blue")), "column", Background("yellow"))
    rng = np.random.default_rng(5)
    said = {caption(scene, rng) for _ in range(200)}
    assert "a small red star above a large blue ring on a yellow background" in said
    assert any(text.startswith(("a blue ring", "a large blue ring", "a big blue ring")) for text in said)
    assert len(said) > 40


def test_about_one_combination_in_ten_is_kept_for_judging_whatever_its_wording_or_place():
    drawn = scenes(4000)
    share = sum(scene.held_out for scene in drawn) / len(drawn)
    assert 0.07 < share < 0.14
    things = (Thing("star", "red"), Thing("ring", "blue"))
    row = Composition(things, "row", Background("white"))
    column = Composition(things[::-1], "column", Background("black"))
    assert row.held_out == column.held_out


def test_things_never_have_the_colour_they_lie_on():
    for scene in scenes():
        if isinstance(scene, Composition):
            grounds = {scene.background.first, scene.background.second}
            assert grounds.isdisjoint(thing.color for thing in scene.things)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_stands_where_it_should_in_its_own_colour(shape: str):
    scene = Composition((Thing(shape, "red"),), "left", Background("white"))  # pyright: ignore[reportArgumentType]
    picture = composition.draw(scene, 96, np.random.default_rng(0))
    red = np.linalg.norm(picture - rgb("red"), axis=2) < 0.15
    ys, xs = np.nonzero(red)
    assert xs.size > 100
    assert 0.12 < xs.mean() / 96 < 0.36
    assert 0.38 < ys.mean() / 96 < 0.62


def test_shapes_have_about_one_radius_and_named_colours_are_far_apart():
    for shape in SHAPES:
        assert 0.8 < np.abs(outline(shape).outer).max() < 1.2
    for i, first in enumerate(NAMES):
        for second in NAMES[i + 1 :]:
            assert np.linalg.norm(rgb(first) - rgb(second)) > 0.25, (first, second)
