"""Explorers in a page without kernel or network, and what their JavaScript computes, beside the package's functions."""

import base64
import math

import nbformat
import pytest
import torch
from browser import new_page, picture, violations
from explorers import EXPLORERS

from fewshot_lab.augment import geometry
from fewshot_lab.course.outputs import strip_live_parts
from fewshot_lab.evidence import budget
from fewshot_lab.methods.distillation import softened
from fewshot_lab.training import Estimate
from fewshot_lab.widgets.explorer import LIMIT, script

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser"), pytest.mark.timeout(900)]
# Those that live in a page; the others show their still there, for want of room in their chapters.
ALIVE = {
    "geometry": "angle in °",
    "symmetry": "emoji",
    "label": "change",
    "policy": "strength",
    "text": "strength α",
    "embedding": "image",
    "temperature": "temperature T",
    "attack": "ε",
    "words": "words",
    "entity": "sentence",
    "budget": "budget (min)",
    "price": "labels",
    "hand": "bend",
    "context": "points",
}


@pytest.fixture(scope="module")
def page(browser):
    page = new_page(browser, width=1280, height=900, density=1)
    page.context.set_offline(True)
    return page


@pytest.fixture
def computed(page, tmp_path):
    """Calls a function of a view with arguments that can be written as JSON."""

    def call(view: str, expression: str, **values):
        code = f"""async (given) => {{
          const view = await import(URL.createObjectURL(new Blob([given.code], {{ type: "text/javascript" }})));
          const {{ {", ".join(values)} }} = given.values;
          return {expression};
        }}"""
        return page.evaluate(code, {"code": script(view), "values": values})

    (tmp_path / "empty.html").write_text("<!doctype html><title>Empty</title>")
    page.goto((tmp_path / "empty.html").as_uri())
    return call


def map_of(values: dict, size: int) -> torch.Tensor:
    flip = {"left-right": geometry.flip_horizontal, "top-bottom": geometry.flip_vertical}.get(values["flip"])
    return geometry.compose(
        flip() if flip else torch.eye(3),
        geometry.scaling(values["scale"]),
        geometry.shearing(values["shear"]),
        geometry.rotation(math.radians(values["angle"])),
        geometry.translation(values["right"] * size, values["up"] * size),
    )


