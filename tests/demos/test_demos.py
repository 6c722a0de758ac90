import argparse
import ast
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import demos
import minigrad as mg
import nn
from demos import bptt_is_the_chain_rule as chain_rule
from demos import cli, custom_cells
from demos import vanishing_and_exploding as vanishing
from demos.language_model import NGrams
from demos.medians import median, module_of, parser_of, tables
from demos.speech import BLANK, ctc_loss, distance, laid_out
from demos.tasks import TASKS, digits
from demos.training import descend
from demos.vietnamese import DOCUMENTATION, TEXTS
from tests import figures
from tests.demos import spoken

ROOT = Path(demos.__file__).parent.parent


def run(*words, cwd=ROOT, **environment):
    """`python -m demos...` as a user types it; warnings are errors."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | environment
    return subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=cwd, env=environment
    )


SAYS = {
    "sunspots": ["autoregression, 9 years", "RNN, 8 states", "strongest rhythm"],
    "stock_price": ["same as today", "linear, 10 days", "RNN", "‖∂loss/∂h_t‖", "day −40"],
    "feed_forward": ["the coin of three steps ago", "RNN"],
    "translation": ["exactly right", "with attention", "18 words", "weekday (read first)"],
    "sentiment": ["naive Bayes", "GRU", "LSTM", "vanilla RNN", "undecided", "256 states"],
    "next_word": ["Hôm nay trời rất ___", "pairs: one word", "RNN: all words before"],
    "speech": ["both directions", "errors in digits"],
    "language_model": ["3-gram", "1 × LSTM", "2 × LSTM", "bits per character", "temperature"],
    "vanishing_and_exploding": [
        "RNN 0.5 h",
        "exploding",
        "vanishing",
        "healthy",
        "LSTM, b_f = 2 c",
        "GRU, b_z = 4 h",
        "crossings ≤ 1",
        "LSTM trained",
    ],
    "long_memory": ["RNN", "LSTM", "GRU"],
    "clipping": ["none", "norm", "value", "crossing"],
    "truncation": ["bias", "window"],
    "custom_cells": ["MinimalGatedCell", "second order: ok"],
    "debugger_tour": ["(bptt)", "outlier: x[2, ", "NaN was born", "|dh| = "],
    "bptt_is_the_chain_rule": [
        "the engine's backward loop",
        "forward mode (RTRL)",
        "add up to the gradient",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", demos.NAMES)
def test_every_demo_runs_and_writes_what_it_says(name, tmp_path):
    done = run(f"demos.{name}", "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for words in (*SAYS[name], "the numbers of so short a run are no results"):
        assert words in done.stdout
    written = done.stdout.rpartition("written: ")[2].splitlines()[0].split(", ")
    assert written == ["nothing"] or all(Path(path).stat().st_size > 500 for path in written)
    assert "not drawn" not in done.stdout


@pytest.mark.parametrize("name", demos.NAMES)
def test_every_demo_is_one_readable_script_with_help(name):
    path = ROOT / "demos" / name
    path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(figures.measure(path.read_text(encoding="utf-8")).widths) <= 150  # lines of code
    done = run(f"demos.{name}", "--help")
    assert done.returncode == 0
    assert all(flag in done.stdout for flag in ("--quick", "--seed", "--out"))
    assert len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))) > 80


def test_the_list_names_every_demo_with_a_line():
    lines = run("demos").stdout.splitlines()
    for name in demos.NAMES:
        assert any(line.split()[:1] == [name] and len(line.split()) > 4 for line in lines)


def test_the_list_is_in_the_language_of_the_user():
    lines = run("demos", MINIGRAD_LANG="vi").stdout.splitlines()
    assert lines[0].startswith("python -m demos TÊN")
    assert len([line for line in lines if "Biến mất và nổ gradient" in line]) == 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(tmp_path):
    first, second = (
        run("demos", "stock_price", "--quick", "--seed", "3", "--out", str(tmp_path))
        for _ in range(2)
    )
    assert (
        first.stdout.split("written")[0].rsplit("\n", 1)[0]
        == second.stdout.split("written")[0].rsplit("\n", 1)[0]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demos", "stocks"], "no demo 'stocks'; there are: sunspots"),
        (["demos.stocks"], "no demo 'stocks'"),
        (["demos.stock_price", "--out", "README.md"], "cannot write there"),
        (["demos.custom_cells", "nothing"], "there is no cell 'nothing'; there are: minimal_gated"),
        (["demos.medians", "stocks"], "no demo 'stocks'"),
        (["demos.medians", "sunspots", "--jobs", "0"], "argument --jobs: a whole number above 0"),
        (["demos.medians", "sunspots", "--updates", "0"], "argument --updates: a whole number"),
        (["demos.debugger_tour", "-T", "5"], "this gradient reaches 28.6"),
        (
            ["demos.vanishing_and_exploding", "--quick", "--scale", "1e39"],
            "‖∂loss/∂h‖ is not finite from step 6 back",
        ),
        (
            ["demos.vanishing_and_exploding", "-T", "1500", "--scale", "1e-30"],
            "‖∂loss/∂h‖ is not finite from step 1072 back",
        ),
        (["demos.vanishing_and_exploding", "--cell", "nowhere:Cell"], "write module:Class"),
        (["demos.vanishing_and_exploding", "--cell", "pathlib:Path"], "--cell pathlib:Path"),
    ],
)
def test_what_cannot_be_done_is_said_with_status_2(words, message, tmp_path):
    gathers = words[0] in ("demos", "demos.medians")
    out = [] if "--out" in words or gathers else ["--out", str(tmp_path)]
    done = run(*words, *out)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


BAD = {
    cli.whole: ["-1", "two"],
    cli.positive: ["0", "-3", "1.5", "two"],
    cli.length: ["0", "1", "9999", "two"],
    cli.scale: ["0", "nan", "1e400", "two"],
}


@pytest.mark.parametrize("name", demos.NAMES)
def test_every_number_that_an_option_cannot_take_is_refused_by_its_name(name, capsys):
    tried = 0
    for action in parser_of(name)._actions:
        values = ["luck"] if action.choices else BAD.get(action.type, [])
        for value in values:
            with pytest.raises(SystemExit, match="2"):
                parser_of(name).parse_args([f"{action.option_strings[0]}={value}"])
            said = capsys.readouterr().err.splitlines()[-1]
            assert f"argument {'/'.join(action.option_strings)}: " in said
            assert repr(value) in said or "at least 2 steps" in said
            tried += 1
    assert tried >= 3  # --seed and --lang


def test_every_option_that_takes_a_number_has_a_type_that_refuses():
    for name in demos.NAMES:
        for action in parser_of(name)._actions:
            assert action.type in (None, *BAD), (name, action.option_strings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [n for n in demos.NAMES if cli.length in {a.type for a in parser_of(n)._actions}]
)
def test_the_shortest_length_runs_or_is_refused_with_the_reason(name):
    (flag,) = (a.option_strings[0] for a in parser_of(name)._actions if a.type is cli.length)
    if name == "debugger_tour":
        with pytest.raises(cli.UsageError, match="take more steps"):
            tables(name, 0, ("--quick", flag, "2"))
    else:
        assert all(table.rows for table in tables(name, 0, ("--quick", flag, "2")))


def test_without_extras_a_demo_says_what_to_install_and_goes_on(tmp_path):
    for name in ("matplotlib", "tqdm", "babel"):
        (tmp_path / "hidden" / name).mkdir(parents=True)
        (tmp_path / "hidden" / name / "__init__.py").write_text("raise ImportError")
    hidden = {"PYTHONPATH": f"{tmp_path / 'hidden'}{os.pathsep}{ROOT}"}
    done = run("demos.stock_price", "--quick", "--out", str(tmp_path / "out"), **hidden)
    assert done.returncode == 0
    assert "same as today" in done.stdout
    assert "pip install -e '.[plot]'" in done.stdout
    assert "training: 81/81" in done.stderr
    translation = run("demos.translation", "--quick", "--out", str(tmp_path / "out"), **hidden)
    assert translation.returncode == 2
    assert "pip install -e '.[demos]'" in translation.stderr


def test_a_cell_of_the_users_own_joins_the_figure(tmp_path):
    source = (ROOT / "demos" / "custom_cells" / "minimal_gated.py").read_text(encoding="utf-8")
    (tmp_path / "mycell.py").write_text(source, encoding="utf-8")
    words = ("demos.vanishing_and_exploding", "--quick", "--cell", "mycell:MinimalGatedCell")
    done = run(*words, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MinimalGatedCell" in done.stdout


def test_ctc_sums_over_all_ways_to_lay_labels_along_the_sound():
    rng = np.random.default_rng(0)
    log_p = np.log(rng.dirichlet(np.ones(11), (4, 2)))
    labels, lengths = [[3, 3], [1]], np.array([4, 3])
    expected = []
    for b, (label, length) in enumerate(zip(labels, lengths)):
        p = 0.0
        for way in itertools.product({*label, BLANK}, repeat=int(length)):
            said = [k for k, before in zip(way, (BLANK, *way)) if k not in (before, BLANK)]
            p += np.exp(sum(log_p[t, b, k] for t, k in enumerate(way))) if said == label else 0
        expected.append(-np.log(p))
    scores = mg.tensor(log_p, requires_grad=True)
    loss = ctc_loss(scores, lengths, laid_out(labels))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    loss.backward()
    assert np.isfinite(scores.grad.data).all()
    assert (scores.grad.data[3, 1] == 0).all()  # beyond the length of its row


@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_a_caption_says_what_was_measured_whatever_a_student_changes(scale):
    told = {"exploding": "overflow", "healthy": "kept|stays|hands on what it got"}
    for seed, gain in ((0, 0.9), (1, 1.2), (2, 8.0)):
        args = argparse.Namespace(gain=gain, cell=None, seed=seed, scale=scale)
        for title, graph in vanishing.untrained(args, 20).items():
            path = vanishing.state_of(title, graph)
            caption = vanishing.captioned(title, path).partition(": ")[2]
            word = "limited" if "≤" in title else path.verdict
            forgets = "drop|drops|forgotten|two parts"
            assert re.search(told.get(word, forgets if word == "vanishing" else "limited"), caption)


def test_the_distance_of_strings():
    assert [distance([1, 2, 3], b) for b in ([1, 2, 3], [1, 3], [2, 2, 3], [], [3, 1, 2, 3])] == [
        0,
        1,
        1,
        3,
        1,
    ]


def test_ngrams_are_probabilities():
    model = NGrams("abracadabra" * 3, 3)
    for context in ("", "a", "br", "zz"):
        assert sum(
            model.probability(context, letter) for letter in set("abracadabra")
        ) == pytest.approx(1)


def test_tasks_are_what_they_say():
    rng = np.random.default_rng(0)
    xs, targets, counts = TASKS["adding"].batch(10, 500, rng)
    assert xs[..., 1].sum(axis=0).tolist() == [2.0] * 500
    assert targets[0].var() == pytest.approx(TASKS["adding"].chance, rel=0.15)
    xs, targets, counts = TASKS["copying"].batch(7, 5, rng)
    assert (xs[:4].argmax(axis=2) == targets).all()
    assert xs[counts].argmax(axis=2).min() == 9
    xs, targets, counts = TASKS["echo"].batch(9, 5, rng)
    assert ((xs[:-3, :, 0] > 0) == targets).all()
    assert len(xs[counts]) == len(targets)
    pixels, labels = digits()
    assert pixels.shape == (64, 1797, 1)
    assert np.bincount(labels).min() > 150


@pytest.mark.parametrize("name", custom_cells.CELLS)
def test_a_cell_is_small_documented_and_correct(name):
    from demos.custom_cells.__main__ import cell_class

    kind = cell_class(name)
    assert "Shapes:" in kind.__doc__
    assert "import demos" not in Path(sys.modules[kind.__module__].__file__).read_text(
        encoding="utf-8"
    )
    assert "second order: ok" in str(nn.check_cell(kind(2, 2)))
    xs = np.random.default_rng(0).standard_normal((4, 2, 3))
    ys, _ = nn.Unroll(kind(3, 4))(xs)
    assert ys.shape == (4, 2, 4)


def test_tables_and_curves_of_text():
    columns = {"value": "{:.3f}", "": ""}
    table = cli.Table("name", columns, [("a", 1.0, "x"), ("long", None, "y")])
    assert str(table).splitlines() == [
        "",
        "  name  value",
        "  ────  ─────  ─",
        "  a     1.000  x",
        "  long         y",
    ]
    assert cli.bars([1, 10, 1000]) == "▁▃█"
    assert cli.bars([1.0, 1.1]) == "▁▁"
    assert cli.curve([-1, 0, 1]) == "▁▅█"
    assert cli.curve([2, 2]) == "▁▁"


def test_medians_are_taken_of_numbers_and_of_words_the_commonest():
    def table(mse, percent, word):
        rows = [("RNN", mse, percent, word), ("guessing", 0.5, None, None)]
        return cli.Table("of three", {"MSE": "{:.3f}", "%": "{:+.1f}", "": ""}, rows)

    found = median([table(0.11, 3.0, "a"), table(0.13, -1.0, "b"), table(0.115, -2.5, "a")])
    assert found.rows == [("RNN", 0.115, -1.0, "a (2 of 3)"), ("guessing", 0.5, None, None)]


def choices():
    """A demo, and each word that chooses something else than is usual."""
    for name in demos.NAMES:
        for action in parser_of(name)._actions:
            if action.choices and action.dest != "lang":
                for choice in action.choices:
                    if choice != action.default:
                        yield name, action.option_strings[0], choice


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flag", "choice"), [*choices()])
def test_every_choice_runs(name, flag, choice, tmp_path):
    done = run(f"demos.{name}", "--quick", flag, choice, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    assert "nan" not in done.stdout.split()


@pytest.mark.slow
def test_medians_of_a_demo():
    done = run("demos.medians", "feed_forward", "--quick")
    assert done.returncode == 0, done.stderr
    assert "medians over 5 seeds" in done.stdout
    assert "the numbers of so short a run are no results" in done.stdout
    assert "same as today" in done.stdout


@pytest.mark.slow
def test_a_demo_returns_what_it_prints():
    (found, rhythm) = tables("sunspots", 0, ("--quick",))
    assert [row[0] for row in found.rows][-1] == "RNN, 8 states"
    assert all(0 < row[1] < 10 for row in found.rows)
    assert rhythm.rows[0][1] == pytest.approx(11.2, abs=0.2)  # the sun's


def test_every_text_is_said_in_vietnamese_too():
    texts = spoken.texts()
    assert texts == set(TEXTS)
    for text in texts:
        fields = re.findall(r"{.*?}", text)
        assert re.findall(r"{.*?}", TEXTS[text]) == fields, text
    assert spoken.unsaid() == []
    assert set(DOCUMENTATION) == set(demos.NAMES)


@pytest.mark.parametrize("name", demos.NAMES)
def test_help_is_in_the_language_of_the_user(name, monkeypatch):
    module, help_of = module_of(name), {}
    for language in ("en", "vi"):
        monkeypatch.setenv("MINIGRAD_LANG", language)
        help_of[language] = cli.parser_of(name, module.__doc__, module.OPTIONS).format_help()
    assert DOCUMENTATION[name].splitlines()[0] in help_of["vi"]
    assert "thư mục cho các hình" in " ".join(help_of["vi"].split())
    assert module.__doc__.splitlines()[0] in help_of["en"]


def test_the_language_is_that_of_the_environment_or_of_the_option():
    assert "thư mục" in run("demos.sunspots", "--help", MINIGRAD_LANG="vi").stdout
    done = run("demos.sunspots", "--lang", "en", "--help", MINIGRAD_LANG="vi")
    assert "folder for the pictures" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_a_demo_speaks_vietnamese(tmp_path):
    done = run("demos.feed_forward", "--quick", "--lang", "vi", "--out", str(tmp_path))
    assert "đồng xu của ba bước trước" in done.stdout
    assert "không phải là kết quả" in done.stdout
    assert not {"the", "of", "same", "right", "guessing"} & set(done.stdout.split())


def test_a_training_that_leaves_the_range_is_told_with_its_update():
    net, losses = nn.Linear(1, 1), iter([1.0, 1.0, np.inf])

    def loss():
        return (net(np.ones((1, 1), np.float32)) * next(losses)).sum()

    with pytest.raises(cli.UsageError, match="loss is not finite after 2 updates"):
        descend(net, loss, 5, 0.1, "")


@pytest.mark.parametrize("values", [[1.0, np.inf, 2.0, np.nan], [[1.0, 2.0], [3.0, np.inf]]])
def test_numbers_that_leave_the_range_are_told_with_their_step(values):
    with pytest.raises(cli.UsageError, match="h is not finite from step 1 on; take a smaller"):
        cli.check_finite("h", values)
    last = len(values) - 1 if len(values) == 2 else 3
    with pytest.raises(cli.UsageError, match=f"from step {last} back"):
        cli.check_finite("h", values, back=True)
    cli.check_finite("h", [0.0, 1.0])


def test_four_ways_to_the_gradient_agree():
    rng = np.random.default_rng(0)
    W, xs = rng.normal(size=(3, 3)) / 2, rng.normal(size=(6, 2, 3))
    expected = chain_rule.by_hand(W, xs)
    for name, way in chain_rule.WAYS.items():
        np.testing.assert_allclose(
            way(W, xs), expected, rtol=1e-6 if name == "finite differences" else 1e-12
        )
