"""The page of one run: every method's figures are there, and nothing else is needed to read it."""

import json
import xml.dom.minidom
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image
from reports.pages import Page
from reports.report_runs import MAKERS, NAMES, edit, epoch, phase, result, write_run
from sampling import part, sampled

from growsearch.cli import main
from growsearch.errors import UserError
from growsearch.reports import plot, write_report
from growsearch.reports.figures.timeline import wide

PRINT_DPI = plot.PRINT_DPI
OF_EVERY_RUN = {"story", "architecture", "speed"}


@pytest.mark.parametrize("method", part(MAKERS))
def test_all_figures_of_a_method(method: str, tmp_path: Path) -> None:
    run = MAKERS[method](tmp_path / "run")
    page = write_report([run], figures=tmp_path / "figures")
    assert page == run / "report.html"
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert drawn == OF_EVERY_RUN | set(NAMES[method])
    for path in (tmp_path / "figures").glob("*.svg"):
        xml.dom.minidom.parse(str(path))
        with Image.open(path.with_suffix(".png")) as picture:
            assert picture.width == 540 and len(picture.convert("L").getcolors()) > 10
    read = Page(page)
    assert read.count["svg"] == len(drawn)
    assert "87.50 %" in read.text
    assert "not drawn" not in read.text


def test_page_follows_light_and_dark_and_print_does_not(tmp_path: Path) -> None:
    run = MAKERS["densemann"](tmp_path / "run")
    page = write_report([run], figures=tmp_path).read_text()
    assert "prefers-color-scheme: dark" in page
    assert "var(--series-0)" in page and plot.SERIES[0] not in page.split("</style>", 1)[1]
    print_version = (tmp_path / "story.svg").read_text()
    assert "var(" not in print_version and plot.SERIES[0] in print_version


@pytest.mark.parametrize("method", sampled([*MAKERS, "all"], "densemann"))
def test_same_runs_give_the_same_page(method: str, tmp_path: Path) -> None:
    runs = [make(tmp_path / name) for name, make in MAKERS.items() if method in (name, "all")]
    pages = {write_report(runs, tmp_path / "page.html").read_bytes() for _ in range(2)}
    assert len(pages) == 1


def test_places_are_whole_hundred_thousandths_of_the_figure() -> None:
    """The solver's last digits would show in the names of what clips the grid."""
    seen = []

    def paint(figure: Figure) -> None:
        seen.append(figure)
        left, right = figure.subplots(1, 2)
        left.plot([1, 2], label="line")
        figure.colorbar(right.imshow([[1, 2], [3, 4]]), ax=right)
        figure.legend(loc="outside upper left")

    plot.draw("name", "title", "caption", 2.0, paint)
    edges = [edge for axes in seen[0].axes for edge in axes.get_position(original=True).bounds]
    assert len(edges) == 12 and edges == pytest.approx([round(edge, 5) for edge in edges], abs=1e-12)


def test_a_few_huge_losses_do_not_flatten_the_rest(tmp_path: Path) -> None:
    losses = [2.0, 1.5, 90.0, 1.2, 1.0, 0.8]
    events = [epoch(index, val_loss=loss) for index, loss in enumerate(losses)]
    assert wide(losses) and not wide(losses[3:]) and not wide([None])
    write_report([write_run(tmp_path / "run", result("fixed"), events, {})], figures=tmp_path)
    svg = (tmp_path / "story.svg").read_text()
    assert all(f">{label}</text>" in svg for label in ("1", "10", "100"))


def test_a_phase_that_leaves_something_is_named_where_it_ends(tmp_path: Path) -> None:
    events = [epoch(0), phase("generation 1 leaves add_cell (90.0 %, 1272 parameters)", 1), epoch(1), phase("rest", 2)]
    page = write_report([write_run(tmp_path / "run", result("ectonas"), events, {})])
    assert ">end of generation 1</text>" in page.read_text() and ">rest</text>" in page.read_text()


