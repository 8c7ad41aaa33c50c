import os
import tempfile
from pathlib import Path

import pytest

from rlrecipe.learning.compiled import cache
from rlrecipe.learning.compiled.cache import Cache, UnsafeCacheError, folder, key


def put(store: Cache, name: str, content: bytes = b"code") -> Path:
    made = store.staging(name)
    made.write_bytes(content)
    return store.put(name, made)


def test_what_was_put_is_found(tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled")
    assert store.get("ab") is None
    package = put(store, "ab")
    assert store.get("ab") == b"code"
    assert package.read_bytes() == b"code"
    assert sorted(file.name for file in store.path.iterdir()) == ["ab.json", "ab.pt2"]


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    assert Cache(tmp_path / "compiled").path.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeCacheError, match="others can write"):
        Cache(tmp_path)


def test_a_folder_that_others_can_put_another_in_place_of_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(UnsafeCacheError, match="others can write"):
        Cache(tmp_path / "mine" / "compiled")
    # Where only owners rename, as in a temporary folder, it is safe.
    tmp_path.chmod(0o1777)
    assert Cache(tmp_path / "mine" / "compiled")


@pytest.mark.parametrize("damage", ["changed", "no digest", "no facts"])
def test_a_package_that_is_not_what_was_put_is_not_taken(damage: str, tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled")
    package = put(store, "ab")
    if damage == "changed":
        package.write_bytes(b"evil")
    elif damage == "no digest":
        package.with_suffix(".json").write_text("[]")
    else:
        package.with_suffix(".json").unlink()
    assert store.get("ab") is None
    # Nor is it removed: another process may be putting it there.
    put(store, "ab", b"anew")
    assert store.get("ab") == b"anew"


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled", most=25)
    for i, name in enumerate(("aa", "bb")):
        os.utime(put(store, name, b"x" * 10), (i, i))
    # A use counts.
    store.get("aa")
    put(store, "cc", b"x" * 10)
    assert sorted(file.stem for file in store.path.glob("*.pt2")) == ["aa", "cc"]


def test_the_key_holds_what_the_code_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {key(["add"], 1), key(["mul"], 1), key(["add"], 2)}
    monkeypatch.setattr(cache, "processor", lambda: "another")
    keys.add(key(["add"], 1))
    monkeypatch.setattr("torch.__version__", "0.0.1")
    keys.add(key(["add"], 1))
    monkeypatch.setattr(cache, "compiler", lambda: None)
    keys.add(key(["add"], 1))
    assert len(keys) == 6


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RLRECIPE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert folder() == tmp_path / "x/rlrecipe/compiled"
    monkeypatch.setenv("RLRECIPE_CACHE", str(tmp_path / "own"))
    assert folder() == tmp_path / "own/compiled"


def test_without_a_home_packages_are_kept_in_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("RLRECIPE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert folder() == Path(tempfile.gettempdir()) / f"rlrecipe-{os.getuid()}" / "compiled"


def test_packages_that_other_processes_remove_meanwhile_are_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Cache(tmp_path / "compiled")
    put(store, "ab")
    gone = [store.path / ".scratch.gone", store.path / "cd.pt2"]
    glob = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, pattern: [*glob(path, pattern), *gone])
    store.sweep()
    assert store.get("ab") is not None


def test_two_processes_with_one_number_do_not_share_what_they_make(tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled")
    assert store.staging("ab") != store.staging("ab")


def test_what_killed_runs_left_is_swept_after_a_while(tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled")
    names = (".scratch.old", ".ab.1.pt2", ".scratch.new")
    for name in names:
        left = store.path / name
        left.write_text("") if name.endswith("pt2") else (left / "deep").mkdir(parents=True)
    for name in names[:2]:
        os.utime(store.path / name, (1, 1))
    put(store, "cc")
    assert sorted(file.name for file in store.path.iterdir()) == [".scratch.new", "cc.json", "cc.pt2"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a link away")
@pytest.mark.parametrize("place", ["last", "on the way", "behind a link"])
def test_a_link_of_another_user_is_refused_before_anything_is_made(place: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    own = tmp_path / "own"
    own.mkdir()
    link = own / "compiled" if place == "last" else own / "cache"
    link.symlink_to(tmp_path / "theirs")
    os.lchown(link, 12345, 12345)
    path = link if place == "last" else link / "compiled"
    if place == "behind a link":
        (tmp_path / "mine").symlink_to("own/cache")
        path = tmp_path / "mine/compiled"
    with pytest.raises(UnsafeCacheError, match="another user's link"):
        Cache(path)
    assert not list((tmp_path / "theirs").iterdir())


def test_links_of_the_user_and_of_root_pass(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to("disk")
    store = Cache(tmp_path / "cache/../cache/compiled")
    put(store, "ab")
    assert store.path == (tmp_path / "disk/compiled").resolve()
    assert Cache(tmp_path / "disk/compiled").get("ab") == b"code"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UnsafeCacheError):
        Cache(tmp_path / "a/compiled")


def test_a_link_in_place_of_a_package_is_not_taken(tmp_path: Path) -> None:
    store = Cache(tmp_path / "compiled")
    package = put(store, "ab")
    package.rename(tmp_path / "elsewhere.pt2")
    package.symlink_to(tmp_path / "elsewhere.pt2")
    assert store.get("ab") is None


def test_folders_are_made_for_the_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        store = Cache(tmp_path / "deep/er/compiled")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (store.path, store.path.parent, store.path.parent.parent)} == {
        0o700
    }
