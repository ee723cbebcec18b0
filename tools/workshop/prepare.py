"""From sources as they were found to one prepared data set, every problem named on the way.

Problems are settled in one of three ways (`ON_PROBLEM`): collected and refused, the picture left
out, or put right where that can be done without guessing. What nobody looked for in a picture never
becomes background: the picture gets a region to leave alone instead, or stays out.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from tools.workshop import dataset
from tools.workshop.dataset import DataSet, LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError
from tools.workshop.importers import Found, FoundImage
from tools.workshop.importers.pictures import pictures_below
from tools.workshop.label_checks import LabelCheck
from tools.workshop.pictures import (
    JOURNAL,
    Hashes,
    PictureFacts,
    PictureFolder,
    as_hashes,
    hashes_below,
    nearest,
)
from tools.workshop.problems import Problems

ON_PROBLEM = ("stop", "skip", "fix")
WITHOUT_LABELS = ("background", "unknown")

Watch = Callable[[Sequence[FoundImage]], Iterable[FoundImage]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to become of the sources.

    Attributes:
        classes: To keep, in this order; empty: all.
        rename: Class names of the sources to those wanted.
        val_share: Of the pictures whose source has no split of its own.
        seed: Which pictures those are.
        resplit: Forget the splits that sources have.
        on_problem: One of `ON_PROBLEM`.
        without_labels: What unlabelled pictures are: `background`, or `unknown` for a teacher to
            say; empty: a problem.
        exclude: Pairs of `source`, `split` or `file` and a pattern.
        held_out: Folders of pictures that must not be trained on.
        near_bits: Of 256: pictures whose hashes differ by no more are nearly the same, so that one
            must not be in train and the other in val. Copies compressed or scaled again differ by
            up to about 24.
        held_out_bits: The same for `held_out`, where a picture too few costs less than one too
            many. Of 111 photographs and 8,871 others no pair differed by less than 56.
    """

    classes: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    val_share: float = 0.07
    seed: int = 0
    resplit: bool = False
    on_problem: str = "stop"
    without_labels: str = ""
    exclude: tuple[tuple[str, str], ...] = ()
    held_out: tuple[Path, ...] = ()
    near_bits: int = 24
    held_out_bits: int = 36


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came out.

    Attributes:
        data_set: Saved in the folder.
        problems: All that were found, and what was done.
        left_out: Pictures and boxes left out because they were not asked for, by reason.
    """

    data_set: DataSet
    problems: Problems
    left_out: dict[str, int]


def prepare(
    sources: Sequence[Found], out: Path, wishes: Wishes, *, watch: Watch = iter
) -> Prepared:
    """Make a prepared data set in a folder.

    Raises:
        WorkshopError: Problems were found and nothing was said about them; or nothing is left; or
            the folder holds something else.
    """
    _refuse_folder_of_others(out, sources)
    _refuse_full_disk(out, sources)
    bench = _Bench(wishes, _wanted_classes(sources, wishes))
    with PictureFolder(out) as folder:
        candidates = [
            one
            for found, prefix in _prefixes(sources)
            for one in bench.taken(found, prefix, folder, watch)
        ]
        candidates = bench.without_copies(bench.without_held_out(candidates))
        candidates = bench.split(candidates)
        bench.problems.save(out)
        bench.refuse_unsettled(out)
        bench.refuse_empty(candidates, out)
        folder.keep_only(one.name for one in candidates)
    data_set = DataSet(bench.classes, tuple(_labelled(out, one) for one in candidates))
    dataset.save(out, data_set)
    return Prepared(data_set, bench.problems, dict(bench.left_out))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A picture on its way into the data set.

    Attributes:
        name: Of its copy, relative to the folder.
        where: Its name for people.
        split: None: yet to be drawn.
    """

    name: str
    where: str
    source: str
    split: str | None
    facts: PictureFacts
    boxes: tuple[LabelledBox, ...]


