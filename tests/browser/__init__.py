"""The tests of pages in real browsers: a package, so that a browser lasts as long as their tests."""