def test_constant_quantities_have_no_panel_and_are_told(tmp_path: Path) -> None:
    events = [epoch(index, lr=0.1 / (index + 1), params=12345) for index in range(3)]
    write_report([write_run(tmp_path / "run", result("fixed"), events, {})], figures=tmp_path)
    svg = (tmp_path / "story.svg").read_text()
    assert ">learning rate</text>" in svg and ">batch size</text>" not in svg and ">parameters</text>" not in svg
    assert (
        "Constant, and without a panel: parameters 12345, batch size 64" in (tmp_path / "run/report.html").read_text()
    )


def test_structural_changes_are_counted_however_many_lie_on_one_place(tmp_path: Path) -> None:
    events = [epoch(0), *[edit("add_cell", 0)] * 1234, edit("prune", 0), epoch(1)]
    write_report([write_run(tmp_path / "run", result("fixed"), events, {})], figures=tmp_path)
    svg = (tmp_path / "story.svg").read_text()
    assert ">add cell (1,234)</text>" in svg and ">prune (1)</text>" in svg


def test_drawings_say_what_they_are_to_those_who_do_not_see_them(tmp_path: Path) -> None:
    page = write_report([MAKERS["stagewise"](tmp_path / "run")]).read_text()
    pictures = page.split("<svg ")[1:]
    assert len(pictures) == 5
    for picture in pictures:
        assert picture.startswith('role="img"') and "<title>" in picture[:400] and "</desc>" in picture[:1500]


@pytest.mark.usefixtures("undrawn")
def test_the_command_that_made_the_run(tmp_path: Path) -> None:
    run = MAKERS["conet"](tmp_path / "run")
    (run / "config.yaml").write_text("algo: {name: conet, label: conet_original}\ndata: {name: digits}\nseed: 3\n")
    assert (
        "growsearch run algo=conet_original data=digits seed=3  # and what config.yaml"
        in Page(write_report([run])).text
    )
    said = "growsearch run algo=conet 'network.depths=[1,2]'"
    (run / "result.json").write_text(json.dumps(result("conet", command=said)))
    assert said in Page(write_report([run])).text


@pytest.mark.usefixtures("undrawn")
def test_long_tables_become_blocks_on_a_phone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, result("fixed"), [], {})
    page = write_report([tmp_path]).read_text()
    assert '<table class="stacked">' in page and 'data-label="test accuracy"' in page and "attr(data-label)" in page


