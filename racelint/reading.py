"""From source files to facts: out of the cache where it has them, else extracted, here or in other processes."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from racelint.cache import Cache
from racelint.files import SOURCE_BYTES, read_regular
from racelint.frontends.python.version import version
from racelint.model.facts import ModuleFacts
from racelint.model.source import Problem, SourceFile, source_lines

Progress = Callable[[str, int, int], None]
Read = Callable[[Sequence[SourceFile], Progress | None], "list[Extracted]"]
# How much source has to be read anew before other processes have begun and imported what they need: half a second.
WORTH_SHARING_BYTES = 200_000
# Trees of LibCST hold on to themselves; files after which they are looked for.
COLLECT_AFTER = 400
UNREADABLE, INTERNAL = "unreadable-file", "internal-error"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What reading one file gave: facts, or the problem that kept them from being had; its bytes, and text by lines.

    ``cached``: it was not extracted in this run.
    """

    file: SourceFile
    facts: ModuleFacts | None
    problem: Problem | None
    text: tuple[str, ...]
    source: bytes = b""
    cached: bool = False


class Fault(msgspec.Struct, frozen=True, array_like=True):
    """Why a file has no facts: the parts of a ``Problem`` that do not depend on where the file lies."""

    line: int
    rule: str
    message: str


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What extraction gave, in the form that is kept and sent between processes: facts or a fault."""

    facts: ModuleFacts | None = None
    fault: Fault | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Outcome)


def outcome(source: bytes, module: str, is_package: bool) -> Outcome:
    """Extract one file. Whatever goes wrong is a fault."""
    # LibCST takes as long to import as a small project takes to analyse: not when the cache has everything.
    from racelint.frontends.python.extract import SyntaxProblem, UnreadableSource, extract

    try:
        return Outcome(extract(source, module, is_package=is_package))
    except SyntaxProblem as error:
        return Outcome(fault=Fault(error.line, "parse-error", str(error)))
    except UnreadableSource as error:
        return Outcome(fault=Fault(1, UNREADABLE, str(error)))
    except RecursionError:
        return Outcome(fault=Fault(1, "parse-error", "nested too deeply to be analysed"))
    except Exception as error:  # a fault of racelint in one file must not cost the others
        return Outcome(fault=Fault(0, INTERNAL, f"this is a bug in racelint: {type(error).__name__}: {error}"))


def encoded_outcome(source: bytes, module: str, is_package: bool) -> bytes:
    """``outcome`` as it crosses processes: it is far quicker to encode and decode than to pickle."""
    return _encoder.encode(outcome(source, module, is_package))


def parse(file: SourceFile, source: bytes) -> Extracted:
    """Facts of one file, whose content may be another than on disk."""
    return _extracted(file, source, outcome(source, file.module, file.is_package))


def read_all(
    files: Sequence[SourceFile],
    progress: Progress | None = None,
    *,
    cache: Cache | None = None,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Extracted]:
    """Read every file, in order; what is given decides how long that takes, and nothing else.

    ``cache`` keeps facts from run to run. With ``executor``, files are extracted by what it runs on, unless they are
    too few to be worth it; any standard executor will do. ``tell`` is told what a user should hear.
    """
    with without_collecting():
        found: dict[str, Extracted] = {}
        missing: list[_Job] = []
        for file in files:
            job = _job(file, cache)
            if isinstance(job, Extracted):
                found[file.display] = job
                continue
            known = _kept(job, cache)
            if known is None:
                missing.append(job)
            else:
                found[file.display] = _extracted(file, job.source, known, cached=True)
        for job, result in _outcomes(missing, executor, tell):
            found[job.file.display] = _extracted(job.file, job.source, result)
            if progress is not None:
                progress("reading", len(found), len(files))
            if cache is not None and not (result.fault is not None and result.fault.rule == INTERNAL):
                cache.put(job.key, _encoder.encode(result))
        if cache is not None:
            cache.settle()
    return [found[file.display] for file in files]


@contextmanager
def without_collecting() -> Iterator[None]:
    """No search for garbage meanwhile: facts are trees, and walking them again and again takes longer than reading."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Job:
    """A file, its content, and the name of its facts in the cache (empty without one)."""

    file: SourceFile
    source: bytes
    key: str

    @property
    def arguments(self) -> tuple[bytes, str, bool]:
        """Those of ``outcome``."""
        return self.source, self.file.module, self.file.is_package


def _job(file: SourceFile, cache: Cache | None) -> _Job | Extracted:
    try:
        source = read_regular(file.path, SOURCE_BYTES)
    except OSError as error:
        return Extracted(file, None, Problem(file.display, 0, UNREADABLE, error.strerror or str(error)), ())
    return _Job(file, source, "" if cache is None else key(file, source))


def key(file: SourceFile, source: bytes) -> str:
    """The name of a file's facts: made of all they depend on, and of nothing else."""
    head = _encoder.encode((version(), file.module, file.is_package))
    digest = hashlib.sha256(len(head).to_bytes(8, "big") + head)
    digest.update(source)
    return digest.hexdigest()


def _kept(job: _Job, cache: Cache | None) -> Outcome | None:
    """What the cache has, when it is sound."""
    content = None if cache is None else cache.get(job.key)
    if content is None:
        return None
    try:
        known = _decoder.decode(content)
    except msgspec.MsgspecError:
        return None
    return known if (known.facts is None) != (known.fault is None) else None


def _outcomes(
    jobs: Sequence[_Job], executor: Executor | None, tell: Callable[[str], None] | None
) -> Iterator[tuple[_Job, Outcome]]:
    """The outcome of each job, as they are finished, the largest files begun first."""
    jobs = sorted(jobs, key=lambda job: (-len(job.source), job.file.display))
    if executor is not None and len(jobs) > 1 and sum(len(job.source) for job in jobs) >= WORTH_SHARING_BYTES:
        lost: list[_Job] = []
        why = ""
        futures = {executor.submit(encoded_outcome, *job.arguments): job for job in jobs}
        for future in as_completed(futures):
            job = futures.pop(future)
            try:
                done = _decoder.decode(future.result())
            except BrokenExecutor as error:
                lost.append(job)
                why = why or str(error)
                continue
            yield job, done
        jobs = sorted(lost, key=lambda job: job.file.display)
        if jobs and tell is not None:
            more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
            tell(f"the process that was to read {jobs[0].file.display}{more} {why}: that is done again, by this one")
    for number, job in enumerate(jobs, start=1):
        yield job, outcome(*job.arguments)
        if number % COLLECT_AFTER == 0:
            gc.collect()
            gc.freeze()  # what is left are facts: to go through them each time takes longer with every file


def _extracted(file: SourceFile, source: bytes, result: Outcome, *, cached: bool = False) -> Extracted:
    fault = result.fault
    problem = None if fault is None else Problem(file.display, fault.line, fault.rule, fault.message)
    return Extracted(file, result.facts, problem, tuple(source_lines(source)), source, cached)
