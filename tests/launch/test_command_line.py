"""What the command line accepts and refuses."""

from pathlib import Path

import pytest

from launch.arguments import parse_serve


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        parse_serve(arguments, Path.cwd())
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, "a refusal is one line"
    return error


def test_without_flags_the_server_is_on_loopback_at_the_usual_port(tmp_path: Path):
    settings = parse_serve([], tmp_path)
    assert (settings.network.listen, settings.network.port) == (("127.0.0.1",), 8188)
    assert settings.paths.output == tmp_path / "output"
    assert settings.caching.mode == "ram"
    assert settings.metadata


def test_bare_listen_means_every_interface(tmp_path: Path):
    assert parse_serve(["--listen"], tmp_path).network.listen == ("0.0.0.0", "::")
    assert parse_serve(["--listen", "127.0.0.1, ::1"], tmp_path).network.listen == ("127.0.0.1", "::1")


def test_folders_follow_the_base_directory_unless_given(tmp_path: Path):
    elsewhere = tmp_path / "pictures"
    paths = parse_serve(["--base-directory", str(tmp_path), "--output-directory", str(elsewhere)], Path("/x")).paths
    assert (paths.output, paths.input, paths.custom_nodes) == (elsewhere, tmp_path / "input", tmp_path / "custom_nodes")


def test_the_temp_folder_is_always_one_of_its_own(tmp_path: Path):
    """It is emptied at start, so it must never be a folder that holds anything else."""
    assert parse_serve(["--temp-directory", str(tmp_path)], tmp_path).paths.temp == tmp_path / "temp"


@pytest.mark.parametrize(
    ("arguments", "mode", "entries", "budget"),
    [
        (["--cache-classic"], "classic", 0, None),
        (["--cache-lru", "20"], "lru", 20, None),
        (["--cache-none"], "none", 0, None),
        (["--cache-ram"], "ram", 0, None),
        (["--cache-ram", "1.5"], "ram", 0, 3 * 2**29),
    ],
)
def test_cache_flags(arguments: list[str], mode: str, entries: int, budget: int | None, tmp_path: Path):
    caching = parse_serve(arguments, tmp_path).caching
    assert (caching.mode, caching.entries, caching.budget) == (mode, entries, budget)


def test_the_upload_limit_is_in_megabytes(tmp_path: Path):
    assert parse_serve(["--max-upload-size", "0.5"], tmp_path).network.max_upload == 2**19


def test_flags_of_launchers_that_mean_nothing_here_are_accepted(tmp_path: Path):
    settings = parse_serve(["--dont-print-server", "--front-end-version", "x@1"], tmp_path)
    assert settings.ignored == ("--dont-print-server", "x@1")


def test_precision_flags_are_told_apart_by_part(tmp_path: Path):
    devices = parse_serve(["--bf16-unet", "--fp32-vae", "--fp16-text-enc"], tmp_path).devices
    assert (devices.network, devices.autoencoder, devices.text_encoder) == ("bfloat16", "float32", "float16")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "70000"], "0 to 65535"),
        (["--port", "abc"], "--port"),
        (["--max-upload-size", "-3"], "above 0"),
        (["--max-upload-size", "nan"], "above 0"),
        (["--cache-lru", "0"], "above 0"),
        (["--cache-classic", "--cache-none"], "not allowed with"),
        (["--tls-keyfile", "key.pem"], "belong together"),
        (["--extra-model-paths-config", "/nowhere/paths.yaml"], "no file"),
        (["--front-end-root", "/nowhere"], "index.html"),
        (["--listen", ","], "no address"),
        (["--no-such-flag"], "unrecognized"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]):
    assert says in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [["--token", "s3cret"], ["--token=s3cret"], ["--tok", "s3cret"], ["--listen", "--token", "s3cret", "--cpu"]],
)
def test_the_token_is_taken_and_not_told_on(arguments: list[str], tmp_path: Path):
    """The worker is started with these, for everyone to see in the list of processes."""
    settings = parse_serve(arguments, tmp_path)
    assert settings.network.token == "s3cret"
    assert settings.arguments == ("main.py", *(each for each in arguments if each in ("--listen", "--cpu")))


def test_waiting_jobs_are_begun_as_it_was_left_unless_said_otherwise(tmp_path: Path):
    assert parse_serve([], tmp_path).on_start == "last"
    assert parse_serve(["--on-start", "paused"], tmp_path).on_start == "paused"