@pytest.mark.parametrize(("format", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_one_figure_as_a_file(
    format: str, start: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "PRINT_DPI", PRINT_DPI)
    runs = [str(MAKERS[name](tmp_path / name)) for name in ("conet", "stagewise")]
    words = ["--output", str(tmp_path / "out"), "--format", format]
    assert main(["figure", "conet-ranks", runs[0], *words]) == 0
    (path,) = (tmp_path / "out").iterdir()
    assert capsys.readouterr().out == f"{path}\n" and path.name == f"conet-ranks.{format}"
    first = path.read_bytes()
    assert first.startswith(start)
    if format == "png":
        with Image.open(path) as picture:
            assert picture.width == 2700
    assert main(["figure", "conet-ranks", runs[0], *words]) == 0 and path.read_bytes() == first
    if format == "svg":
        assert main(["figure", "story", *runs, *words]) == 0
        assert main(["figure", "tradeoff", *runs, *words]) == 0
        made = {path.name for path in (tmp_path / "out").iterdir()}
        assert len(made) == 4 and "tradeoff-digits.svg" in made and sum(name.startswith("story-") for name in made) == 2


def test_one_figure_in_a_file_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plot, "PRINT_DPI", PRINT_DPI)
    runs = [str(MAKERS[name](tmp_path / name)) for name in ("conet", "stagewise")]
    file = tmp_path / "out" / "mine.pdf"
    assert main(["figure", "conet-ranks", runs[0], "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n" and file.read_bytes().startswith(b"%PDF")
    assert main(["figure", "conet-ranks", runs[0], "-o", str(file), "--format", "svg"]) == 2
    assert "--format: svg is not accepted" in capsys.readouterr().err
    assert main(["figure", "story", *runs, "-o", str(tmp_path / "both.svg")]) == 2
    assert "2 figures do not go into one file; name a folder" in capsys.readouterr().err
    assert not (tmp_path / "both.svg").exists()


def test_figures_have_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for names in NAMES.values() for name in names) and "tradeoff" in said
    assert main(["figure", "nothing"]) == 2
    assert "'nothing' is not accepted; use one of story" in capsys.readouterr().err
    run = MAKERS["stagewise"](tmp_path / "run")
    assert main(["figure", "conet-ranks", str(run)]) == 2
    assert "none of 1 runs holds anything for 'conet-ranks'" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_what_was_measured_of_each_network_is_shown_where_there_is_any(tmp_path: Path) -> None:
    rows = [{"role": "initial", "depths": [2]}, {"role": "candidate", "depths": [3], "co2_kg": 0.0123}]
    outcome = result("stagewise", method={"networks": rows})
    text = Page(write_report([write_run(tmp_path / "run", outcome, [], {})])).text
    assert "CO2, kg (estimate)" in text and "0.0123" in text and "inference, ms" not in text


@pytest.mark.usefixtures("undrawn")
def test_unfinished_run_and_damaged_tail(tmp_path: Path) -> None:
    run = MAKERS["densemann"](tmp_path / "run")
    (run / "result.json").unlink()
    with (run / "events.jsonl").open("a") as file:
        file.write('{"kind": "epoch", "netw')
    read = Page(write_report([run]))
    assert "not finished" in read.text and read.count["svg"] == 5


@pytest.mark.usefixtures("undrawn")
def test_damaged_line_is_told_and_what_stands_before_it_is_drawn(tmp_path: Path) -> None:
    run = MAKERS["densemann"](tmp_path / "run")
    whole = (run / "events.jsonl").read_text().splitlines(keepends=True)
    (run / "events.jsonl").write_text("".join([*whole[:6], "not an event\n", '["nor this"]\n', *whole[6:]]))
    read = Page(write_report([run]))
    assert "2 damaged lines (the first is line 7); left out" in read.text and read.count["svg"] == 5


def test_many_epochs_stay_small_and_are_counted(tmp_path: Path) -> None:
    events = []
    for index in range(20_000):
        events += [epoch(index, network=index % 50), edit("add_cell", index)]
    run = write_run(tmp_path / "run", result("ectonas"), events, {"family": "strange"})
    page = write_report([run])
    assert page.stat().st_size < 2_000_000
    assert "20,000 epochs and 20,000 structural changes" in page.read_text()
    (run / "result.json").unlink()
    text = Page(write_report([run])).text
    assert "epochs so far20,000" in text and "changes so far20,000" in text


@pytest.mark.usefixtures("undrawn")
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    run = MAKERS["conet"](tmp_path / "run")
    secret = tmp_path / "secret.yaml"
    secret.write_text("password: hunter2")
    (run / "config.yaml").unlink()
    (run / "config.yaml").symlink_to(secret)
    page = write_report([run]).read_text()
    assert "hunter2" not in page and "link out of the folder" in page


@pytest.mark.usefixtures("undrawn")
def test_huge_files_are_named_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = MAKERS["conet"](tmp_path / "run")
    monkeypatch.setattr("growsearch.run_folder.read.LARGEST_EVENTS", 100)
    read = Page(write_report([run]))
    assert "events.jsonl holds" in read.text and "87.50 %" in read.text


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        write_report([tmp_path])
    with pytest.raises(UserError, match="no such folder"):
        write_report([tmp_path / "absent"])
    (tmp_path / "result.json").write_text(json.dumps([1]))
    assert "instead of an object" in write_report([tmp_path]).read_text()
