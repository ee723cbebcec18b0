"""What a look asks of the networks: each model of a camera for each region of a plan. Pure.

Live and replay both ask so, and put the answers together again in the order of the questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camera_app.pipeline.looking import LookPlan
from camera_app.pipeline.merging import Look, of_all_models
from camera_app.scheduling import Demand
from camera_app.values import Detection, Picture


@dataclass(frozen=True, slots=True)
class Asking:
    """What every look of one camera asks.

    Attributes:
        models: Names of its model packs.
        min_score: Detections below it are not wanted.
    """

    models: tuple[str, ...]
    min_score: float

    def demands(self, picture: Picture, plan: LookPlan) -> list[Demand]:
        """Return the demands of a plan, those of a region together."""
        return [
            Demand(model, picture, region, self.min_score)
            for region in plan.regions
            for model in self.models
        ]

    def looks(self, plan: LookPlan, found: Sequence[Sequence[Detection]]) -> list[Look]:
        """Return each region of a plan with its detections.

        Args:
            plan: That was asked for.
            found: The answer to each demand, in the order of the demands.
        """
        each = len(self.models)
        return [
            (region, of_all_models(found[number * each : (number + 1) * each]))
            for number, region in enumerate(plan.regions)
        ]
