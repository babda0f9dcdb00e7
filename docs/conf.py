"""Sphinx's settings for `fewshot-lab site`, which puts README, chapters and docs together and builds them."""

import base64
import hashlib
import json
from pathlib import Path

from docutils import nodes

from fewshot_lab.evidence.records import CHECK, RESULT, VERDICT
from fewshot_lab.html import CHART

project = "Few-Shot Lab"
author = "The Few-Shot Lab authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx-mathjax-offline"]
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header", "docutils", "ref"]
default_role = "code"

html_title = "Few-Shot Lab"
html_theme = "sphinx_book_theme"
html_theme_options = {"use_download_button": True, "show_toc_level": 1, "navbar_persistent": []}
html_static_path = ["site"]
html_css_files = ["site.css"]
html_show_copyright = False
html_last_updated_fmt = None

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_output_stderr = "remove"
nb_mime_priority_overrides = [("html", mime, 1000) for mime in (RESULT, VERDICT, CHECK)]  # records are not for readers

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
add_module_names = False


def keep_formulas(app, what, name, obj, options, lines):
    """Makes a literal block of a docstring's indented lines: they are formulas."""
    for i in range(len(lines) - 1, 0, -1):
        if lines[i].startswith("    ") and not lines[i - 1].strip():
            lines[i:i] = ["::", ""]


def add_alternative_texts(app, doctree):
    """Gives the images of a chapter's outputs their alternative texts, which MyST-NB leaves out, and charts their class."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    texts, charts = {}, set()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            facts = output.get("metadata", {}).get("image/png", {})
            if alt := facts.get("alt"):
                png = base64.b64decode("".join(output["data"]["image/png"]))
                name = hashlib.sha256(png).hexdigest()  # which MyST-NB gives the file
                texts[name] = alt
                if facts.get("chart"):
                    charts.add(name)
    for image in doctree.findall(nodes.image):
        name = Path(image["uri"]).stem
        image["alt"] = texts.get(name, image.get("alt", ""))
        if name in charts:
            image["classes"].append(CHART)


def setup(app):
    app.connect("autodoc-process-docstring", keep_formulas)
    app.connect("doctree-read", add_alternative_texts)