@dataclass(slots=True)
class _Bench:
    """Where pictures and labels are checked: knows what is wanted, and notes what is wrong."""

    wishes: Wishes
    classes: tuple[str, ...]
    problems: Problems = field(default_factory=Problems)
    left_out: Counter[str] = field(default_factory=Counter)

    def taken(
        self, found: Found, prefix: str, folder: PictureFolder, watch: Watch
    ) -> Iterator[_Candidate]:
        """Yield what is usable of a source."""
        rename = dict(self.wishes.rename)
        declared = {name: rename.get(name, name) for name in found.classes}
        check = LabelCheck(self.classes, declared, self.wishes.without_labels)
        names: Counter[str] = Counter()
        wanted = [image for image in found.images if self._is_wanted(image, check)]
        for image in watch(wanted):
            name = _copy_name(prefix, image.name, names)
            where = f"{prefix}/{image.name}"
            candidate = self._candidate(image, name, where, check, folder)
            if candidate is not None:
                yield candidate

    def without_held_out(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Leave out what is nearly the same as a picture for evaluation."""
        for folder in self.wishes.held_out:
            paths, hashes = hashes_below(folder, pictures_below(folder))
            near, bits = nearest(_looks(candidates), hashes)
            kept = []
            for one, other, distance in zip(candidates, near, bits, strict=True):
                if distance > self.wishes.held_out_bits:
                    kept.append(one)
                else:
                    what = f"{distance} of 256 bits from {paths[other]}"
                    self._settle(one.where, "held-out", what)
            candidates = kept
        return candidates

    def without_copies(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Keep one of each picture: the one to train on, where there is one."""
        first: dict[str, _Candidate] = {}
        for one in sorted(candidates, key=lambda one: one.split == "val"):  # stable: train first
            kept = first.setdefault(one.facts.sha256, one)
            if kept is not one:
                self._settle(one.where, "duplicate", f"the same as {kept.where}")
        chosen = {one.name for one in first.values()}
        return [one for one in candidates if one.name in chosen]

    def split(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Give each picture its split; none of the one may look like one of the other."""
        share, seed = self.wishes.val_share, self.wishes.seed
        return self._without_leaks(_drawn(candidates, share, seed))

    def refuse_unsettled(self, out: Path) -> None:
        """Refuse the lot where problems were found and nothing was said about them."""
        if self.wishes.on_problem != "stop" or not self.problems.found:
            return
        count = len(self.problems.found)
        raise WorkshopError(
            f"{count} problem{'s' * (count != 1)} in the data\n{self.problems.text(first=3)}\n",
            where=str(out),
            remedy="All are named in problems.json. Put them right at their source, or choose:"
            " --on-problem skip leaves out each picture concerned; --on-problem fix puts right"
            " what can be (boxes clipped, doubtful ones left out of the loss, copies dropped)",
        )

    def refuse_empty(self, candidates: Sequence[_Candidate], out: Path) -> None:
        """Refuse a data set with nothing in it, or nothing in one of its splits."""
        if not candidates:
            reasons = {**self.problems.counts(), **self.left_out}
            listing = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
            raise WorkshopError(
                f"no picture is left: {listing or 'the sources are empty'}",
                where=str(out),
                remedy="Look at --classes, --map and --exclude, and at problems.json",
            )
        for split in dataset.SPLITS:
            if not any(one.split == split for one in candidates):
                raise WorkshopError(
                    f"no picture is in the split `{split}`",
                    where=str(out),
                    remedy="Give --resplit with a --val-share above 0, or more pictures; where all"
                    " look alike, as frames of one film do, lower --near-bits",
                )
        if all(box.ignore for one in candidates for box in one.boxes):
            raise WorkshopError(
                f"there is no box of {', '.join(self.classes)} in any picture",
                where=str(out),
                remedy="Look at --classes and --map; backgrounds alone teach nothing",
            )

    def _is_wanted(self, image: FoundImage, check: LabelCheck) -> bool:
        reason = self._not_wanted(image, check)
        if reason:
            self.left_out[reason] += 1
        return not reason

    def _not_wanted(self, image: FoundImage, check: LabelCheck) -> str:
        if image.split == "test":
            return "pictures of a test split"
        facts = {"source": image.source, "split": image.split or "", "file": image.name}
        for key, pattern in self.wishes.exclude:
            if fnmatch.fnmatchcase(facts[key], pattern):
                return f"pictures excluded by {key}={pattern}"
        if image.has_labels and not check.looked_for(image):
            return f"pictures not labelled for {', '.join(self.classes)}"
        return ""

    def _candidate(
        self, image: FoundImage, name: str, where: str, check: LabelCheck, folder: PictureFolder
    ) -> _Candidate | None:
        settle = partial(self._settle, where)
        if image.picture is None:
            settle("picture-missing", "no such file in the source")
            return None
        facts = folder.take_in(image.picture, name)
        if facts.flaw:
            settle("picture-unreadable", facts.flaw)
            return None
        boxes = check.boxes(image, facts, settle)
        if boxes is None:
            return None
        split = None if self.wishes.resplit else image.split
        return _Candidate(name, where, image.source, split, facts, boxes)

    def _without_leaks(self, candidates: list[_Candidate]) -> list[_Candidate]:
        """Settle pictures to choose by that look like one to train on: they would flatter."""
        train = [one for one in candidates if one.split == "train"]
        val = [one for one in candidates if one.split == "val"]
        near, bits = nearest(_looks(val), _looks(train))
        stays: dict[str, bool] = {}
        for one, other, distance in zip(val, near, bits, strict=True):
            if distance <= self.wishes.near_bits:
                what = f"{distance} of 256 bits from {train[other].where}"
                stays[one.name] = self._settle(one.where, "leak", what, "moved to train")
        moved = (replace(one, split="train") if one.name in stays else one for one in candidates)
        return [one for one in moved if stays.get(one.name, True)]

    def _settle(self, where: str, kind: str, what: str, fixed: str = "") -> bool:
        """Note a problem; tell whether the picture stays, put right in the way named."""
        outcomes = {"stop": "to be settled", "skip": "picture left out"}
        outcome = outcomes.get(self.wishes.on_problem, fixed or "picture left out")
        self.problems.add(kind, where, what, outcome)
        return bool(fixed) and self.wishes.on_problem != "skip"


def _drawn(candidates: Iterable[_Candidate], share: float, seed: int) -> list[_Candidate]:
    """Draw the pictures to choose by, from each source alike; what has a split keeps it."""
    candidates = list(candidates)
    pools: dict[str, list[str]] = defaultdict(list)
    for one in candidates:
        if one.split is None:
            pools[one.source].append(one.name)
    val: set[str] = set()
    for names in pools.values():
        names.sort(key=lambda name: _lot(name, seed))
        val.update(names[: round(len(names) * share)])
    if share > 0 and pools and not val and not any(one.split == "val" for one in candidates):
        val.add(min((names[0] for names in pools.values()), key=lambda name: _lot(name, seed)))
    return [
        replace(one, split="val" if one.name in val else "train") if one.split is None else one
        for one in candidates
    ]


def _lot(name: str, seed: int) -> str:
    """Return what a picture draws: the same whatever other pictures there are."""
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


def _looks(candidates: Iterable[_Candidate]) -> Hashes:
    return as_hashes(one.facts.look for one in candidates)


def _labelled(out: Path, one: _Candidate) -> LabelledImage:
    width, height = one.facts.width, one.facts.height
    return LabelledImage(out / one.name, width, height, str(one.split), one.source, one.boxes)


def _wanted_classes(sources: Sequence[Found], wishes: Wishes) -> tuple[str, ...]:
    """Return the classes of the data set.

    Raises:
        WorkshopError: One that is wanted or renamed is in no source.
    """
    declared = dict.fromkeys(name for found in sources for name in found.classes)
    rename = dict(wishes.rename)
    _refuse_unknown(rename, declared, "--map")
    renamed = dict.fromkeys(rename.get(name, name) for name in declared)
    _refuse_unknown(wishes.classes, renamed, "--classes")
    if not renamed:
        raise WorkshopError(
            "no source has labels",
            where=", ".join(str(found.path) for found in sources),
            remedy="Bring labelled pictures beside those without",
        )
    return wishes.classes or tuple(renamed)


def _refuse_unknown(names: Iterable[str], known: Iterable[str], option: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f" (`{near[0]}`?)" if near else ""
            raise WorkshopError(
                f"no source has the class `{name}`{meant}",
                where=option,
                remedy=f"The sources have {', '.join(known) or 'none'}",
            )


def _prefixes(sources: Sequence[Found]) -> Iterator[tuple[Found, str]]:
    """Yield each source with the folder that its copies go to."""
    taken: Counter[str] = Counter()
    for found in sources:
        stem = found.path.resolve().stem
        taken[stem] += 1
        number = f"-{taken[stem]}" if taken[stem] > 1 else ""
        yield found, f"{stem}{number}"


def _copy_name(prefix: str, name: str, taken: Counter[str]) -> str:
    """Return where the copy goes: never outside the folder, never where another one went."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("..", "/", path.anchor)]
    path = PurePosixPath("images", prefix, *parts)
    taken[str(path)] += 1
    number = taken[str(path)]
    return str(path if number == 1 else path.with_stem(f"{path.stem}~{number}"))


def _refuse_folder_of_others(out: Path, sources: Sequence[Found]) -> None:
    """Refuse to work in a folder that holds anything but an earlier preparation."""
    for found in sources:
        if out.resolve().is_relative_to(found.path.resolve()):
            raise WorkshopError(
                "lies inside a source, and would become part of it",
                where=str(out),
                remedy="Name a folder elsewhere",
            )
    if out.is_dir() and any(out.iterdir()) and not (out / JOURNAL).is_file():
        raise WorkshopError(
            "holds something else than an earlier preparation",
            where=str(out),
            remedy="Name an empty folder, or one that is not there yet",
        )


def _refuse_full_disk(out: Path, sources: Sequence[Found]) -> None:
    """Refuse early what would fail after an hour; what was copied before counts twice."""
    pictures = (image.picture for found in sources for image in found.images)
    needed = sum(picture.size_bytes for picture in pictures if picture is not None)
    if (out / JOURNAL).is_file():
        return  # an earlier run had the room, and holds some of it
    there = next(path for path in (out, *out.resolve().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise WorkshopError(
            f"needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            where=str(out),
            remedy="Free some space or choose another folder",
        )
