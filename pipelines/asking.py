"""The models that a recipe may ask, and what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from operators.chain import Chain, changed
from operators.data import Model, Operator
from operators.evidence import Evidence
from operators.piecewise import ASKING
from pipelines.data import Recipe

Through = Callable[[Model], Model]


def models(recipe: Recipe) -> tuple[Model, ...]:
    """Return the models that a recipe may ask, each once."""
    return models_of(recipe.operator.steps if isinstance(recipe.operator, Chain) else (), recipe.evidence)


def models_of(steps: Iterable[Operator], evidence: Evidence | None) -> tuple[Model, ...]:
    """Return the models that steps, and what asks for evidence, may ask, each once."""
    found = [model for step in steps if isinstance(step, ASKING) for model in (step.model, step.fallback)]
    found += [evidence.model] if evidence else []
    return tuple(dict.fromkeys(model for model in found if model))


def asked_through(recipe: Recipe, through: Through) -> Recipe:
    """Return a recipe that asks, instead of each of its models, what `through` makes of it."""

    def step(one: Operator) -> Operator:
        if not isinstance(one, ASKING):
            return one
        return replace(one, model=one.model and through(one.model), fallback=one.fallback and through(one.fallback))

    evidence = recipe.evidence and replace(
        recipe.evidence, model=recipe.evidence.model and through(recipe.evidence.model)
    )
    return replace(recipe, operator=changed(recipe.operator, step), evidence=evidence)
