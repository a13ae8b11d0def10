// The review page: a list of clips, one clip's frames, and its boundaries on a timeline.
// Frames are the unit of everything here; the server says when each is shown, and what is wrong with
// boundaries. Every text goes in by textContent: names come from files and models.
"use strict";

const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};
const drawn = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
const copy = (events) => events.map((event) => event && { ...event });
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const SOURCES = { model: "model", signals: "signals", prior: "other demonstrations" };

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error("The server does not answer. Is `kairoscope review` still running? What was accepted is kept."); }
  const told = await answer.json().catch(() => ({ error: `the server said ${answer.status}` }));
  if (told.error) throw new Error(told.error);
  return told;
}

// --- screens: what shows frames ---------------------------------------------------------------

// A video file. `onFrame` hears which frame is on the screen, as the browser says when it shows one.
class FilmScreen {
  constructor(place, url, shown, onFrame, onBroken) {
    Object.assign(this, { shown, onFrame, target: 0, offset: null, pending: false, closed: false });
    const video = this.video = make("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: url });
    video.addEventListener("error", () => this.closed || onBroken());
    video.addEventListener("seeked", () => {
      if (this.pending) this.go();
      else if (!video.requestVideoFrameCallback) onFrame(this.target);
      else {
        // The browser's word on what it shows is best effort: where none comes, where it is counts.
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.closed || video.seeking || !video.paused || this.told(this.place()), 250);
      }
    });
    video.addEventListener("loadeddata", () => {
      // Some files do not begin at 0 on the browser's clock. The first picture tells.
      setTimeout(() => this.offset === null && this.begin(0), 400);
      if (!video.requestVideoFrameCallback) this.begin(0);
    });
    if (video.requestVideoFrameCallback) this.watch();
    else video.addEventListener("timeupdate", () => video.paused || this.told(video.currentTime));
    place.append(video);
  }
  begin(offset) { this.offset = offset; this.show(this.target); }
  watch() {
    this.video.requestVideoFrameCallback((_, about) => {
      if (this.closed) return;
      if (this.offset === null) this.begin(this.video.currentTime === 0 ? about.mediaTime : 0);
      else this.told(about.mediaTime - this.offset);
      this.watch();
    });
  }
  place() { return this.video.currentTime - this.offset - this.shown.holds_s[this.target] / 2; }
  told(time) {
    const starts = this.shown.starts_s;
    let frame = nearest(starts, time);
    if (starts[frame] === starts[this.target]) frame = this.target; // a picture may stand for several
    if (!this.video.paused) {
      this.target = frame;
      if (frame >= starts.length - 1) this.pause();
    }
    this.onFrame(frame);
  }
  show(frame) {
    this.target = frame;
    if (this.offset === null) return;
    this.pending = true;
    if (!this.video.seeking) this.go();
  }
  go() {
    // To the middle of the time for which the frame is shown, where rounding cannot miss it.
    this.pending = false;
    this.video.currentTime = this.offset + this.shown.starts_s[this.target] + this.shown.holds_s[this.target] / 2;
  }
  get playing() { return !this.video.paused; }
  play(speed) {
    if (this.target >= this.shown.starts_s.length - 1) this.show(0);
    this.video.playbackRate = speed;
    this.video.play().catch(() => {});
  }
  pause() { this.video.pause(); this.show(this.target); }
  close() { this.closed = true; this.video.pause(); this.video.removeAttribute("src"); this.video.load(); this.video.remove(); }
}

