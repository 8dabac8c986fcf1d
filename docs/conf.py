"""Settings of the documentation site: ``make docs`` builds it, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import vitrine

project = "vitrine"
author = "The vitrine authors"
copyright = "The vitrine authors"
version = release = vitrine.__version__

extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon",
    "study_file", "command_line", "api", "intervals",  # in _ext
]  # fmt: skip
exclude_patterns = ["_build", "_ext", "_static", "pictures"]
source_suffix = {".md": "markdown"}

myst_heading_anchors = 3
myst_enable_extensions = ["fieldlist"]

napoleon_google_docstring = True  # after api.house_style
napoleon_numpy_docstring = False
napoleon_use_param = False
napoleon_use_ivar = True
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 90

nitpicky = True
nitpick_ignore_regex = [
    # other projects: their inventories would have to be downloaded
    (r"py:.*", r"(?!vitrine\b).*"),
    # validators within a type
    (r"py:class", r"vitrine\.(?:\w+\.)*_\w+"),
]

html_theme = "furo"
html_title = f"vitrine {version}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
highlight_language = "none"
add_module_names = False
