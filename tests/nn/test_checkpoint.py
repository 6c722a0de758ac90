"""Files: training states resume bit for bit; damaged, wrong and hostile files change nothing."""

import io
import json
import os
import pickle
import stat
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

import minigrad as mg
import nn

SUFFIXES = [".npz", ".safetensors"]


class Run:
    """A training whose every number is in its state."""

    def __init__(self):
        self.net = nn.Sequential(
            nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(4, 1, rng=2)
        )
        self.opt = nn.AdamW(self.net, lr=0.01)
        self.schedule = nn.ExponentialLR(self.opt, 0.9)
        self.rng = np.random.default_rng(3)
        self.parts = {"net": self.net, "opt": self.opt, "schedule": self.schedule, "rng": self.rng}
        self.parts["mask"] = getattr(self.net, "1").rng

    def train(self, steps):
        losses = []
        for _ in range(steps):
            x = self.rng.standard_normal((5, 3))
            loss = nn.mse_loss(self.net(x), np.ones((5, 1)))
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.schedule.step()
            losses.append(loss.item())
        return losses


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_training_resumes_bit_for_bit(tmp_path, suffix):
    run, again = Run(), Run()
    run.train(5)
    nn.save(run.parts, tmp_path / f"run{suffix}", epoch=5, best=0.25, history=np.array([1.0, 2.0]))
    rest = run.train(5)
    extra = nn.load(again.parts, tmp_path / f"run{suffix}")
    assert (extra["epoch"], extra["best"], extra["history"].tolist()) == (5, 0.25, [1.0, 2.0])
    assert again.train(5) == rest
    for name, value in run.net.state_dict().items():
        assert np.array_equal(value, again.net.state_dict()[name])
    assert run.opt.state_dict().keys() == again.opt.state_dict().keys()
    assert os.listdir(tmp_path) == [f"run{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_module_alone(tmp_path, suffix):
    net, other = nn.LSTM(2, 3), nn.LSTM(2, 3)
    nn.save(net, tmp_path / f"net{suffix}")
    assert nn.load(other, str(tmp_path / f"net{suffix}")) == {}
    assert all(
        np.array_equal(value, other.state_dict()[name]) for name, value in net.state_dict().items()
    )


def test_npz_files_open_with_numpy_alone(tmp_path):
    net = nn.Linear(2, 3)
    nn.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as file:
        assert np.array_equal(file["W"], net.W.data)


def bad_files():
    """Name, and what the file holds."""
    good = io.BytesIO()
    np.savez(good, W=np.ones((2, 3)), b=np.ones(3))
    whole = good.getvalue()
    hostile = io.BytesIO()
    np.savez(hostile, W=np.array([print], dtype=object), b=np.ones(3))
    flipped = bytearray(whole)
    flipped[whole.index(b"\x00\x00\xf0\x3f") + 2] ^= 1  # a byte of an array: its checksum tells
    packed = io.BytesIO()
    np.savez_compressed(packed, W=np.ones((2, 3)), b=np.ones(3))
    crushed = bytearray(packed.getvalue())
    crushed[crushed.index(b"W.npy") + 25 : crushed.index(b"W.npy") + 45] = b"\xff" * 20
    unknown = bytearray(whole)
    unknown[unknown.index(b"PK\x01\x02") + 10] = 99  # the compression method, in the directory
    secret = bytearray(whole)
    secret[secret.index(b"PK\x01\x02") + 8] |= 1  # the mark of encryption
    broken = io.BytesIO()
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("W.npy", b"not an array")
    return {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "one byte changed": bytes(flipped),
        "compressed and changed": bytes(crushed),
        "an unknown compression": bytes(unknown),
        "encrypted": bytes(secret),
        "text": b"hello, world",
        "a pickle": pickle.dumps({"W": 1}),
        "a pickle inside": hostile.getvalue(),
        "no array inside": broken.getvalue(),
    }


@pytest.mark.parametrize("kind", bad_files())
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_or_hostile_file_changes_nothing(tmp_path, kind, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(bad_files()[kind])
    net = nn.Linear(2, 3)
    before = net.state_dict()
    with pytest.raises(
        ValueError, match=f"net{suffix} is damaged, or not a {suffix} file of arrays"
    ):
        nn.load(net, path)
    assert all(value.base is before[name].base for name, value in net.state_dict().items())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_file_of_ours(tmp_path, suffix):
    run = Run()
    path = tmp_path / f"run{suffix}"
    nn.save(run.parts, path)
    whole = path.read_bytes()
    for size in (10, len(whole) // 3, len(whole) - 10):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="damaged"):
            nn.load(run.parts, path)


def test_a_file_of_another_training_changes_nothing_at_all(tmp_path):
    run, other = Run(), Run()
    run.train(2)
    parts = {**other.parts, "net": nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 1))}
    nn.save(
        {name: run.parts[name] for name in ("rng", "opt", "schedule", "mask", "net")},
        tmp_path / "run.npz",
    )
    order = {name: parts[name] for name in ("rng", "opt", "schedule", "mask", "net")}
    before = [
        np.asarray(v)
        for part in ("opt", "schedule", "net")
        for v in order[part].state_dict().values()
    ]
    state = order["rng"].bit_generator.state
    with pytest.raises(ValueError, match="does not fit"):
        nn.load(order, tmp_path / "run.npz")
    after = [
        np.asarray(v)
        for part in ("opt", "schedule", "net")
        for v in order[part].state_dict().values()
    ]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert order["rng"].bit_generator.state == state
    with pytest.raises(ValueError, match="it also holds mask, net, opt, rng"):
        nn.load({"schedule": other.schedule}, tmp_path / "run.npz")
    order["rng"] = np.random.Generator(np.random.MT19937(0))
    with pytest.raises(ValueError, match="does not fit"):
        nn.load(order, tmp_path / "run.npz")


def test_every_generator_of_numpy(tmp_path):
    for kind in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64):
        rng, other = np.random.Generator(kind(1)), np.random.Generator(kind(2))
        rng.random(3)
        nn.save({"rng": rng}, tmp_path / "rng.npz")
        nn.load({"rng": other}, tmp_path / "rng.npz")
        assert rng.random(4).tolist() == other.random(4).tolist()


