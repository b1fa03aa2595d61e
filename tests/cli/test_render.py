"""Reports in every format, opened by the tools people open them with."""

import csv
import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import ROOT
from json_schema import errors

FIXTURES = ROOT / "tests" / "data" / "reports"
NAMES = ["full", "quick", "compare", "remote", "failed"]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


def test_fixtures_fit_the_schema():
    for path in FIXTURES.glob("*.json"):
        assert errors(SCHEMA, json.loads(path.read_text())) == [], path.name


def test_the_schema_is_one():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for path in FIXTURES.glob("*.json"):
        assert list(validator.iter_errors(json.loads(path.read_text()))) == [], path.name


@pytest.fixture
def rendered(llmind, tmp_path):
    """rendered("full", "pdf") -> the path of the report in that format, made by the program from its history."""

    def render(name, *formats):
        source = FIXTURES / f"{name}.json"
        imported = llmind("history", "import", source)
        assert imported.returncode == 0, imported.stderr
        run = imported.stdout.strip()
        arguments = [part for format in formats for part in ("-o", f"{name}.{format}")]
        shown = llmind("history", "show", run, *arguments)
        assert shown.returncode == 0, shown.stderr
        paths = [tmp_path / f"{name}.{format}" for format in formats]
        return paths[0] if len(paths) == 1 else paths

    return render


def page_images(pdf, tmp_path):
    """Pages as grey bitmaps: rows of bytes."""
    subprocess.run(["pdftoppm", "-gray", "-r", "40", pdf, tmp_path / "page"], check=True)
    for path in sorted(tmp_path.glob("page*.pgm")):
        data = path.read_bytes()
        header = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", data)
        width, height = int(header[1]), int(header[2])
        pixels = data[header.end() :]
        yield [pixels[y * width : (y + 1) * width] for y in range(height)]


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="poppler-utils are not installed")
@pytest.mark.parametrize("name", NAMES)
def test_pdf_has_two_pages_with_margins(rendered, tmp_path, name):
    pdf = rendered(name, "pdf")
    info = subprocess.run(["pdfinfo", pdf], check=True, capture_output=True, text=True).stdout
    assert re.search(r"Pages:\s+2\b", info) and "(A4)" in info
    assert "Title:           LLMind " in info
    pages = list(page_images(pdf, tmp_path))
    assert len(pages) == 2
    for page in pages:
        ink = sum(pixel < 200 for row in page for pixel in row)
        assert ink > 0.01 * len(page) * len(page[0])  # not blank
        margin = 15  # 38 points at 40 dpi are 21 pixels
        assert all(pixel > 250 for row in page[8:] for pixel in row[:margin] + row[-margin:])
        assert all(pixel > 250 for row in page[-margin:] for pixel in row)
    words = subprocess.run(["pdftotext", "-layout", pdf, "-"], check=True, capture_output=True, text=True).stdout
    report = json.loads((FIXTURES / f"{name}.json").read_text())
    assert "page 2 of 2" in words and report["machine"]["cpu"] in words
    if report["model"]:
        assert report["model"]["name"] in words
    for model in (report["comparison"] or {}).get("models", []):
        assert model["model"] in words
    if report["status"] != "success":
        assert "it is cut short; download it again" in " ".join(words.split())


def test_png_is_twice_as_fine_as_svg(rendered):
    png, svg = rendered("full", "png", "svg")
    data = png.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    root = ElementTree.parse(svg).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, svg_width, svg_height = map(float, root.get("viewBox").split())
    assert (width, height) == (2 * svg_width, 2 * svg_height)


@pytest.mark.parametrize("name", NAMES)
def test_html_stands_alone(rendered, name):
    path = rendered(name, "html")
    text = path.read_text()
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>"))
    namespace = "{http://www.w3.org/1999/xhtml}"
    assert not list(root.iter(f"{namespace}script")) and not list(root.iter(f"{namespace}link"))
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for element in root.iter():
        for attribute, value in element.attrib.items():
            assert not attribute.startswith("on")
            if attribute.endswith("href"):
                assert value.startswith("#") and value[1:] in ids
            assert "url(http" not in value
    charts = list(root.iter("{http://www.w3.org/2000/svg}svg"))
    assert len(charts) % 2 == 0  # light and dark
    assert bool(charts) == (name != "failed")
    assert "prefers-color-scheme:dark" in text


def test_csv_reads_back(rendered):
    path = rendered("full", "csv")
    report = json.loads((FIXTURES / "full.json").read_text())
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(raw.decode(), newline=""), strict=True))
    tests = [row for row in rows if row["of"] == "test"]
    assert len(tests) == sum(len(test["samples"]) for test in report["tests"])
    sample = report["tests"][4]["samples"][1]
    row = next(row for row in tests if row["id"] == report["tests"][4]["id"] and row["repeat"] == "2")
    for figure in ("decode_tokens_per_second", "ttft_ms", "itl_p99_ms", "generated_tokens", "read_gbps"):
        assert float(row[figure]) == pytest.approx(sample[figure], rel=1e-8)
    assert all(None not in row.values() and None not in row for row in rows)


def test_json_is_the_report(rendered):
    path = rendered("quick", "json")
    stored = json.loads(path.read_text())
    assert errors(SCHEMA, stored) == []
    assert stored["tests"] == json.loads((FIXTURES / "quick.json").read_text())["tests"]


def test_markdown_and_text(rendered):
    markdown, text = rendered("full", "md", "txt")
    lines = markdown.read_text().splitlines()
    assert lines[0] == "# LLMind Performance profile: Llama-3.2-1B-Instruct-4bit"
    tables = [line for line in lines if line.startswith("|")]
    for first, second in zip(lines, lines[1:]):
        if first.startswith("|") and second.startswith("|"):
            assert first.count("|") == second.count("|")
    assert any("4 at once" in line and "+117 %" in line for line in tables)
    assert max(len(line) for line in text.read_text().splitlines()) <= 100
    assert "\x1b" not in text.read_text()


def test_a_hostile_report_is_shown_harmlessly(rendered, tmp_path):
    """Its name is shortened, so that it is taken in at all."""
    hostile = json.loads((FIXTURES / "hostile.json").read_text())
    hostile["model"]["name"] = hostile["model"]["name"][:200]
    source = tmp_path / "hostile.json"
    source.write_text(json.dumps(hostile))
    name = source.with_suffix("")  # an absolute path stays one
    paths = rendered(str(name), "html", "csv", "md", "txt", "svg")
    html = paths[0].read_text()
    ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>"))
    assert "<script" not in html and "<img" not in html
    for row in csv.reader(io.StringIO(paths[1].read_bytes().decode(), newline=""), strict=True):
        assert not any(cell[:1] in "=+@\t\r" and cell for cell in row)
    for path in paths[:4]:
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", path.read_text())
