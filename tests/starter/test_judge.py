"""The judge reads drawn scenes nearly without fault, and finds no agreement where there is none."""

from dataclasses import replace

import numpy as np

from tests.starter.judge import judge, read
from training.scenes.composition import Background, Composition, Thing, draw, random_composition


def test_of_drawn_scenes_at_least_99_in_100_are_read_as_they_were_drawn():
    rng = np.random.default_rng(11)
    scenes = [random_composition(rng) for _ in range(200)]
    verdicts = [judge(draw(scene, 128, rng), scene) for scene in scenes]
    assert np.mean([verdict.objects for verdict in verdicts]) >= 0.99
    assert np.mean([verdict.positions for verdict in verdicts]) >= 0.99
    assert np.mean([verdict.background for verdict in verdicts]) >= 0.99


def test_what_was_asked_for_and_what_is_there_are_told_apart():
    rng = np.random.default_rng(3)
    scene = Composition((Thing("star", "red"), Thing("ring", "blue")), "column", Background("yellow"))
    picture = draw(scene, 256, rng)
    assert judge(picture, scene).objects
    swapped = replace(scene, things=(Thing("star", "blue"), Thing("ring", "red")))
    assert not judge(picture, swapped).objects
    turned = judge(picture, replace(scene, things=scene.things[::-1]))
    assert (turned.objects, turned.positions) == (True, False)
    assert not judge(picture, replace(scene, arrangement="row")).positions
    assert not judge(picture, replace(scene, background=Background("white"))).background
    assert not judge(picture, replace(scene, things=scene.things[:1])).objects


def test_the_pictures_of_others_agree_with_less_than_one_wish_in_ten():
    rng = np.random.default_rng(4)
    drawn = [draw(random_composition(rng), 128, rng) for _ in range(60)]
    wishes = [random_composition(rng) for _ in range(60)]
    assert np.mean([judge(picture, wish).objects for picture, wish in zip(drawn, wishes, strict=True)]) <= 0.1


def test_noise_and_an_empty_picture_hold_nothing():
    assert read(np.full((128, 128, 3), 0.96, np.float32)).things == ()
    noise = np.random.default_rng(0).random((128, 128, 3), np.float32)
    wish = Composition((Thing("star", "red"),), "centre", Background("white"))
    assert not judge(noise, wish).objects
