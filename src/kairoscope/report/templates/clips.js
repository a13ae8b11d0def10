// The list of clips: sorted, filtered, twenty at a time, each with its video, timeline and table.
// Every text goes in by textContent: names and answers come from files and models.
(() => {
  const data = JSON.parse(document.getElementById("clips-data").textContent);
  const PAGE = 20;
  const list = document.getElementById("clips");
  const controls = {
    search: document.getElementById("search"), sort: document.getElementById("sort"),
    scenario: document.getElementById("scenario"), status: document.getElementById("status"),
  };
  let shown = [];
  let page = 0;
  let watching = 0;

  const readable = (url) => { try { return decodeURIComponent(url); } catch { return url; } };

  function select() {
    const words = controls.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const scenario = controls.scenario.value;
    const status = controls.status.value;
    const order = data.orders[Number(controls.sort.value)];
    shown = data.clips.filter((clip) =>
      (!scenario || clip.scenario === scenario) &&
      (!status || clip.tags.some((tag) => tag.words === status)) &&
      words.every((word) => clip.search.includes(word)));
    if (order.key !== "place") {
      const value = (clip) => clip.sort[order.key];
      const sign = order.descending ? -1 : 1;
      shown.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === y) return a.place - b.place;
        if (x === null) return 1;
        if (y === null) return -1;
        return x < y ? -sign : sign;
      });
    }
    page = 0;
    draw();
  }

  function draw() {
    watching += 1;
    list.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(card));
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    document.getElementById("count").textContent = `${shown.length} of ${data.clips.length} ${data.what || "clips"}`;
    document.getElementById("page").textContent = `page ${page + 1} of ${pages}`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page >= pages - 1;
    document.getElementById("pager").hidden = pages === 1;
  }

  function turn(step) {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    const wanted = Math.min(pages - 1, Math.max(0, page + step));
    if (wanted === page) return;
    page = wanted;
    draw();
    document.getElementById("clips-title").scrollIntoView();
  }

  function card(clip) {
    const node = make("article", "clip");
    node.tabIndex = 0;
    node.clip = clip;
    node.setAttribute("aria-label", clip.id);
    const head = make("header", "clip-head");
    head.append(make("h3", "", clip.id));
    if (clip.where) head.append(make("span", "where", clip.where));
    for (const tag of clip.tags) head.append(make("span", `tag ${tag.kind}`, tag.words));
    if (clip.figure) head.append(make("span", "main-figure", clip.figure));
    const left = make("div");
    const right = make("div");
    node.append(head, left, right);
    node.video = player(clip, left);
    if (clip.lanes.length) {
      const mine = watching;
      const line = timeline(clip, node.video, () => mine === watching);
      node.seek = line.seek;
      right.append(line.node, table(clip, line.seek));
    } else if (clip.rows.length) right.append(table(clip, () => {}));
    for (const note of clip.notes) right.append(make("p", "note", note));
    if (clip.texts.length) node.append(answers(clip));
    return node;
  }

  function player(clip, place) {
    if (!clip.video) {
      place.append(make("div", "no-video", "no clip to play"));
      return null;
    }
    const video = make("video");
    video.controls = true;
    video.muted = true;
    video.playsInline = true;
    video.preload = "none";
    video.src = clip.video;
    video.addEventListener("error", () => {
      if (clip.elsewhere && video.getAttribute("src") !== clip.elsewhere) {
        video.src = clip.elsewhere;
        return;
      }
      const words = `No clip at ${readable(clip.video)} as seen from this page, or none that this browser can play.`;
      video.replaceWith(make("div", "no-video", words));
    });
    place.append(video);
    firstPictures.observe(video);
    return video;
  }

  // A clip in view may load its first picture, and no clip out of view loads anything.
  const firstPictures = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      entry.target.preload = "metadata";
      firstPictures.unobserve(entry.target);
    }
  });

  // Rows of [event, cell, ...]; a cell is text, or [text, seconds, class] for a time to go to.
  function table(clip, seek) {
    const node = make("table", data.words ? "words" : "");
    const head = make("thead");
    const names = make("tr");
    clip.columns.forEach((name, i) => names.append(make("th", i ? "num" : "", name)));
    head.append(names);
    const body = make("tbody");
    clip.rows.forEach(([event, ...cells], place) => {
      const why = (clip.reasons || [])[place];
      const row = make("tr", why ? "explained" : "");
      const name = make("th");
      name.append(make("span", `chip c${event % 8}`, String(event + 1)), clip.events[event]);
      row.append(name);
      cells.forEach((cell, i) => row.append(tableCell(cell, seek, clip.columns[i + 1])));
      body.append(row);
      if (!why) return;
      const reason = make("td", "", why);
      reason.colSpan = clip.columns.length;
      const below = make("tr", "why");
      below.append(reason);
      body.append(below);
    });
    node.append(head, body);
    const scroll = make("div", "scroll");
    scroll.append(node);
    return scroll;
  }

  // `name` stands before the cell where the window is too narrow for columns.
  function tableCell(cell, seek, name) {
    const [text, time, className] = Array.isArray(cell) ? cell : [cell];
    const node = make("td", `num ${className || ""}`);
    node.dataset.name = name || "";
    if (time === null || time === undefined) node.textContent = text;
    else {
      const button = make("button", "", text);
      button.type = "button";
      button.title = "show this moment";
      button.addEventListener("click", () => seek(time));
      node.append(button);
    }
    return node;
  }

  function answers(clip) {
    const node = make("details");
    node.open = Boolean(clip.open);
    node.append(make("summary", "", clip.texts.length > 1 ? `Answers as written (${clip.texts.length}${data.words ? "" : " trials"})` : "Answer as written"));
    for (const [name, text] of clip.texts) {
      if (name) node.append(make("p", "note", name));
      node.append(make("pre", "", text));
    }
    return node;
  }

  // --- keyboard ---------------------------------------------------------------------------

  function move(step) {
    const cards = [...list.children];
    const here = cards.findIndex((node) => node.contains(document.activeElement));
    const next = cards[here < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, here + step))];
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "center" });
  }

  function boundary(node, step) {
    const times = node.clip.lanes.flatMap((lane) => (lane.spans || []).flatMap((s) => [s[1], s[2]]));
    const now = node.seek.now();
    const later = times.filter((t) => (step > 0 ? t > now + 1e-3 : t < now - 1e-3));
    if (later.length) node.seek(step > 0 ? Math.min(...later) : Math.max(...later));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const node = document.activeElement && document.activeElement.closest(".clip");
    const inVideo = event.target.tagName === "VIDEO";
    const onButton = event.target.matches("button, summary");
    const keys = {
      "/": () => controls.search.focus(), "j": () => move(1), "k": () => move(-1),
      "n": () => turn(1), "p": () => turn(-1),
    };
    if (node && node.seek && !inVideo) {
      keys.ArrowRight = () => node.seek(node.seek.now() + (event.shiftKey ? 1 : data.step_s));
      keys.ArrowLeft = () => node.seek(node.seek.now() - (event.shiftKey ? 1 : data.step_s));
      keys["]"] = () => boundary(node, 1);
      keys["["] = () => boundary(node, -1);
    }
    if (node && node.video && !inVideo && !onButton) {
      keys[" "] = () => (node.video.paused ? node.video.play() : node.video.pause());
    }
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  data.orders.forEach((order, i) => controls.sort.append(new Option(order.name, String(i))));
  controls.scenario.append(new Option("all", ""), ...data.scenarios.map((name) => new Option(name, name)));
  controls.status.append(new Option("all", ""), ...data.statuses.map((name) => new Option(name, name)));
  controls.scenario.parentElement.hidden = data.scenarios.length < 2;
  controls.status.parentElement.hidden = data.statuses.length === 0;
  controls.search.addEventListener("input", select);
  for (const name of ["sort", "scenario", "status"]) controls[name].addEventListener("change", select);
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  select();
})();