def test_a_crash_while_writing_leaves_the_old_file_whole(tmp_path, monkeypatch):
    net, path = nn.Linear(2, 3), tmp_path / "net.npz"
    nn.save(net, path)
    whole = path.read_bytes()
    monkeypatch.setattr(
        os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space left"):
        nn.save(net, path)
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) == ["net.npz"]


def test_bad_paths_and_values_are_named(tmp_path):
    net = nn.Linear(2, 3)
    with pytest.raises(ValueError, match=r"ends in .npz or .safetensors is needed, found '.pt'"):
        nn.save(net, tmp_path / "net.pt")
    with pytest.raises(FileNotFoundError, match="cannot save here"):
        nn.save(net, tmp_path / "nowhere" / "net.npz")
    with pytest.raises(FileNotFoundError):
        nn.load(net, tmp_path / "none.npz")
    with pytest.raises(TypeError, match="@note holds <U2; only numbers"):
        nn.save(net, tmp_path / "net.npz", note="hi")
    with pytest.raises(TypeError, match="can be saved, found int"):
        nn.save({"net": 5}, tmp_path / "net.npz")
    with pytest.raises(TypeError, match="can be saved, found int"):
        nn.save(3, tmp_path / "net.npz")
    with pytest.raises(ValueError, match="without '/', found a/b"):
        nn.save({"a/b": net}, tmp_path / "net.npz")
    assert not os.listdir(tmp_path)


def test_the_default_generator_can_be_saved(tmp_path):
    mg.seed(3)
    nn.save({"rng": mg.generator()}, tmp_path / "rng.npz")
    first = mg.generator().random()
    nn.load({"rng": mg.generator()}, tmp_path / "rng.npz")
    assert mg.generator().random() == first


@pytest.mark.parametrize("number", ["-1", str(2**200), "[" * 100_000])
def test_a_hostile_generator_state_changes_nothing(tmp_path, number):
    net, rng = nn.Linear(2, 3), np.random.default_rng(0)
    before, state = net.state_dict(), rng.bit_generator.state
    text = json.dumps({**state, "state": {**state["state"], "state": "HERE"}}).replace(
        '"HERE"', number
    )
    arrays = {
        "net/W": np.ones((2, 3)),
        "net/b": np.ones(3),
        "rng/state": np.frombuffer(text.encode(), np.uint8),
    }
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(ValueError, match=r"run.npz does not fit"):
        nn.load({"net": net, "rng": rng}, tmp_path / "run.npz")
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())
    assert rng.bit_generator.state == state


