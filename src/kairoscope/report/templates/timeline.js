// One clip's timeline: lanes of events and of likely times over one axis; a click seeks its video.
// Every text goes in by textContent: names and answers come from files and models.
"use strict";

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};
const seconds = (t) => `${t.toFixed(2)} s`;

// `isShown` tells whether the page still shows this clip.
function timeline(clip, video, isShown) {
  const node = make("div", "timeline");
  node.tabIndex = 0;
  node.setAttribute("role", "slider");
  node.setAttribute("aria-label", `time in ${clip.id}`);
  node.setAttribute("aria-valuemin", "0");
  node.setAttribute("aria-valuemax", String(clip.duration_s));
  const percent = (t) => `${Math.min(100, Math.max(0, (100 * t) / clip.duration_s))}%`;
  for (const lane of clip.lanes) node.append(track(lane, percent, clip));
  node.append(axis(clip.duration_s, percent));
  const head = make("div", "playhead");
  head.hidden = true;
  node.append(head);

  const begins = clip.video_start_s || 0; // a file may hold many clips
  let time = 0;
  const show = (t) => {
    time = t;
    const inset = node.querySelector(".lane").offsetLeft;
    const width = node.querySelector(".lane").offsetWidth;
    head.hidden = false;
    head.style.left = `${inset + (width * t) / clip.duration_s}px`;
    head.dataset.time = seconds(t);
    node.setAttribute("aria-valuenow", t.toFixed(2));
    node.setAttribute("aria-valuetext", seconds(t));
  };
  const seek = (t) => {
    const wanted = Math.min(clip.duration_s, Math.max(0, t));
    show(wanted);
    if (!video) return;
    const go = () => { video.currentTime = Math.min(begins + wanted, video.duration || begins + wanted); };
    if (video.readyState > 0) go();
    else {
      video.addEventListener("loadedmetadata", go, { once: true });
      video.preload = "auto";
      video.load();
    }
  };
  seek.now = () => time;
  const at = (event) => {
    const box = node.querySelector(".lane").getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * clip.duration_s;
  };
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    node.setPointerCapture(event.pointerId);
    seek(at(event));
  });
  node.addEventListener("pointermove", (event) => {
    if (event.buttons & 1 && node.hasPointerCapture(event.pointerId)) seek(at(event));
  });
  if (video) follow(video, (t) => show(t - begins), isShown, clip);
  return { node, seek };
}

// Shows where the video is. Where the file holds more than this clip, it plays no more than the clip.
function follow(video, show, isShown, clip) {
  const begins = clip.video_start_s || 0;
  const ends = clip.video_start_s === undefined ? Infinity : begins + clip.duration_s;
  const tick = () => {
    if (!isShown()) return;
    if (video.currentTime >= ends) video.pause();
    show(Math.min(video.currentTime, ends));
    if (!video.paused && !video.ended) requestAnimationFrame(tick);
  };
  const enter = () => { if (video.currentTime < begins || video.currentTime >= ends) video.currentTime = begins + 0.001; };
  if (begins) video.addEventListener("loadedmetadata", enter);
  video.addEventListener("play", () => { enter(); tick(); });
  video.addEventListener("seeked", () => video.paused && show(video.currentTime));
}

function track(lane, percent, clip) {
  const node = make("div", `lane ${lane.kind}`);
  node.append(make("span", "lane-name", lane.name));
  const most = Math.max(0.05, ...(lane.peaks || []).map((peak) => peak[2]));
  for (const [event, t, share] of lane.peaks || []) {
    const peak = make("span", `peak c${event % 8}`);
    peak.style.left = percent(t);
    peak.style.height = `${Math.max(6, (100 * share) / most)}%`;
    peak.title = `${seconds(t)}: ${(100 * share).toFixed(0)} %`;
    node.append(peak);
  }
  if (lane.rows > 1) node.style.height = `${lane.rows * (lane.kind === "thin" ? 11 : 19)}px`;
  for (const [event, start, end, doubtful, row] of lane.spans || []) {
    const span = make("span", `span c${event % 8}${doubtful ? " doubtful" : ""}`);
    span.append(make("b", "", String(event + 1)));
    span.style.top = `${(100 * row) / lane.rows}%`;
    span.style.height = `${100 / lane.rows}%`;
    span.style.left = percent(start);
    span.style.right = `${100 - parseFloat(percent(end))}%`;
    span.title = `${event + 1}  ${clip.events[event]}\n${seconds(start)} to ${seconds(end)}`;
    node.append(span);
  }
  return node;
}

function axis(duration, percent) {
  const node = make("div", "scale");
  const rough = duration / 7;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  for (let i = 0; i * step <= duration * 1.0001; i += 1) {
    const tick = make("span", "", `${(i * step).toFixed(digits)}${i === 0 ? " s" : ""}`);
    tick.style.left = percent(i * step);
    node.append(tick);
  }
  return node;
}