// Pictures, one after the other: of a dataset, or of a file that the browser cannot play.
class AlbumScreen {
  constructor(place, url, times_s, onFrame) {
    Object.assign(this, { url, times_s, onFrame, target: 0, timer: 0, ahead: [] });
    this.picture = make("img");
    this.picture.alt = "";
    this.picture.addEventListener("load", () => onFrame(this.loading));
    place.append(this.picture);
  }
  show(frame) {
    this.target = this.loading = frame;
    this.picture.src = this.url(frame);
    this.ahead = [1, 2, 3, 4, 5, 6, 7, 8, -1].map((step) => frame + step)
      .filter((f) => f >= 0 && f < this.times_s.length)
      .map((f) => { const image = new Image(); image.src = this.url(f); return image; });
  }
  get playing() { return this.timer !== 0; }
  play(speed) {
    if (this.target >= this.times_s.length - 1) this.show(0);
    const [first, began] = [this.times_s[this.target], performance.now()];
    const tick = (now) => {
      const wanted = first + ((now - began) / 1000) * speed;
      let frame = this.target;
      while (frame < this.times_s.length - 1 && this.times_s[frame + 1] <= wanted) frame += 1;
      if (frame !== this.target && this.picture.complete) this.show(frame);
      this.timer = this.target < this.times_s.length - 1 ? requestAnimationFrame(tick) : 0;
      if (!this.timer) this.onFrame(this.target);
    };
    this.timer = requestAnimationFrame(tick);
  }
  pause() { cancelAnimationFrame(this.timer); this.timer = 0; }
  close() { this.pause(); this.picture.remove(); }
}

// No pictures at all: signals and times are there all the same.
class BlankScreen {
  constructor(place, why, onFrame) {
    Object.assign(this, { onFrame, target: 0, playing: false });
    this.node = make("p", "", why || "This clip cannot be shown.");
    place.append(this.node);
  }
  show(frame) { this.target = frame; this.onFrame(frame); }
  play() {}
  pause() {}
  close() { this.node.remove(); }
}

function nearest(sorted, value) {
  let [low, high] = [0, sorted.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle; else high = middle;
  }
  return value - sorted[low] <= sorted[high] - value ? low : high;
}

// --- state ------------------------------------------------------------------------------------

const drafts = new Map(); // place in the list -> {events, past, future, joined}
let all = { clips: [], events: [], arms: [] };
let at = -1;
let clip = null;
let draft = null;
let screen = null;
let selected = 0;
let onScreen = null; // the frame that is seen; null: none of this clip yet
let rows = [];
let faults = [];
let checking = 0;

const say = (text) => { $("message").textContent = text || ""; $("message").hidden = !text; };
const safely = (work) => async (...args) => {
  try { say(""); return await work(...args); } catch (error) { say(error.message); return null; }
};
const base = () => clip.saved || clip.found;
const isEdited = (place) => drafts.has(place) && !same(drafts.get(place).events, drafts.get(place).base);
const lastFrame = () => clip.times_s.length - 1;

const open = safely(async (place, camera) => {
  if (place < 0 || place >= all.clips.length) return;
  const query = camera ? `?camera=${encodeURIComponent(camera)}` : "";
  const wanted = await ask(`api/clip/${place}${query}`);
  const keep = place === at && screen ? screen.target : null;
  const before = at;
  at = place;
  if (before >= 0) drawEntry(before);
  clip = wanted;
  clip.query = query;
  if (!drafts.has(place)) drafts.set(place, fresh(base()));
  draft = drafts.get(place);
  if (screen) screen.close();
  onScreen = null;
  screen = pictures();
  $("work").hidden = false;
  if (keep === null) selected = mostDoubtful();
  faults = [];
  drawHead();
  drawTimeline();
  draw();
  drawFaults();
  go(keep ?? (draft.events[selected] ? draft.events[selected].end : 0));
  $("list").classList.remove("open");
  check();
});

function fresh(events) {
  const pairs = events.map((event, i) => [events[beside(events, i, -1)], event]).filter(([a, b]) => a && b);
  const joined = pairs.length > 0 && pairs.every(([a, b]) => a.end === b.start);
  return { events: copy(events), base: copy(events), past: [], future: [], joined };
}

// The place of the event of the same arm that comes next, or before.
function beside(events, place, step) {
  let next = place + step;
  while (next >= 0 && next < events.length && !(events[next] && all.arms[next] === all.arms[place])) next += step;
  return next;
}

function mostDoubtful() {
  let worst = 0;
  const sure = (i) => (draft.events[i] ? clip.events[i].confidence ?? 2 : -1);
  clip.events.forEach((_, i) => { if (sure(i) < sure(worst)) worst = i; });
  return worst;
}