MAPS = [
    {"angle": 0, "scale": 1.0, "shear": 0.0, "right": 0.0, "up": 0.0, "flip": "none"},
    {"angle": 33, "scale": 0.8, "shear": 0.25, "right": 0.1, "up": -0.2, "flip": "left-right"},
    {"angle": -147, "scale": 1.7, "shear": -0.6, "right": -0.3, "up": 0.05, "flip": "top-bottom"},
]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("values", MAPS)
def test_the_page_warps_an_image_as_the_package_does(values, mode, channels, computed):
    image = torch.randint(256, (channels, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(channels))
    there = geometry.warp(image, map_of(values, 24), mode=mode, padding=geometry.padding_for(image))
    expression = "[...view.warped({ bytes: new Uint8Array(bytes), size: 24, channels }, view.mapOf(values, 24), mode).bytes]"
    here = computed("geometry", expression, bytes=image.flatten().tolist(), channels=channels, values=values, mode=mode)
    difference = (torch.tensor(here).reshape(image.shape) - there.int()).abs()
    # At a tie the nearest pixel hangs on the last bit of a float32, which JavaScript does not have.
    assert (difference > 1).float().mean() <= (0.02 if mode == "nearest" else 0)


def test_the_page_softens_as_the_package_does(computed):
    logits = 4 * torch.randn(7, generator=torch.Generator().manual_seed(0))
    for temperature in (0.5, 1.0, 7.5):
        here = computed("temperature", "view.softened(logits, t)", logits=logits.tolist(), t=temperature)
        assert here == pytest.approx(softened(logits[None], temperature)[0].tolist(), abs=1e-6)


def test_the_page_knows_costs_and_best_purchases_as_the_package_does(computed):
    arm = budget.MeasuredArm((20, 50, 200), tuple(Estimate(m, m - 0.1, m + 0.05, 5) for m in (0.5, 0.7, 0.9)), (6.0, 12.0, 9.0))
    plain = {"labels": arm.labels, "seconds": arm.seconds}
    plain |= {end: [getattr(one, end) for one in arm.accuracy] for end in ("mean", "low", "high")}
    for labels in (20, 35, 50, 200):
        there = budget.cost({"a": arm}, "a", labels, per_label=13, scale=10)
        here = computed("budget", "view.cost(arm, n, 13, 10)", arm=plain, n=labels)
        assert (here["minutes"], here["mean"]) == pytest.approx((there.minutes, there.accuracy.mean))
    counts = list(range(20, 201, 10))
    for minutes in (3, 20, 60):
        there = budget.best_within({"a": arm}, counts, minutes, per_label=13, scale=10)
        here = computed("budget", "view.best(arm, counts, minutes, 13, 10)", arm=plain, counts=counts, minutes=minutes)
        assert (here["labels"] if here else None) == (there[0].labels if there else None)


def test_the_page_composes_d4_as_the_package_does(computed):
    here = computed("symmetry", "view.D4.map((a) => view.D4.map((b) => view.compose(a, b)))")
    assert here == [[[t, int(f)] for t, f in (geometry.d4_compose(a, b) for b in geometry.D4)] for a in geometry.D4]


def page_of(explorer) -> str:
    """The outputs of an explorer as a page without a kernel holds them."""
    return f"<div class='cell_output'>{explorer.still().as_html()}<div>{explorer.still_html()[0]}</div></div>"


@pytest.mark.parametrize("name", ALIVE)
def test_an_explorer_moves_in_a_page_without_kernel_or_network(name, page, tmp_path):
    explorer = EXPLORERS[name]()
    html = page_of(explorer)
    assert len(explorer.still_html()[0]) <= LIMIT + 3000
    look = "<style>body{font-family:sans-serif}@media(prefers-color-scheme:dark){body{background:#111;color:#eee}}</style>"
    head = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{name}</title>{look}<main>"
    (tmp_path / "page.html").write_text(f"{head}{html}</main></html>")
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for width, scheme in ((1280, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto((tmp_path / "page.html").as_uri())
        shown = page.locator(".fewshot-lab-explorer .page").last
        page.wait_for_function("() => document.querySelectorAll('.fewshot-lab-explorer .page')[1]?.childElementCount")
        page.wait_for_timeout(300)
        assert page.locator("figure > img").first.is_hidden(), "its still is beside it"
        before = look_of(page)
        control = page.get_by_label(ALIVE[name], exact=True)
        control.focus()
        for _ in range(3):
            page.keyboard.press("ArrowDown" if control.evaluate("(it) => it.tagName") == "SELECT" else "ArrowRight")
        page.wait_for_timeout(300)
        if look_of(page) == before:  # it stood at its end
            page.keyboard.press("Home")
            page.wait_for_timeout(300)
        moved = look_of(page)
        assert moved != before and shown.inner_text()
        page.get_by_role("button", name="undo").click()
        page.wait_for_timeout(300)
        assert look_of(page) == before, "undo"
        page.get_by_role("button", name="pin").click()
        assert page.locator(".pinned").is_visible()
        picture(page, f"alive_{name}_{width}")
        page.get_by_role("button", name="pin").click()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, "it has to be moved sideways"
        assert violations(page) == [] and errors == []
    page.set_viewport_size({"width": 1280, "height": 900})


def look_of(page) -> str:
    """What the page shows, with the pixels of its canvases."""
    return page.evaluate("""() => {
      const shown = [...document.querySelectorAll(".fewshot-lab-explorer .page")].at(-1);
      return shown.innerHTML + [...shown.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()).join();
    }""")


@pytest.mark.parametrize("name", ["geometry", "temperature"])
def test_the_copied_call_makes_the_same_explorer(name, page, tmp_path):
    import fewshot_lab as lab  # noqa: F401  # the call's own name

    explorer = EXPLORERS[name]()
    (tmp_path / "page.html").write_text(page_of(explorer))
    page.goto((tmp_path / "page.html").as_uri())
    page.locator("input[type=range]").nth(1).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="copy as code").click()
    code = page.locator("textarea.code").input_value()
    given = {one: getattr(explorer, {"task": "task", "teacher_logits": "logits"}[one]) for one in explorer.call["given"]}
    made = eval(code, {"lab": lab, **given})  # noqa: S307  # our own text
    values = {key: made[key] for key in made.controls}
    changed = [key for key in values if values[key] != explorer[key]]
    assert type(made).__name__ == type(explorer).__name__ and len(changed) == 1


def test_a_corner_is_dragged_and_play_stops_for_readers_who_want_no_motion(page, tmp_path):
    explorer = EXPLORERS["geometry"]()
    (tmp_path / "page.html").write_text(page_of(explorer))
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    handle = page.locator("[data-corner]").first
    box = handle.bounding_box()
    angle = page.get_by_label("angle in °")
    was = angle.input_value()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 50, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert angle.input_value() != was
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="play").click()
    page.wait_for_timeout(200)
    once = page.get_by_label("image", exact=True).input_value()
    page.wait_for_timeout(400)
    assert page.get_by_label("image", exact=True).input_value() == once
    page.emulate_media(reduced_motion="no-preference")


def test_a_drag_is_drawn_at_the_rate_of_the_screen_where_the_page_computes(page, tmp_path):
    explorer = EXPLORERS["geometry"]()
    (tmp_path / "page.html").write_text(page_of(explorer))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("canvas")
    taken = page.evaluate("""async () => {
      const angle = document.querySelectorAll("input[type=range]")[1], times = [];
      const canvas = document.querySelectorAll("canvas")[1];
      for (let i = 0; i < 30; i++) {
        const before = canvas.toDataURL(), began = performance.now();
        angle.value = 5 * i - 70;
        angle.dispatchEvent(new Event("input", { bubbles: true }));
        do await new Promise(requestAnimationFrame); while (canvas.toDataURL() === before && performance.now() - began < 500);
        times.push(performance.now() - began);
      }
      return times.sort((a, b) => a - b)[15];
    }""")
    assert taken < 100, f"{taken:.0f} ms from drag to picture"


def test_an_own_picture_takes_the_place_of_the_image_and_stays_in_the_page(page, tmp_path):
    from fewshot_lab.figures.svg import data_uri

    own = torch.zeros(3, 64, 64, dtype=torch.uint8)
    own[0, :32] = 255
    (tmp_path / "own.png").write_bytes(base64.b64decode(data_uri(own).split(",")[1]))
    explorer = EXPLORERS["geometry"]()
    (tmp_path / "page.html").write_text(page_of(explorer))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_timeout(300)
    before = look_of(page)
    page.get_by_label("own picture").set_input_files(tmp_path / "own.png")
    page.wait_for_timeout(500)
    assert look_of(page) != before
    page.get_by_role("button", name="reset").click()
    page.wait_for_timeout(300)
    assert look_of(page) == before


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_an_exported_notebook_moves_too_and_shows_the_picture_where_no_script_runs(template, page, browser, tmp_path):
    import nbconvert

    explorer = EXPLORERS["budget"]()
    outputs = [nbformat.v4.new_output("display_data", data, metadata=facts) for data, facts in explorer.outputs()]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explorer", outputs=outputs)])
    strip_live_parts(nb)
    body, _ = nbconvert.HTMLExporter(template_name=template).from_notebook_node(nb)
    (tmp_path / "exported.html").write_text(body)
    page.goto((tmp_path / "exported.html").as_uri(), wait_until="domcontentloaded")
    page.wait_for_selector(".fewshot-lab-explorer .page svg")
    before = look_of(page)
    page.get_by_label("budget (min)").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert look_of(page) != before
    still = "img[src^='data:image/png']"
    assert page.locator(still).count() == 1 and page.locator(still).is_hidden()
    assert page.get_by_text("This figure in words").is_hidden()
    picture(page, f"exported_{template}")
    plain = browser.new_context(java_script_enabled=False, offline=True).new_page()
    plain.goto((tmp_path / "exported.html").as_uri(), wait_until="domcontentloaded")
    assert plain.locator(still).is_visible() and plain.get_by_text("This figure in words").is_visible()
    picture(plain, f"exported_{template}_without_scripts")
    plain.context.close()
