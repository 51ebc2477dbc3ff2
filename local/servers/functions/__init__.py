"""Hosts the functions of one source file on this machine, each with the real functions-framework, by path."""

from local.servers.functions.host import FunctionsHost, build_app

__all__ = ["FunctionsHost", "build_app"]