function pictures() {
  const place = $("screen");
  const frameAt = (frame) => `frame/${at}/${frame}${clip.query}`;
  if (!clip.shown) return new BlankScreen(place, clip.why, arrived);
  if (clip.shown.kind === "album") return new AlbumScreen(place, frameAt, clip.times_s, arrived);
  return new FilmScreen(place, `film/${at}${clip.query}`, clip.shown, arrived, () => {
    const here = screen.target; // a codec that this browser does not know: frame by frame, then
    screen.close();
    screen = new AlbumScreen(place, frameAt, clip.times_s, arrived);
    screen.show(here);
  });
}

function arrived(frame) { onScreen = frame; drawNow(); }

function go(frame) {
  if (!clip || lastFrame() < 0) return;
  if (screen.playing) screen.pause();
  screen.show(Math.min(lastFrame(), Math.max(0, frame)));
  drawNow();
}

// --- changes ----------------------------------------------------------------------------------

function change(work, before) {
  const old = before || copy(draft.events);
  work();
  if (same(old, draft.events)) return;
  draft.past.push(old);
  draft.future = [];
  draw();
  check();
}

// Sets an edge of an event; where events are joined, its neighbour's edge at the same frame goes along.
function set(place, edge, frame) {
  const events = draft.events;
  const event = events[place] || (events[place] = { start: startFor(place), end: frame });
  const old = event[edge];
  event[edge] = frame;
  if (!draft.joined) return;
  const [step, other] = edge === "end" ? [1, "start"] : [-1, "end"];
  const next = beside(events, place, step);
  if (events[next] && events[next][other] === old) events[next][other] = frame;
}

function startFor(place) {
  const before = draft.events[beside(draft.events, place, -1)];
  return before ? before.end : 0;
}

function turnBack(from, to) {
  if (!from.length) return;
  to.push(copy(draft.events));
  draft.events = from.pop();
  draw();
  check();
}

function check() {
  const mine = (checking += 1);
  setTimeout(async () => {
    if (mine !== checking || lastFrame() < 0) return;
    try {
      const told = await ask(`api/check/${at}`, { events: draft.events });
      if (mine === checking) { faults = told.faults; drawFaults(); }
    } catch (error) { say(error.message); }
  }, 60);
}

const accept = safely(async () => {
  const [place, events] = [at, copy(draft.events)];
  const told = await ask(`api/save/${place}`, { events });
  if (place === at) { faults = told.faults; drawFaults(); }
  if (!told.saved) { say("Not saved: see what is marked in red."); return; }
  all.clips[place].saved = true;
  Object.assign(drafts.get(place), { base: events });
  if (place === at) clip.saved = events;
  drawEntry(place);
  drawProgress();
  draw();
  const next = all.clips.findIndex((one, i) => i > place && !one.saved);
  const first = all.clips.findIndex((one) => !one.saved);
  if (next >= 0 || first >= 0) await open(next >= 0 ? next : first);
});

const forget = safely(async () => {
  await ask(`api/forget/${at}`, {});
  all.clips[at].saved = false;
  clip.saved = null;
  draft.base = copy(clip.found);
  drawProgress();
  draw();
});

// --- drawing ----------------------------------------------------------------------------------

function drawHead() {
  const about = all.clips[at];
  $("name").textContent = about.clip;
  $("tags").replaceChildren(
    ...(about.problem ? [make("span", "tag bad", "without boundaries")] : []),
    ...about.flags.map((flag) => make("span", "tag", flag)));
  $("camera-choice").hidden = clip.cameras.length < 2;
  $("camera").replaceChildren(...clip.cameras.map((name) => new Option(name, name, false, name === clip.camera)));
  const reasons = clip.events.flatMap((event, i) => {
    if (!event.reasons.length) return [];
    const line = make("p");
    line.append(make("span", `chip c${i % 8}`, String(i + 1)), make("b", "", `${all.events[i]}: `), event.reasons.join("; "));
    return [line];
  });
  const off = clip.shown && clip.shown.off_frames ? [`the video lacks ${clip.shown.off_frames} of the ${clip.times_s.length} frames at their times: the nearest are shown`] : [];
  $("reasons").replaceChildren(...reasons, ...[...clip.notes, ...off].map((note) => make("p", "", note)));
}

