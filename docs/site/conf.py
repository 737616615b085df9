"""How Sphinx makes the site, of what build.py has put together."""

import sys
from pathlib import Path

import fullyconnected

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "fullyconnected"
author = "the authors of fullyconnected"
release = version = fullyconnected.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "docstrings"]
smartquotes = False  # x' is x transposed
nitpicky = True  # a name that leads nowhere is a warning, and a warning an error

# GitHub's Markdown: formulas between dollar signs, and anchors of headings
myst_enable_extensions = ["dollarmath", "attrs_block", "attrs_inline"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_typehints = "none"  # docstrings say what each argument takes, and in which unit
autodoc_inherit_docstrings = False
toc_object_entries_show_parents = "hide"
add_module_names = False
viewcode_line_numbers = True

html_theme = "pydata_sphinx_theme"
html_title = "fullyconnected"
html_math_renderer = "mathml"
html_static_path = [str(HERE / "static")]
templates_path = [str(HERE / "templates")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "fullyconnected"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "header_links_before_dropdown": 6,
    "navigation_depth": 1,
    "navigation_with_keys": False,
    "search_as_you_type": True,
    "pygments_light_style": "github-light-high-contrast",
    "pygments_dark_style": "github-dark-high-contrast",
    "footer_start": ["footer"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "worked-examples": [], "playground": []},
}
html_sidebars = {"**": ["sidebar-nav-bs"], "index": []}
html_context = {"default_mode": "auto"}  # as the system is, until a reader chooses