def test_a_file_without_the_optimiser_does_not_restart_it(tmp_path):
    run = Run()
    run.train(2)
    nn.save({"net": run.net}, tmp_path / "net.npz")
    with pytest.raises(ValueError, match="missing: 0.lr"):
        nn.load({"net": run.net, "opt": run.opt}, tmp_path / "net.npz")
    assert run.opt.slots[0][0]["t"] == 2


# what surrounds a file


def test_any_changed_byte_is_found_or_harmless(tmp_path):
    net = nn.LSTM(2, 3)
    for suffix in SUFFIXES:
        path = tmp_path / f"net{suffix}"
        nn.save(net, path, epoch=3)
        whole = path.read_bytes()
        for k in range(0, len(whole), 7):
            damaged = bytearray(whole)
            damaged[k] ^= 1 + k % 255
            path.write_bytes(bytes(damaged))
            other = nn.LSTM(2, 3)
            before = other.state_dict()
            try:
                nn.load(other, path)
            except ValueError:
                assert all(
                    value.base is before[name].base for name, value in other.state_dict().items()
                )
            else:
                for name, value in net.state_dict().items():
                    assert np.array_equal(value, other.state_dict()[name])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_does_not_fit_is_told_before_an_array_is_read(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    nn.save(nn.Linear(2000, 1000), path)
    net = nn.Linear(2, 1000)
    tracemalloc.start()
    with pytest.raises(
        ValueError, match=r"shape of W: \(2, 1000\) is needed, found \(2000, 1000\)"
    ):
        nn.load(net, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_small_file_that_claims_to_be_large(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("@extra.npy", header.getvalue())
    with pytest.raises(ValueError, match="its shape needs 8000000000"):
        nn.load(nn.Module(), tmp_path / "net.npz")
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for value in (1.0, 2.0):
            part = io.BytesIO()
            np.lib.format.write_array(part, np.array(value))
            archive.writestr("@a.npy", part.getvalue())
    with pytest.raises(ValueError, match="it holds @a twice"):
        nn.load(nn.Module(), tmp_path / "net.npz")


def test_the_mode_and_the_link_of_the_old_file_stay(tmp_path):
    net = nn.Linear(2, 3)
    (tmp_path / "there").mkdir()
    place, link = tmp_path / "there" / "net.npz", tmp_path / "link.npz"
    nn.save(net, place)
    place.chmod(0o640)
    link.symlink_to(place)
    nn.save(net, link)
    assert link.is_symlink()
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert os.listdir(tmp_path / "there") == ["net.npz"]


def test_a_long_name(tmp_path):
    net, path = nn.Linear(2, 3), tmp_path / f"{'n' * 250}.npz"
    nn.save(net, path)
    nn.load(net, path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nobody_waits_on_what_is_no_file(tmp_path, suffix):
    net, path = nn.Linear(2, 3), tmp_path / f"net{suffix}"
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is no regular file"):
        nn.load(net, path)
    with pytest.raises(OSError, match="exists and is no regular file"):
        nn.save(net, path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert os.listdir(tmp_path) == [path.name]


def test_names_that_could_not_be_loaded_again_are_refused(tmp_path):
    net, path = nn.Module(), tmp_path / "net.npz"
    setattr(net, "@a", nn.Parameter(1.0))
    with pytest.raises(ValueError, match="the name '@a' begins with '@', which marks extras"):
        nn.save(net, path)
    with pytest.raises(ValueError, match="the name '@net/W' begins with '@'"):
        nn.save({"@net": nn.Linear(1, 1)}, path)
    with pytest.raises(ValueError, match=r"the name '@x\\x00y' cannot be written"):
        nn.save(nn.Linear(1, 1), path, **{"x\0y": 1})
    with pytest.raises(ValueError, match="must differ as text, found 1, 1"):
        nn.save({1: nn.Linear(1, 1), "1": nn.Linear(1, 1)}, path)
    assert not path.exists()
    net = nn.Module()
    net.parts = {"a.npy": nn.Parameter(1.0), "b/c": nn.Parameter(2.0), "d\\e": nn.Parameter(3.0)}
    other = nn.Module()
    other.parts = {name: nn.Parameter(0.0) for name in net.parts}
    for suffix in SUFFIXES:
        nn.save({"net": net}, tmp_path / f"net{suffix}")
        nn.load({"net": other}, tmp_path / f"net{suffix}")
        assert [p.item() for p in other.parameters()] == [1.0, 2.0, 3.0]