function percent(frame) {
  const last = lastFrame();
  const step = last > 0 ? clip.times_s[last] / last : 1;
  return (100 * clip.times_s[Math.min(last, frame)]) / (clip.times_s[last] + step);
}

function drawTimeline() {
  rows = all.events.map((name, place) => {
    const node = make("div", "row");
    const label = make("button", "label");
    label.type = "button";
    const text = make("span", "text");
    text.append(make("span", `chip c${place % 8}`, String(place + 1)), all.arms[place] ? `${all.arms[place]}: ` : "", name);
    const small = make("small");
    label.append(text, small);
    label.title = name;
    label.addEventListener("click", () => { select(place); if (draft.events[place]) go(draft.events[place].end); });
    const track = make("div", "track");
    const [span, ghost, now] = [make("div", `span c${place % 8}`), make("div", "ghost"), make("div", "now")];
    const handles = Object.fromEntries(["start", "end"].map((edge) => [edge, handle(place, edge, track)]));
    track.append(curves(place), ghost, span, handles.start, handles.end, now);
    track.addEventListener("pointerdown", (event) => scrub(event, track));
    node.append(label, track);
    return { node, small, span, ghost, now, handles };
  });
  $("timeline").replaceChildren(...rows.map((row) => row.node), axis());
  const named = new Set(Object.values(clip.curves).flatMap((own) => Object.keys(own)));
  const legend = [...named].filter((source) => SOURCES[source] && named.size > 1).map((source) => {
    const item = make("i");
    const line = drawn("svg", { viewBox: "0 0 26 9" });
    line.append(drawn("path", { d: "M0 5H26", class: `curve ${source}` }));
    item.append(line, SOURCES[source]);
    return item;
  });
  if (named.size) legend.unshift(make("i", "", named.has("fused") ? "filled: all together" : "filled: the model"), make("i", "", "grey band: 80 % interval"));
  $("legend").replaceChildren(...legend);
}

// Probabilities under an event's handles, each source scaled to its own peak, over the clip's time.
function curves(place) {
  const svg = drawn("svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none" });
  for (const edge of ["start", "end"]) {
    const interval = clip.events[place][`${edge}_interval_s`];
    if (interval) {
      const [low, high] = interval.map((t) => percent(nearest(clip.times_s, t)));
      svg.append(drawn("rect", { x: low, y: 0, width: Math.max(0.3, high - low), height: 1, class: "interval" }));
    }
    const own = clip.curves[`${edge} ${place + 1}`] || {};
    const main = own.fused || own.model || own.signals || own.prior;
    for (const [source, values] of Object.entries(own)) {
      const path = trace(values);
      if (values === main) svg.append(drawn("path", { d: `M0 1${path}L100 1Z`, class: `curve main f${place % 8} ${edge === "start" ? "faint" : ""}` }));
      if (source !== "fused" && Object.keys(own).length > 1) svg.append(drawn("path", { d: `M0 1${path}`, class: `curve ${source} ${edge === "start" ? "of-start" : ""}` }));
    }
  }
  return svg;
}

function trace(values) {
  let path = "";
  values.forEach((value, i) => {
    if (value === values[i - 1] && value === values[i + 1]) return;
    path += `L${percent(i).toFixed(2)} ${(1 - value).toFixed(3)}`;
  });
  return path;
}

function frameAt(event, track) {
  const box = track.getBoundingClientRect();
  const last = lastFrame();
  const step = last > 0 ? clip.times_s[last] / last : 1;
  return nearest(clip.times_s, ((event.clientX - box.left) / box.width) * (clip.times_s[last] + step));
}

function drag(event, node, track, onMove, onEnd) {
  if (event.button !== 0) return;
  event.preventDefault();
  event.stopPropagation();
  node.setPointerCapture(event.pointerId);
  const move = (moved) => onMove(frameAt(moved, track));
  const end = () => { node.removeEventListener("pointermove", move); if (onEnd) onEnd(); };
  node.addEventListener("pointermove", move);
  node.addEventListener("pointerup", end, { once: true });
  node.addEventListener("pointercancel", end, { once: true });
}

function scrub(event, track) { go(frameAt(event, track)); drag(event, track, track, go); }

