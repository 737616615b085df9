"""How a section of the page begins."""

__all__ = ["opened"]


def opened(name: str, title: str, more: str = "") -> str:
    """Return the beginning of a section: its tag, with more attributes if there are any, and its title."""
    return f'<section id="{name}"{more} aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>'
