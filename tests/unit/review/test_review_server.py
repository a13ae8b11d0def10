"""The review page's server, over HTTP: who is let in, what is seen, what is kept."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Program, read_rows
from PIL import Image

from kairoscope.core import UserError
from kairoscope.data.labels import read_labels
from kairoscope.review.folder import ReviewFolder
from kairoscope.video.clip import frame_times

Serve = Callable[[Path], Any]


def grey(jpeg: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L")).mean())


def test_only_who_has_the_address_is_let_in(serve: Serve, videos: Path) -> None:
    with serve(videos / "out") as page:
        for path in ("/", "/api/clips", "/wrong/", f"/{page.token[:-1]}/", f"/{page.token}"):
            answer, data = page.ask("GET", path)
            assert answer.status == 404, path
            assert page.token.encode() not in data
        answer, _ = page.ask("GET", "", headers={"Host": "evil.example"})
        assert answer.status == 404
        other = {"Origin": "http://evil.example"}
        answer, _ = page.ask("POST", "api/save/0", {"events": []}, headers=other)
        assert answer.status == 403
    with serve(videos / "out") as again:
        assert again.token != page.token


def test_the_page_needs_nothing_from_outside(serve: Serve, videos: Path) -> None:
    with serve(videos / "out") as page:
        answer, html = page.ask("GET", "")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        linked = re.findall(rb'(?:src|href)="([^"]+)"', html)
        assert sorted(linked) == [b"data:,", b"review.css", b"review.js"]
        for name in (b"review.css", b"review.js"):
            text = page.get(name.decode())
            assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", text)
        assert b" style=" not in html  # which the policy forbids
        used = set(re.findall(r"\$\(\"([a-z-]+)\"\)", page.get("review.js").decode()))
        assert used <= set(re.findall(r'id="([a-z-]+)"', html.decode()))


def test_the_least_sure_come_first(serve: Serve, videos: Path) -> None:
    with serve(videos / "out") as page:
        clips = page.json("api/clips")["clips"]
    assert len(clips) == 8
    keys = [clip["confidence"] - bool(clip["flags"]) for clip in clips]
    assert keys == sorted(keys)
    rows = read_rows(videos / "out" / "boundaries.jsonl")
    least = {c["clip"]: min(r["confidence"] for r in rows if r["clip"] == c["clip"]) for c in clips}
    assert {clip["clip"]: clip["confidence"] for clip in clips} == least


def test_what_cannot_be_read_comes_last_and_says_why(
    serve: Serve, videos: Path, program: Program, world: Path
) -> None:
    whole = (videos / "videos" / "d.mp4").read_bytes()
    (videos / "videos" / "d.mp4").write_bytes(whole[:700])
    ended = program.run(
        *("annotate", "videos", "--task=videos/square.toml", f"--model={world / 'model'}"),
        "--out=out",
        cwd=videos,
    )
    assert ended.code == 0, ended.said
    with serve(videos / "out") as page:
        clips = page.json("api/clips")["clips"]
        assert clips[-1]["clip"] == "d.mp4"
        about = page.json(f"api/clip/{len(clips) - 1}")
        assert about["shown"] is None
        assert "d.mp4" in about["why"]
        body = {"events": [{"start": 0, "end": 5}, None]}
        assert page.post(f"api/save/{len(clips) - 1}", body)[0] == 422


def test_a_video_comes_in_ranges(serve: Serve, videos: Path) -> None:
    with serve(videos / "out") as page:
        place = page.place("b.mp4")
        whole = (videos / "videos" / "b.mp4").read_bytes()
        answer, data = page.ask("GET", f"film/{place}")
        assert (answer.status, data) == (200, whole)
        assert answer.headers["Accept-Ranges"] == "bytes"
        answer, data = page.ask("GET", f"film/{place}", headers={"Range": "bytes=100-299"})
        assert (answer.status, data) == (206, whole[100:300])
        assert answer.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
        answer, data = page.ask("GET", f"film/{place}", headers={"Range": f"bytes={len(whole)}-"})
        assert (answer.status, data) == (416, b"")
        assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


def test_frames_have_the_times_of_the_file(serve: Serve, videos: Path) -> None:
    with serve(videos / "out") as page:
        clip = page.json(f"api/clip/{page.place('c.mp4')}")
        times_s = frame_times(videos / "videos" / "c.mp4")
        assert clip["times_s"] == pytest.approx(times_s, abs=1e-4)
        assert clip["shown"]["starts_s"] == pytest.approx(times_s, abs=1e-6)
        ends = np.add(clip["shown"]["starts_s"], clip["shown"]["holds_s"])
        assert ends[:-1] == pytest.approx(times_s[1:], abs=1e-5)
        found = {
            r["event"]: r
            for r in read_rows(videos / "out" / "boundaries.jsonl")
            if r["clip"] == "c.mp4"
        }
        for name, frames in zip(page.json("api/clips")["events"], clip["found"], strict=True):
            assert frames == {"start": found[name]["start_frame"], "end": found[name]["end_frame"]}
        for slot in ("start 1", "end 1", "start 2", "end 2"):
            curve = clip["curves"][slot]["model"]
            assert len(curve) == len(times_s)
            assert max(curve) == 1.0
        answer, _ = page.ask("GET", f"frame/{page.place('c.mp4')}/{len(times_s)}")
        assert answer.status == 422


def test_a_span_of_a_long_video(serve: Serve, lerobot: Path) -> None:
    from lerobot_files import FPS, IDS, LENGTHS

    with serve(lerobot / "out") as page:
        place = page.place(IDS[1])
        clip = page.json(f"api/clip/{place}")
        assert len(clip["times_s"]) == LENGTHS[1]
        assert clip["shown"]["kind"] == "film"
        assert clip["shown"]["starts_s"][0] == pytest.approx(LENGTHS[0] / FPS)
        for frame in (0, 7, LENGTHS[1] - 1):
            seen = grey(page.get(f"frame/{place}/{frame}"))
            assert seen == pytest.approx((LENGTHS[0] + frame) * 7 % 256, abs=3)
        assert clip["curves"]["end 1"]["prior"]


def test_pictures_in_the_dataset(serve: Serve, mimicgen: Path) -> None:
    with serve(mimicgen / "out") as page:
        place = page.place("demo_1")
        clip = page.json(f"api/clip/{place}")
        assert clip["shown"] == {"kind": "album"}
        assert clip["cameras"] == ["agentview"]
        assert [grey(page.get(f"frame/{place}/{f}")) for f in (0, 60, 119)] == pytest.approx(
            [0, 60, 119], abs=2
        )
        answer, _ = page.ask("GET", f"frame/{place}/120")
        assert answer.status == 422
        answer, _ = page.ask("GET", f"film/{place}")
        assert answer.status == 404
        assert set(clip["curves"]["end 1"]) == {"signals", "fused"}


def test_without_the_dataset_boundaries_can_still_be_set(serve: Serve, mimicgen: Path) -> None:
    (mimicgen / "demos.hdf5").rename(mimicgen / "elsewhere.hdf5")
    with serve(mimicgen / "out") as page:
        clip = page.json("api/clip/0")
        assert clip["shown"] is None
        assert "demos.hdf5" in clip["why"]
        assert len(clip["times_s"]) in (110, 120)
        assert page.post("api/save/0", {"events": [{"start": 0, "end": 50}]})[0] == 200


def test_what_is_accepted_is_a_label_at_once(serve: Serve, videos: Path) -> None:
    events = [{"start": 2, "end": 9}, {"start": 9, "end": 15}]
    with serve(videos / "out") as page:
        place = page.place("d.mp4")
        assert page.post(f"api/save/{place}", {"events": events}) == (
            200,
            {"saved": True, "faults": []},
        )
        rows, problems = read_labels(videos / "out" / "corrections.jsonl")
        assert problems == []
        times_s = frame_times(videos / "videos" / "d.mp4")
        assert [(e.start_s, e.end_s) for e in rows[0].events] == [
            pytest.approx((times_s[a["start"]], times_s[a["end"]]), abs=1e-4) for a in events
        ]
        assert (videos / "out" / rows[0].video).resolve() == (videos / "videos" / "d.mp4").resolve()
        assert page.json(f"api/clip/{place}")["saved"] == events
        assert page.json("api/clips")["clips"][place]["saved"]
        # Saved again, there is still one row; taken back, there is none.
        events[1]["end"] = 16
        assert page.post(f"api/save/{place}", {"events": events})[0] == 200
        assert len(read_rows(videos / "out" / "corrections.jsonl")) == 1
        assert page.post(f"api/forget/{place}", {})[0] == 200
        assert page.json(f"api/clip/{place}")["saved"] is None


def test_a_wrong_order_is_said_and_not_kept(serve: Serve, videos: Path) -> None:
    wrong = {"events": [{"start": 0, "end": 12}, {"start": 5, "end": 8}]}
    with serve(videos / "out") as page:
        status, told = page.post("api/save/0", wrong)
        assert (status, told["saved"]) == (409, False)
        assert any(fault["stops"] and fault["events"] == [0, 1] for fault in told["faults"])
        assert page.post("api/check/0", wrong)[1]["faults"] == told["faults"]
        assert not (videos / "out" / "corrections.jsonl").exists()
        for bad in (b"{", b"", {"events": [1]}, {"events": None}, [1]):
            answer, data = page.ask("POST", "api/save/0", bad)
            assert answer.status == 422, bad
            assert json.loads(data)["error"]
        assert page.ask("POST", "api/save/99", wrong)[0].status == 404


def test_many_at_once_are_all_kept(serve: Serve, videos: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    body = {"events": [{"start": 1, "end": 5}, {"start": 5, "end": 9}]}
    with serve(videos / "out") as page, ThreadPoolExecutor(8) as pool:
        told = pool.map(lambda place: page.post(f"api/save/{place}", body), range(8))
        assert [status for status, _ in told] == [200] * 8
    assert len(ReviewFolder(videos / "out").corrections) == 8


def test_killed_it_has_kept_everything(videos: Path, tmp_path: Path) -> None:
    script = "import sys; from kairoscope.cli import main; sys.argv[0] = 'kairoscope'; main()"
    with subprocess.Popen(
        [sys.executable, "-c", script, "review", "out"],
        cwd=videos,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        address = said[1].strip()
        from urllib.request import Request, urlopen

        body = json.dumps({"events": [{"start": 1, "end": 5}, {"start": 5, "end": 9}]}).encode()
        for place in range(3):
            with urlopen(Request(f"{address}api/save/{place}", body, method="POST")) as answer:
                assert json.load(answer)["saved"]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert len(ReviewFolder(videos / "out").corrections) == 3


def test_two_reviews_of_one_folder_do_not_mix(program: Program, videos: Path) -> None:
    from kairoscope.storage import take_lock

    lock = take_lock(videos / "out")
    ended = program.run("review", "out", cwd=videos)
    os.close(lock)
    assert ended.code == 2
    assert "being written by another process" in ended.err


def test_what_is_no_annotation_is_refused(program: Program, videos: Path) -> None:
    ended = program.run("review", "videos", cwd=videos)
    assert ended.code == 2
    assert "is no run" in ended.err
    (videos / "out" / "clips.jsonl").write_text("")
    with pytest.raises(UserError, match="no clip has been annotated"):
        ReviewFolder(videos / "out")