function handle(place, edge, track) {
  const node = make("div", `handle ${edge}`);
  node.title = `${edge} of ${all.events[place]}`;
  node.addEventListener("pointerdown", (event) => {
    select(place);
    const before = copy(draft.events);
    node.classList.add("held");
    go(draft.events[place][edge]);
    drag(event, node, track,
      (frame) => { set(place, edge, frame); go(frame); draw(); },
      () => { node.classList.remove("held"); change(() => {}, before); });
  });
  return node;
}

function axis() {
  const node = make("div", "scale");
  const length = clip.times_s[lastFrame()] || 1;
  const power = 10 ** Math.floor(Math.log10(length / 7));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= length / 7);
  for (let i = 0; i * step <= length; i += 1) {
    const tick = make("span", "", `${(i * step).toFixed(step < 0.1 ? 2 : step < 1 ? 1 : 0)}${i ? "" : " s"}`);
    tick.style.left = `${percent(nearest(clip.times_s, i * step))}%`;
    node.append(tick);
  }
  return node;
}

function select(place) { selected = place; draw(); }

function draw() {
  rows.forEach((row, place) => {
    const [event, found] = [draft.events[place], clip.found[place]];
    row.node.classList.toggle("chosen", place === selected);
    for (const part of [row.span, row.handles.start, row.handles.end]) part.hidden = !event;
    row.ghost.hidden = !found;
    if (found) lay(row.ghost, found);
    const sure = clip.events[place].confidence;
    const known = !same(event, found) ? "set by hand" : sure === null ? clip.events[place].source || "" : `${Math.round(100 * sure)} % sure`;
    row.small.textContent = event ? `${event.start} – ${event.end} · ${known}` : "not placed";
    if (!event) return;
    lay(row.span, event);
    row.handles.start.style.left = `${percent(event.start)}%`;
    row.handles.end.style.left = `${percent(event.end)}%`;
  });
  $("selected").replaceChildren(make("span", `chip c${selected % 8}`, String(selected + 1)), all.events[selected] || "");
  $("undo").disabled = !draft.past.length;
  $("redo").disabled = !draft.future.length;
  $("forget").hidden = !all.clips[at].saved;
  $("joined").checked = draft.joined;
  drawEntry(at);
  drawNow();
}

function lay(node, event) {
  const [a, b] = [percent(event.start), percent(event.end)];
  node.style.left = `${Math.min(a, b)}%`;
  node.style.width = `${Math.abs(b - a)}%`;
}

function drawNow() {
  if (!clip || lastFrame() < 0) { $("frame-number").textContent = "–"; $("frame-time").textContent = ""; return; }
  const frame = onScreen ?? screen.target;
  $("frame-number").textContent = `frame ${frame}`;
  $("frame-time").textContent = `of ${lastFrame()} · ${clip.times_s[frame].toFixed(3)} s`;
  $("frame-number").parentElement.classList.toggle("late", onScreen !== screen.target);
  for (const row of rows) row.now.style.left = `${percent(screen.target)}%`;
  $("play").textContent = screen.playing ? "Pause" : "Play";
}

function drawFaults() {
  $("faults").replaceChildren(...faults.map((fault) => make("li", fault.stops ? "stops" : "", fault.text)));
  $("accept").disabled = lastFrame() < 0 || faults.some((fault) => fault.stops);
  const wrong = new Set(faults.filter((fault) => fault.stops).flatMap((fault) => fault.events));
  rows.forEach((row, place) => row.node.classList.toggle("wrong", wrong.has(place)));
}

function drawList() {
  $("list").replaceChildren(...all.clips.map((one, place) => {
    const node = make("button");
    node.type = "button";
    node.append(make("span", "id", one.clip), make("span", "sure"), make("span", "marks", one.problem ? "without boundaries" : one.flags.join(", ")));
    node.addEventListener("click", () => open(place));
    return node;
  }));
  all.clips.forEach((_, place) => drawEntry(place));
  drawProgress();
}

