"""Asking a server for ten trials a clip: all at once, beside one request a trial, one clip at a time.

Needs a server, such as the one that `make test-servers` starts:

    python -m benchmarks.serving --base-url http://127.0.0.1:8000/v1 --model builtin

What the client itself takes is measured against a server that answers at once, with no model in it.
"""

import json
import multiprocessing
import sys
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.harness import REPOSITORY, Facts, Job, Runs, Way, interleaved
from benchmarks.results import (
    Goal,
    Result,
    Table,
    announce,
    arguments,
    cost_table,
    number,
    write,
)

TRIALS = 10
TEMPERATURE = 0.6
"""The recipe's."""
CLIPS = REPOSITORY / "examples/press/test"
FEW, MANY = 250, 1000


def requests(policy: Any, count: int | None = None) -> Iterator[Any]:
    """The example's test clips, again and again up to `count`."""
    from kairoscope.core import Request
    from kairoscope.data.sources import load_samples
    from kairoscope.recipes.subtask_times import TASK

    samples = list(load_samples(CLIPS, []))
    for index in range(count or len(samples)):
        sample = samples[index % len(samples)]
        yield Request(
            id=f"{sample.id}#{index}",
            video=sample.video,
            prompt=TASK.prompt(sample.query),
            policy=policy,
            template=partial(TASK.template, sample.query),
        )


def answers(
    base_url: str, model: str, *, concurrency: int, one_a_request: bool, count: int | None = None
) -> Job:
    """Ten trials for every clip."""
    from dataclasses import replace

    from kairoscope.core import Failed, FramePolicy, Sampling
    from kairoscope.models.server.engine import ServedModel
    from kairoscope.models.server.options import ServerOptions

    options = ServerOptions(base_url=base_url, concurrency=concurrency, allow_other_frames=True)
    whole = Sampling(trials=TRIALS, temperature=TEMPERATURE, max_new_tokens=200)
    apart = [replace(whole, trials=1, first_trial=trial) for trial in range(TRIALS)]

    def job() -> Facts:
        served = ServedModel(model, options)
        policy = served.policy or FramePolicy(fps=4.0, max_frame_pixels=9500)
        num_answers = 0
        for sampling in apart if one_a_request else [whole]:
            for name, found in served.answer(requests(policy, count), sampling, "free"):
                if isinstance(found, Failed):
                    raise RuntimeError(f"{name}: {found.reason}")
                num_answers += len(found)
        return {
            "answers": num_answers,
            "requests": served.usage.requests,
            "prompt_tokens": served.usage.prompt_tokens,
        }

    return job


def _answer_at_once(address: Any) -> None:
    """A server with no model: the same words for every sample."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.send({"data": [{"id": "none"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = {"content": "<answer>\n</answer>"}
            count = body.get("n", 1)
            rows = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(count)]
            self.send({"choices": rows, "usage": {"prompt_tokens": 1000, "completion_tokens": 9}})

        def send(self, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    address.send(server.server_port)
    server.serve_forever()


def _ways(base_url: str | None, model: str, quick_url: str, *, smoke: bool) -> list[Way]:
    function = "benchmarks.serving:answers"
    ways = []
    num_clips = 16
    if base_url is not None:
        shared = {"base_url": base_url, "model": model}
        for key, title, settings in (
            ("recipe", "a request a trial, one clip at a time", (1, True)),
            ("ours", "ten samples a request, 16 clips at a time", (16, False)),
        ):
            concurrency, apart = settings
            given = {**shared, "concurrency": concurrency, "one_a_request": apart}
            ways.append(
                Way(key=key, title=title, function=function, arguments=given, units=num_clips)
            )
    for count in (4, 8) if smoke else (FEW, MANY):
        given = {"base_url": quick_url, "model": "none", "concurrency": 16, "one_a_request": False}
        ways.append(
            Way(
                key="few" if count in (4, FEW) else "many",
                title=f"client alone, {count} clips",
                function=function,
                arguments={**given, "count": count},
                units=count,
            )
        )
    return ways


def result(runs: Runs, model: str) -> Result:
    """Tables and goals."""
    keys = {way.key for way in runs.ways}
    part = Runs(tuple(w for w in runs.ways if w.key in ("recipe", "ours")), runs.measured, {})
    tables, goals = [], []
    if "ours" in keys:
        tables.append(cost_table("Ten free answers to each clip", part, "recipe", "clip"))
        rows = []
        for way in part.ways:
            rate = 1 / runs.spread(way.key, "wall_s").median
            asked = runs.spread(way.key, "requests").median
            tokens = runs.spread(way.key, "prompt_tokens").median
            rows.append((way.title, number(rate * TRIALS), number(asked), number(tokens)))
        columns = ("", "trials x clips a second", "requests", "prompt tokens billed")
        tables.append(Table(title="Through the server", columns=columns, rows=tuple(rows)))
        ratio = runs.ratio("recipe", "ours", "wall_s")
        goals.append(
            Goal(
                text="ten trials through a server: speed over a request a trial, a clip at a time",
                limit=2.0,
                value=ratio.median if ratio else None,
                at_least=True,
            )
        )
    alone = Runs(tuple(w for w in runs.ways if w.key in ("few", "many")), runs.measured, {})
    tables.append(
        cost_table(
            "What the client takes, with a server that answers at once", alone, "few", "clip"
        )
    )
    memory = [runs.spread(key, "peak_mib").median for key in ("many", "few")]
    goals.append(
        Goal(
            text=f"asking a server: peak memory of the client over {MANY} clips over that of {FEW}",
            limit=1.05,
            value=memory[0] / memory[1],
        )
    )
    return Result(
        name="serving",
        title="Ten trials of every clip from a server",
        what=(
            f"The 16 test clips of examples/press, each asked ten times at temperature {TEMPERATURE} "
            f"of the model `{model}` behind a server on the same machine, by both ways of asking. The "
            "client decodes, stamps and encodes the clips in both. Behind it, the client alone, against "
            "a process that answers every request at once."
        ),
        tables=tuple(tables),
        goals=tuple(goals),
        notes=(),
        data=runs.to_json(),
    )


def main(argv: list[str]) -> None:
    """Measure and write."""
    options = arguments(
        "serving",
        __doc__,
        argv,
        default_rounds=3,
        base_url={"help": "of a server; without one, the client alone is measured"},
        model={"help": "as the server calls it (default: builtin)", "default": "builtin"},
    )
    ours, theirs = multiprocessing.Pipe()
    quick = multiprocessing.get_context("spawn").Process(
        target=_answer_at_once, args=(theirs,), daemon=True
    )
    quick.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    ways = _ways(options.base_url, options.model, url, smoke=options.smoke)
    runs = interleaved(ways, options.rounds, announce, fresh=not options.smoke)
    quick.terminate()
    write(result(runs, options.model), options)


if __name__ == "__main__":
    main(sys.argv[1:])
