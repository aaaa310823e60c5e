"""`execution`: what packs ask the executor. Jobs run elsewhere; what cannot be had from a worker says so when used."""

import asyncio

from compat.placeholder import placeholder
from compat.world import world
from execution.problems import PromptRejected
from execution.prompt import parse
from execution.registry import catalogue_of
from execution.validate import validate

PromptExecutor = placeholder("execution.PromptExecutor")
PromptQueue = placeholder("execution.PromptQueue")
ExecutionResult = placeholder("execution.ExecutionResult")
CacheSet = placeholder("execution.CacheSet")


async def validate_prompt(prompt_id, prompt, partial_execution_list=None):
    """(is it fit to run, what is wrong, the outputs that are fine, complaints by node)."""
    folders = world().folders

    def check():
        nodes = catalogue_of(world().nodes, folders.listing)
        return validate(parse(prompt), nodes, partial_execution_list, listing=folders.listing)

    try:
        found = await asyncio.to_thread(check)
    except PromptRejected as rejected:
        found = rejected.problem
        return False, {"type": found.type, "message": found.message, "details": found.details}, [], {}
    return True, None, list(found.outputs), dict(found.node_errors)


def full_type_name(klass):
    module = klass.__module__
    return klass.__qualname__ if module == "builtins" else f"{module}.{klass.__qualname__}"
