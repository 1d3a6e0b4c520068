# /// script
# requires-python = ">=3.11"
# dependencies = ["fpdf2>=2.8", "pillow>=11"]
# ///
"""Create the example documents from one table: figures.csv, chart.png and report.pdf.

    python examples/data/make.py        (or: uv run examples/data/make.py)

All numbers in the report and the chart are computed from POPULATION below, so the three files always agree, and running
the script again creates identical files (with the same library versions). SOURCES.md names source and license.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
MADE = datetime(2025, 1, 1, tzinfo=UTC)  # fixed, so that the files are identical byte for byte

REGIONS = ("Northeast", "Midwest", "South", "West")
POPULATION = {  # resident population at each decennial census, in the order of REGIONS
    1910: (25_868_573, 29_888_542, 29_389_330, 7_082_086),
    1920: (29_662_053, 34_019_792, 33_125_803, 9_213_920),
    1930: (34_427_091, 38_594_100, 37_857_633, 12_323_836),
    1940: (35_976_777, 40_143_332, 41_665_901, 14_379_119),
    1950: (39_477_986, 44_460_762, 47_197_088, 20_189_962),
    1960: (44_677_819, 51_619_139, 54_973_113, 28_053_104),
    1970: (49_040_703, 56_571_663, 62_795_367, 34_804_193),
    1980: (49_135_283, 58_865_670, 75_372_362, 43_172_490),
    1990: (50_809_229, 59_668_632, 85_445_930, 52_786_082),
    2000: (53_594_378, 64_392_776, 100_236_820, 63_197_932),
    2010: (55_317_240, 66_927_001, 114_555_744, 71_945_553),
    2020: (57_609_148, 68_985_454, 126_266_107, 78_588_572),
}
UNITED_STATES = {  # the published national totals, which the regions must add up to
    1910: 92_228_531,
    1920: 106_021_568,
    1930: 123_202_660,
    1940: 132_165_129,
    1950: 151_325_798,
    1960: 179_323_175,
    1970: 203_211_926,
    1980: 226_545_805,
    1990: 248_709_873,
    2000: 281_421_906,
    2010: 308_745_538,
    2020: 331_449_281,
}
SOURCE = "U.S. Census Bureau, decennial censuses 1910-2020 (public domain)"

COLORS = {  # Okabe and Ito's palette, which color-blind readers can distinguish, too
    "Northeast": (0, 114, 178),
    "Midwest": (230, 159, 0),
    "South": (213, 94, 0),
    "West": (0, 158, 115),
}
INK, FAINT, RULE = (34, 34, 34), (110, 110, 110), (222, 222, 222)


def main() -> None:
    check_totals()
    write_figures(HERE / "figures.csv")
    draw_chart(HERE / "chart.png")
    write_report(HERE / "report.pdf")


def check_totals() -> None:
    for year, counts in POPULATION.items():
        if sum(counts) != UNITED_STATES[year]:
            raise ValueError(f"The regions of {year} do not add up to the national total.")


def population(region: str, year: int) -> int:
    return POPULATION[year][REGIONS.index(region)]


def millions(region: str, year: int) -> str:
    return f"{population(region, year) / 1e6:.1f}"


def share(region: str, year: int) -> str:
    return f"{100 * population(region, year) / UNITED_STATES[year]:.1f}"


def growth(region: str, start: int, end: int) -> str:
    return f"{100 * (population(region, end) / population(region, start) - 1):.1f}"


def times(region: str) -> str:
    return f"{population(region, 2020) / population(region, 1910):.1f}"


def first_above(region: str, other: str) -> int:
    return next(year for year in POPULATION if population(region, year) > population(other, year))


# --- figures.csv


def write_figures(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["year", "region", "population"])
        for year, counts in POPULATION.items():
            writer.writerows([year, region, count] for region, count in zip(REGIONS, counts, strict=True))


# --- chart.png

SCALE = 2  # drawn twice as large and then scaled down, for smooth edges
WIDTH, HEIGHT = 1200, 800
LEFT, RIGHT, TOP, BOTTOM = 90, 1010, 150, 700  # the plot's edges
HIGHEST = 140  # value at the top edge, in millions


def draw_chart(path: Path) -> None:
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "white")
    draw = ImageDraw.Draw(image)
    write(draw, (LEFT - 60, 34), "The South and West grew; the Northeast and Midwest slowed", 34, INK)
    write(draw, (LEFT - 60, 84), "Population of the four U.S. census regions, millions, 1910-2020", 22, FAINT)
    draw_axes(draw)
    for region in REGIONS:
        draw_region(draw, region)
    write(draw, (LEFT - 60, 756), f"Source: {SOURCE}", 17, FAINT)
    shrunk = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    shrunk.quantize(128).save(path, optimize=True)


def draw_axes(draw: ImageDraw.ImageDraw) -> None:
    for value in range(0, HIGHEST + 1, 20):
        y = height_of(value)
        line(draw, [(LEFT, y), (RIGHT, y)], FAINT if value == 0 else RULE, 1)
        write(draw, (LEFT - 14, y), str(value), 19, FAINT, anchor="rm")
    for year in POPULATION:
        x = place_of(year)
        line(draw, [(x, BOTTOM), (x, BOTTOM + 6)], FAINT, 1)
        write(draw, (x, BOTTOM + 24), str(year), 19, FAINT, anchor="mm")


def draw_region(draw: ImageDraw.ImageDraw, region: str) -> None:
    points = [(place_of(year), height_of(population(region, year) / 1e6)) for year in POPULATION]
    line(draw, points, COLORS[region], 4)
    for x, y in points:
        box = [(x - 6) * SCALE, (y - 6) * SCALE, (x + 6) * SCALE, (y + 6) * SCALE]
        draw.ellipse(box, COLORS[region], "white", SCALE)
    x, y = points[-1]
    write(draw, (x + 18, y), f"{region} {millions(region, 2020)}", 22, COLORS[region], anchor="lm")


def place_of(year: int) -> float:
    return LEFT + 20 + (RIGHT - LEFT - 40) * (year - 1910) / 110


def height_of(value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / HIGHEST


def line(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], color: tuple[int, int, int], width: int) -> None:
    draw.line([(x * SCALE, y * SCALE) for x, y in points], color, width * SCALE, joint="curve")


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    *,
    anchor: str = "la",
) -> None:
    font = ImageFont.load_default(size * SCALE)  # the font that comes with Pillow, identical on all systems
    draw.text((place[0] * SCALE, place[1] * SCALE), text, color, font, anchor)


# --- report.pdf


def write_report(path: Path) -> None:
    pdf = FPDF(format="A4")
    pdf.set_creation_date(MADE)
    pdf.set_title("Where Americans live: four regions, 1910 to 2020")
    pdf.set_lang("en")
    pdf.set_margins(25, 22)
    pdf.set_auto_page_break(auto=True, margin=22)
    pdf.add_page()
    title(pdf, "Where Americans live", "Population of the four U.S. census regions, 1910 to 2020")
    for block in report_text().split("\n# ")[1:]:
        heading, *paragraphs = block.strip().split("\n\n")
        section(pdf, heading, [" ".join(paragraph.split()) for paragraph in paragraphs])
        if heading == "The figures":
            table(pdf)
    pdf.output(str(path))


def report_text() -> str:
    gained = (population("South", 2020) - population("South", 2010)) / 1e6
    return f"""
