"""What the documentation declares is what our classes are."""

import ast
import enum
import inspect
from typing import Any

import pytest

import worker.types
from tests.seeds import samples
from worker import Task
from worker.words.tasks import TaskRecord

CLASSES = [name for name in samples.declarations() if samples.text(name).startswith("class ")]
METHODS = [name for name in samples.declarations() if "def " in samples.text(name)]
IN_WORDS = {"id", "agent_id", "result", "events_streaming", "created_at", "updated_at"}
"""Properties that the documentation describes in words, without a line of code."""


def declared_class(name: str) -> ast.ClassDef:
    (node,) = ast.parse(samples.text(name)).body
    assert isinstance(node, ast.ClassDef)
    return node


def literal(node: ast.expr) -> Any:
    return ast.literal_eval(node)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_members_that_are_declared(name: str) -> None:
    declared = declared_class(name)
    ours: Any = getattr(worker.types, declared.name)
    for line in declared.body:
        if isinstance(line, ast.Assign):
            (target,) = line.targets
            assert isinstance(target, ast.Name)
            assert enum.StrEnum in ours.__mro__
            assert getattr(ours, target.id) == literal(line.value)
            assert f"{getattr(ours, target.id)}" == literal(line.value)
        else:
            assert isinstance(line, ast.AnnAssign)
            assert isinstance(line.target, ast.Name)
            field = ours.model_fields[line.target.id]
            if line.value is not None:
                assert field.get_default(call_default_factory=True) == literal(line.value)
            if "Optional" in ast.unparse(line.annotation):
                assert "None" in str(field.annotation) or field.annotation is Any


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_is_declared(name: str) -> None:
    (declared,) = ast.parse(f"{samples.text(name).rstrip()}: ...").body
    assert isinstance(declared, ast.FunctionDef | ast.AsyncFunctionDef)
    ours = inspect.getattr_static(Task, declared.name)
    is_class_method = any(isinstance(each, ast.Name) and each.id == "classmethod" for each in declared.decorator_list)
    assert isinstance(ours, classmethod) == is_class_method
    parameters = inspect.signature(getattr(Task, declared.name)).parameters
    wanted = [argument.arg for argument in declared.args.args if argument.arg != "cls"]
    assert [each for each in parameters if each != "self"][: len(wanted)] == wanted
    extra = [each for each in list(parameters) if each not in wanted and each != "self"]
    assert all(parameters[each].default is not inspect.Parameter.empty for each in extra)
    for argument, default in zip(reversed(declared.args.args), reversed(declared.args.defaults), strict=False):
        assert parameters[argument.arg].default == literal(default)
    function = ours.__func__ if isinstance(ours, classmethod) else ours
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    assert is_async == isinstance(declared, ast.AsyncFunctionDef)
    assert "Generator" not in ast.unparse(declared.returns or ast.Constant(None)) or (
        inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function)
    )


def test_every_property_is_there() -> None:
    lines = [
        line for line in ast.parse(samples.text("task_declares_properties")).body if isinstance(line, ast.AnnAssign)
    ]
    for line in lines:
        assert isinstance(line.target, ast.Name)
        field = TaskRecord.model_fields[line.target.id]
        wanted = ast.unparse(line.annotation).removeprefix("Optional[").removesuffix("]").lower()
        assert wanted in str(field.annotation).lower()
    assert set(Task.model_fields) >= IN_WORDS


@pytest.mark.parametrize("name", ["save", "stop", "to_message", "retry"])
def test_methods_that_are_named_without_a_signature_are_there(name: str) -> None:
    assert callable(getattr(Task, name))


def test_every_declaration_is_looked_at() -> None:
    assert {*CLASSES, *METHODS, "task_declares_properties"} == set(samples.declarations())
