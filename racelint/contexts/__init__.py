"""Entry points and execution contexts: which functions run concurrently, where that begins, and why.

An entry point is a project function that something runs beside other code: a thread target, a framework handler, a
callback. Which library calls, decorators, base classes and assignments make one is said by the framework tables.
"""