# Summary

In 2020 the South was the largest region of the United States, with {millions("South", 2020)} million people,
{share("South", 2020)} percent of the country. The West had {millions("West", 2020)} million, the Midwest
{millions("Midwest", 2020)} million and the Northeast {millions("Northeast", 2020)} million.

The West grew fastest: its population in 2020 was {times("West")} times that of 1910. The South grew {times("South")}
times, the Midwest {times("Midwest")} times and the Northeast {times("Northeast")} times. The Midwest was the largest
region until 1930. The South has been the largest at every census since {first_above("South", "Midwest")}.

# What was counted

Every ten years the Census Bureau counts the people who live in the United States. This report adds up the states by
the four regions that the Bureau has long used: the Northeast, from Maine to Pennsylvania; the Midwest, from Ohio to
Kansas and the Dakotas; the South, from Delaware and Florida to Oklahoma and Texas; and the West, from Montana and New
Mexico to the Pacific, with Alaska and Hawaii.

Alaska and Hawaii became states in 1959. The figures used here include them from 1910 on, so that the West means the
same land in every row.

# The figures

Population in millions, and the share of the South and the West together.

# The West

In 1910 the West was by far the smallest region: {millions("West", 1910)} million people, {share("West", 1910)} percent
of the country. It passed the Northeast at the census of {first_above("West", "Northeast")} and the Midwest at the
census of {first_above("West", "Midwest")}. Its fastest decade was 1940 to 1950, with growth of
{growth("West", 1940, 1950)} percent. From 2010 to 2020 it grew by {growth("West", 2010, 2020)} percent, less than in
any decade before.

