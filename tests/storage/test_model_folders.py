"""Which models there are, and where."""

import os
from pathlib import Path

import pytest

from storage.folders import ExtraPaths, Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path)
    made.make()
    return made


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_kinds_are_those_clients_know_in_their_order(folders: Folders):
    assert folders.kinds() == [
        *["checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models"],
        *["embeddings", "diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "custom_nodes"],
        *["hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders"],
    ]


def test_names_are_relative_sorted_and_only_weights(folders: Folders):
    root = folders.models / "checkpoints"
    put(root / "sub" / "m1.safetensors")
    put(root / "m2.CKPT")
    put(root / "readme.txt")
    put(root / ".hidden" / "m3.safetensors")
    assert folders.files("checkpoints") == ["m2.CKPT", os.path.join("sub", "m1.safetensors")]


def test_a_new_file_and_a_removed_one_are_noticed_at_once(folders: Folders):
    root = folders.models / "loras"
    put(root / "a.safetensors")
    assert folders.files("loras") == ["a.safetensors"]
    put(root / "deep" / "er" / "b.safetensors")
    assert folders.files("loras") == ["a.safetensors", os.path.join("deep", "er", "b.safetensors")]
    (root / "a.safetensors").unlink()
    assert folders.files("loras") == [os.path.join("deep", "er", "b.safetensors")]


def test_an_old_quiet_folder_is_not_read_again(folders: Folders, monkeypatch: pytest.MonkeyPatch):
    root = folders.models / "loras"
    put(root / "a.safetensors")
    for directory in folders.directories("loras"):
        if directory.exists():
            os.utime(directory, (1, 1))
    assert folders.files("loras") == ["a.safetensors"]

    def walk(*_: object, **__: object) -> None:
        raise AssertionError("the folder was read again")

    monkeypatch.setattr(os, "walk", walk)
    assert folders.files("loras") == ["a.safetensors"]


@pytest.mark.parametrize(("old", "new"), [("unet", "diffusion_models"), ("clip", "text_encoders")])
def test_old_names_of_kinds_still_mean_them(folders: Folders, old: str, new: str):
    put(folders.models / new / "m.safetensors")
    assert folders.files(old) == folders.files(new) == ["m.safetensors"]
    assert folders.find(old, "m.safetensors") == folders.models / new / "m.safetensors"


def test_models_saved_by_nodes_can_be_loaded_again(folders: Folders):
    put(folders.output / "clip" / "mine.safetensors")
    assert folders.files("text_encoders") == ["mine.safetensors"]


@pytest.mark.parametrize(
    "name",
    [
        *["../secret.safetensors", "..\\secret.safetensors", "sub/../../secret.safetensors", "", ".", "a\0b"],
        *["/etc/passwd", "C:\\secret.safetensors", "missing.safetensors", "x" * 5000],
    ],
)
def test_a_name_never_climbs_out(folders: Folders, name: str):
    put(folders.models / "secret.safetensors")
    assert folders.find("checkpoints", name) is None


def test_models_may_be_links_to_another_disk(folders: Folders, tmp_path: Path):
    put(tmp_path / "disk" / "big.safetensors")
    (folders.models / "checkpoints" / "disk").symlink_to(tmp_path / "disk")
    name = os.path.join("disk", "big.safetensors")
    assert folders.files("checkpoints") == [name]
    assert folders.find("checkpoints", name) is not None


def test_a_link_to_a_folder_above_does_not_go_round_for_ever(folders: Folders):
    root = folders.models / "checkpoints"
    put(root / "a.safetensors")
    (root / "loop").symlink_to(root)
    assert folders.files("checkpoints") == ["a.safetensors"]


def test_an_unknown_kind_is_a_key_error(folders: Folders):
    with pytest.raises(KeyError):
        folders.files("nonsense")
    assert folders.find("nonsense", "a") is None


def test_files_of_packs_are_not_listed(folders: Folders):
    put(folders.base / "custom_nodes" / "pack" / "secrets.json")
    assert folders.files("custom_nodes") == []


def test_extra_paths_are_added_after_ours_or_before_when_they_say_so(folders: Folders, tmp_path: Path):
    data = {
        "a111": {"base_path": "other", "checkpoints": "sd\nsd2", "unet": "flow"},
        "first": {"is_default": True, "base_path": str(tmp_path / "first"), "checkpoints": "."},
        "new": {"my_kind": "kind"},
        "empty": None,
    }
    made = Folders(tmp_path / "base", extra=[ExtraPaths(data, tmp_path)])
    directories = made.directories("checkpoints")
    assert directories[0] == tmp_path / "first"
    assert directories[-2:] == [tmp_path / "other" / "sd", tmp_path / "other" / "sd2"]
    assert tmp_path / "other" / "flow" in made.directories("diffusion_models")
    put(tmp_path / "kind" / "any.thing")
    assert made.files("my_kind") == ["any.thing"]


def test_the_first_directory_wins(tmp_path: Path):
    folders = Folders(tmp_path)
    put(folders.models / "vae" / "v.safetensors")
    put(tmp_path / "more" / "v.safetensors")
    folders.add("vae", tmp_path / "more")
    assert folders.find("vae", "v.safetensors") == folders.models / "vae" / "v.safetensors"
    folders.add("vae", tmp_path / "more", first=True)
    assert folders.find("vae", "v.safetensors") == tmp_path / "more" / "v.safetensors"
    assert folders.files("vae") == ["v.safetensors"]


def test_listings_of_user_files(folders: Folders):
    for name in ("b.png", "a.latent", "c.wav", ".hidden.png"):
        put(folders.input / name)
    put(folders.input / "set" / "d.png")
    put(folders.input / "3d" / "m.glb")
    assert folders.listing("input files") == ["a.latent", "b.png", "c.wav"]
    assert folders.listing("input files (image)") == ["b.png"]
    assert folders.listing("input files (audio)") == ["c.wav"]
    assert folders.listing("input files (.latent)") == ["a.latent"]
    assert folders.listing("input files (3d)") == ["3d/m.glb"]
    assert folders.listing("input folders") == ["3d", "set"]
    assert folders.listing("output") == []


def test_approximate_decoders_are_offered_only_whole(folders: Folders):
    put(folders.models / "vae" / "v.safetensors")
    put(folders.models / "vae_approx" / "taesd_encoder.safetensors")
    put(folders.models / "vae_approx" / "taesd_decoder.safetensors")
    put(folders.models / "vae_approx" / "taesdxl_decoder.safetensors")
    assert folders.listing("vae (plus approximations)") == ["v.safetensors", "taesd"]


def test_a_diffusers_model_is_a_folder(folders: Folders):
    put(folders.models / "diffusers" / "sd" / "model_index.json")
    put(folders.models / "diffusers" / "other" / "x.json")
    assert folders.files("diffusers") == ["sd"]
