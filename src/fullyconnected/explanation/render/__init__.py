"""The forms of a worked example: text, Markdown, a page, JSON, a script."""