# The South

The South's share of the country hardly moved for sixty years: {share("South", 1910)} percent in 1910 and
{share("South", 1970)} percent in 1970. Then it rose at every census, to {share("South", 2020)} percent in 2020. The
region passed 100 million people at the census of 2000. From 2010 to 2020 it gained {gained:.1f} million people, more
than the other three regions together.

# The Northeast and the Midwest

Both regions grew from each census to the next, but slower than the country. In 1910 they held {together(1910)} percent
of all people, in 2020 {together(2020)} percent. The Northeast stood still from 1970 to 1980, when it grew by
{growth("Northeast", 1970, 1980)} percent; the Midwest's slowest decade was 1980 to 1990, with
{growth("Midwest", 1980, 1990)} percent.

# Conclusions

1. The South is the largest region and is still gaining the most people.

2. The West grew fastest over the whole period, but its growth has slowed.

3. The Northeast and the Midwest have not shrunk. Their share has, because the others grew faster.

# Source

{SOURCE}. Shares and growth were computed from the counts, which are in figures.csv.
"""


def together(year: int) -> str:
    both = population("Northeast", year) + population("Midwest", year)
    return f"{100 * both / UNITED_STATES[year]:.1f}"


def title(pdf: FPDF, name: str, subtitle: str) -> None:
    pdf.set_font("Helvetica", "B", 24)
    pdf.cell(0, 12, name, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font("Helvetica", "", 13)
    pdf.set_text_color(*FAINT)
    pdf.cell(0, 8, subtitle, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(4)


def section(pdf: FPDF, heading: str, paragraphs: list[str]) -> None:
    if pdf.will_page_break(30):  # keep a heading together with its first lines
        pdf.add_page()
    pdf.ln(3)
    pdf.set_font("Helvetica", "B", 14)
    pdf.set_text_color(*COLORS["Northeast"])
    pdf.cell(0, 9, heading, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font("Helvetica", "", 11)
    pdf.set_text_color(*INK)
    for paragraph in paragraphs:
        pdf.multi_cell(0, 6, paragraph, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(2)


def table(pdf: FPDF) -> None:
    pdf.set_draw_color(*RULE)
    heading = FontFace(emphasis="BOLD", color=INK, fill_color=(238, 243, 248))
    alignment = ("LEFT", *("RIGHT",) * 6)
    with pdf.table(
        text_align=alignment, headings_style=heading, borders_layout="HORIZONTAL_LINES", line_height=7
    ) as rows:
        rows.row(["Census", *REGIONS, "Country", "S + W"])
        for year, total in UNITED_STATES.items():
            counts = [millions(region, year) for region in REGIONS]
            rows.row([str(year), *counts, f"{total / 1e6:.1f}", f"{100 - float(together(year)):.1f} %"])
    pdf.ln(2)


if __name__ == "__main__":
    main()
