"""The engines, which run programs. To add one to the library, write a module and register its class in ``choice``."""