// One entry of the list, which may be thousands long.
function drawEntry(place) {
  const [node, one] = [$("list").children[place], all.clips[place]];
  const edited = isEdited(place);
  node.className = `${one.saved ? "saved" : ""} ${edited ? "edited" : ""}`;
  const sure = one.confidence === null ? "" : `${Math.round(100 * one.confidence)} %`;
  node.children[1].textContent = edited ? "changed" : one.saved ? "✓" : sure;
  if (place !== at) node.removeAttribute("aria-current");
  else if (!node.hasAttribute("aria-current")) {
    node.setAttribute("aria-current", "true");
    node.scrollIntoView({ block: "nearest" });
  }
}

function drawProgress() {
  const done = all.clips.filter((one) => one.saved).length;
  $("progress").textContent = `${done} of ${all.clips.length} reviewed`;
}

// --- what can be done, by key or button -------------------------------------------------------

function boundary(step) {
  const frames = draft.events.filter(Boolean).flatMap((event) => [event.start, event.end]);
  const later = frames.filter((frame) => (step > 0 ? frame > screen.target : frame < screen.target));
  if (later.length) go(step > 0 ? Math.min(...later) : Math.max(...later));
}

const actions = {
  play: () => { if (screen.playing) screen.pause(); else screen.play(Number($("speed").value)); drawNow(); },
  back: () => go(screen.target - 1), forward: () => go(screen.target + 1),
  back10: () => go(screen.target - 10), forward10: () => go(screen.target + 10),
  start: () => change(() => set(selected, "start", screen.target)),
  end: () => change(() => set(selected, "end", screen.target)),
  remove: () => change(() => { draft.events[selected] = null; }),
  undo: () => turnBack(draft.past, draft.future), redo: () => turnBack(draft.future, draft.past),
  reset: () => change(() => { draft.events = copy(clip.found); }),
  accept: () => { if (!$("accept").disabled) accept(); }, forget,
  next: () => open(at + 1), previous: () => open(at - 1),
  up: () => select(Math.max(0, selected - 1)), down: () => select(Math.min(all.events.length - 1, selected + 1)),
  before: () => boundary(-1), after: () => boundary(1),
};
const KEYS = {
  " ": "play", "[": "start", "]": "end", i: "start", o: "end", n: "next", p: "previous", u: "undo", U: "redo",
  Enter: "accept", x: "remove", ArrowUp: "up", ArrowDown: "down", ",": "before", ".": "after",
};

document.addEventListener("keydown", (event) => {
  const bracket = event.key === "[" || event.key === "]"; // which some keyboards reach with AltGr
  if (event.target.matches("select") || !clip) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    actions[event.shiftKey ? "redo" : "undo"]();
    return;
  }
  if ((event.ctrlKey || event.metaKey || event.altKey) && !bracket) return;
  if (event.target.matches("button, summary, input") && (event.key === " " || event.key === "Enter")) return;
  let action = KEYS[event.key];
  if (event.key === "ArrowLeft") action = event.shiftKey ? "back10" : "back";
  if (event.key === "ArrowRight") action = event.shiftKey ? "forward10" : "forward";
  if (/^[1-9]$/.test(event.key) && all.events[event.key - 1]) { select(event.key - 1); return; }
  if (!action) return;
  event.preventDefault();
  actions[action]();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (event.detail) button.blur(); // so that space and enter mean what they say
  if (button.dataset.do && clip) actions[button.dataset.do]();
});
$("next").addEventListener("click", () => actions.next());
$("previous").addEventListener("click", () => actions.previous());
$("toggle-list").addEventListener("click", () => $("toggle-list").setAttribute("aria-expanded", String($("list").classList.toggle("open"))));
$("camera").addEventListener("change", () => open(at, $("camera").value));
$("camera").addEventListener("input", () => $("camera").blur());
$("speed").addEventListener("change", () => { $("speed").blur(); if (screen && screen.playing) { screen.pause(); actions.play(); } });
$("joined").addEventListener("change", () => { draft.joined = $("joined").checked; $("joined").blur(); });
$("screen").addEventListener("click", () => clip && actions.play());
window.addEventListener("beforeunload", (event) => { if ([...drafts.keys()].some(isEdited)) event.preventDefault(); });

safely(async () => {
  all = await ask("api/clips");
  $("title").textContent = all.title;
  document.title = `Review: ${all.title}`;
  drawList();
  const first = all.clips.findIndex((one) => !one.saved);
  await open(Math.max(0, first));
})();
