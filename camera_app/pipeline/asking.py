"""What a look asks of the networks: each model of a camera for each region of a plan. Pure.

Live and replay both ask so, and put the answers together again in the order of the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from camera_app.clock import nanoseconds
from camera_app.pipeline.looking import LookPlan
from camera_app.pipeline.merging import Look, of_all_models
from camera_app.scheduling import ANSWER_WITHIN_S, Demand
from camera_app.values import Detection, Frame


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """One of a camera's models, and what may be asked in its place.

    Attributes:
        name: Of its pack.
        labels: Classes that it finds.
        variants: Names of the smaller packs that find the same.
    """

    name: str
    labels: tuple[str, ...]
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """What every look of one camera asks.

    Attributes:
        models: Names of its model packs.
        min_score: Detections below it are not wanted.
    """

    models: tuple[str, ...]
    min_score: float

    def of(self, choices: Sequence[ModelChoice], variant: str, muted: frozenset[str]) -> Asking:
        """Return this with the models that the owner wants just now.

        Args:
            choices: The camera's models.
            variant: A smaller pack to ask in the place of the one that it belongs to.
            muted: Classes that are not looked for; who finds no others is not asked.
        """
        asked = (one for one in choices if not muted.issuperset(one.labels))
        return replace(
            self, models=tuple(variant if variant in one.variants else one.name for one in asked)
        )

    def demands(self, frame: Frame, plan: LookPlan) -> list[Demand]:
        """Return the demands of a plan, those of a region together."""
        deadline_ns = frame.captured_ns + nanoseconds(ANSWER_WITHIN_S)
        return [
            Demand(
                model=model,
                picture=frame.picture,
                region=region,
                min_score=self.min_score,
                camera=frame.camera,
                place=place,
                worth=worth,
                captured_ns=frame.captured_ns,
                deadline_ns=deadline_ns,
            )
            for place, (region, worth) in enumerate(zip(plan.regions, plan.worths, strict=True))
            for model in self.models
        ]

    def looks(self, plan: LookPlan, found: Sequence[Sequence[Detection] | None]) -> list[Look]:
        """Return each region that was looked at with its detections.

        A region that one of the models gave no answer for is left out: half an answer would take
        what the other one finds for gone.

        Args:
            plan: That was asked for.
            found: The answer to each demand, in the order of the demands; None: there is none.
        """
        each = len(self.models)
        looks: list[Look] = []
        for place, region in enumerate(plan.regions):
            answers = [one for one in found[place * each : (place + 1) * each] if one is not None]
            if len(answers) == each:
                looks.append((region, of_all_models(answers)))
        return looks
