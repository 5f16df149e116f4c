// Keeps a page current: one stream of "something changed" per visible tab, else polling; and the same page is fetched
// again and its parts swapped. Without this script everything works; reload then.
(() => {
  "use strict";
  const doc = document, body = doc.body, $ = (selector) => doc.querySelector(selector);
  const STALE = +body.dataset.stale, POLL = +body.dataset.poll, STREAMS = 4;
  const up = body.dataset.up, live = $("#live"), banner = $("#stale"), pause = $("#pause"), say = $("#say");

  // ---- time: ages follow the server's clock, whatever this machine's says
  let skew = 0;
  const now = () => performance.now() + performance.timeOrigin - skew;
  const setClock = (iso) => { const at = Date.parse(iso); if (at) skew = performance.now() + performance.timeOrigin - at; };
  setClock($("#now")?.textContent.trim());
  const words = (ms) => {
    const seconds = Math.round(ms / 1000), size = Math.abs(seconds);
    const text = size < 120 ? size + " s" : size < 7200 ? Math.floor(size / 60) + " min"
      : size < 172800 ? Math.floor(size / 3600) + " h" : Math.floor(size / 86400) + " d";
    return seconds < 0 ? "in " + text : text + " ago";
  };
  const ages = (root) => root.querySelectorAll("time.ago").forEach((time) => {
    const text = words(now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  });
  const clock = (ms) => new Date(ms).toLocaleTimeString();

  // ---- what is said aloud: rarely, and only what matters
  let spoke = -1e9, queue = "";
  const announce = (text) => {
    queue = queue ? queue + " " + text : text;
    const wait = Math.max(0, spoke + 10000 - performance.now());
    setTimeout(() => { if (queue) { say.textContent = queue; queue = ""; spoke = performance.now(); } }, wait);
  };

  // ---- state
  let mode = "off", paused = false, refused = "", stream, pollTimer, helloTimer, retryTimer, back = 15000;
  let heard = performance.now(), heardAt = Date.now(), dead = false;
  const hear = () => { heard = performance.now(); heardAt = Date.now(); };
  const draw = () => {
    const age = Math.round((performance.now() - heard) / 1000);
    live.textContent = refused || (paused ? "Paused at " + clock(heardAt)
      : (mode === "stream" ? "Live" : mode === "poll" ? "Polling every " + POLL / 1000 + " s" : "Reconnecting") + " · heard " + age + " s ago");
    const stale = !paused && performance.now() - heard > STALE;
    if (stale !== dead) {
      dead = stale;
      banner.hidden = !stale;
      $("#since").textContent = clock(heardAt);
      body.classList.toggle("is-stale", stale);
      // Said at once, however recently something else was.
      spoke = -1e9;
      announce(stale ? "Connection lost. The statuses shown may be out of date." : "Connection restored.");
    }
    ages(doc);
  };

  // ---- the page again
  // What the server sent, without ages: what is in the page is changed by this script.
  const plain = (element) => element.outerHTML.replace(/(<time[^>]*>)[^<]*/g, "$1");
  const sources = new Map();
  const remember = (root) => root.querySelectorAll("[data-part], #rows > tr").forEach((e) => sources.set(e.id, plain(e)));
  remember(doc);
  let etag = "", asking = false, again = false, pending = null;

  async function refresh() {
    if (paused || doc.hidden) return;
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store", signal: AbortSignal.timeout(15000) });
      if (paused) return;
      if (answer.status === 401 || answer.status === 403 || answer.status === 421) return refuse(answer.status);
      if (answer.status === 200 || answer.status === 404 || answer.status === 410) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"), answer.status !== 200);
        etag = answer.headers.get("ETag") || "";
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      hear();
    } catch { if (mode !== "stream") mode = mode === "poll" ? "poll" : "off"; }
    finally {
      asking = false;
      draw();
      if (again) { again = false; later(); }
    }
  }
  let laterTimer;
  const later = () => { clearTimeout(laterTimer); laterTimer = setTimeout(refresh, 500); };
  const refuse = (status) => { stop(); refused = "Not permitted (" + status + ")"; draw(); };

  const replace = (old, fresh) => {
    const focus = old.contains(doc.activeElement) ? doc.activeElement : null;
    const path = focus && focus !== old && [...old.querySelectorAll("a, button, [tabindex]")].indexOf(focus);
    const turned = old.dataset.word !== fresh.dataset.word;
    const copy = doc.importNode(fresh, true);
    old.replaceWith(copy);
    sources.set(copy.id, plain(fresh));
    if (turned) copy.classList.add("turned");
    copyButtons(copy);
    ages(copy);
    if (path !== null && path >= 0) copy.querySelectorAll("a, button, [tabindex]")[path]?.focus({ preventScroll: true });
  };

  function swap(fresh, gone) {
    setClock(fresh.querySelector("#now")?.textContent.trim());
    const main = $("#main"), other = fresh.querySelector("#main");
    if (gone || !main.querySelector("#rows") !== !other.querySelector("#rows") || doc.title.split(" · ").length !== fresh.title.split(" · ").length) {
      // Another kind of page: the list became empty or was filled, or the endpoint is gone. Offered where somebody works in it.
      if (main.querySelector("#found, #rows-none, #state")?.contains(doc.activeElement)) { offer(fresh); return; }
      whole(fresh);
      return;
    }
    doc.title = fresh.title;
    body.dataset.v = fresh.body.dataset.v;
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = doc.getElementById(part.id);
      if (old && sources.get(part.id) !== plain(part)) replace(old, part);
    }
    rows(fresh);
  }

  // Rows are changed where they stand. When order or membership changed, the new order waits for a click.
  function rows(fresh) {
    const table = $("#rows");
    if (!table) return;
    const mine = [...table.children], theirs = [...fresh.querySelectorAll("#rows > tr")];
    const failing = [];
    for (const row of theirs) {
      const old = doc.getElementById(row.id);
      if (!old || sources.get(row.id) === plain(row)) continue;
      if (old.dataset.word !== row.dataset.word && row.dataset.word === "failing") failing.push(row.id);
      replace(old, row);
    }
    if (failing.length) announce(failing.length === 1 ? "1 endpoint began to fail." : failing.length + " endpoints began to fail.");
    const order = (list) => list.map((row) => row.id).join("\n");
    const moved = order(mine) !== order(theirs);
    offer(moved ? fresh : null);
  }
  const offer = (fresh) => { pending = fresh; const more = $("#more"); if (more) more.hidden = !fresh; else if (fresh) whole(fresh); };
  function whole(fresh) {
    const search = $("#q"), typed = search && doc.activeElement === search ? search.value : null;
    const inside = $("#main").contains(doc.activeElement);
    doc.title = fresh.title;
    body.dataset.v = fresh.body.dataset.v;
    const found = $("#found"), other = fresh.querySelector("#found");
    if (found && other && $("#sum") && fresh.querySelector("#sum")) {
      // The form stays as it is: somebody may be typing.
      found.replaceWith(doc.importNode(other, true));
      for (const part of fresh.querySelectorAll("[data-part]")) { const old = doc.getElementById(part.id); if (old) replace(old, part); }
    } else {
      const stale = [banner, $("#newer")];
      const copy = doc.importNode(fresh.querySelector("#main"), true);
      const main = $("#main");
      main.replaceChildren(...stale.filter((e) => e && main.contains(e)), ...[...copy.childNodes].filter((n) => n.id !== "stale" && n.id !== "newer"));
    }
    sources.clear();
    remember(fresh);
    pending = null;
    wire(doc);
    if (inside && doc.activeElement === body) $("#main").focus({ preventScroll: true });
    if (typed !== null && $("#q")) { $("#q").value = typed; $("#q").focus(); }
  }

  // ---- streams: a browser opens six connections to an origin, and each stream keeps one. At most four tabs stream.
  const channel = window.BroadcastChannel && new BroadcastChannel("configurable-agents-live");
  const me = Math.random().toString(36).slice(2);
  // Who holds a place since when, as far as told; of too many the latest go.
  const others = new Map();
  let since = 0;
  const crowded = () => [...others].filter(([id, at]) => at < since || (at === since && id < me)).length >= STREAMS;
  if (channel) channel.onmessage = ({ data }) => {
    if (data.say === "hold") {
      others.set(data.id, data.at);
      if (since && !data.answer) channel.postMessage({ say: "hold", at: since, id: me, answer: true });
      if (since && stream && crowded()) { stream.close(); stream = null; poll(); }
    } else if (data.say === "free" && mode === "poll" && !paused && !doc.hidden) {
      clearTimeout(retryTimer);
      retryTimer = setTimeout(start, Math.random() * 2000);
    }
  };

  // Places are counted by the browser itself where it has locks (on https and on localhost), else by asking around.
  const locked = (place = 0) => new Promise((got) => {
    if (place === STREAMS) return got(null);
    navigator.locks.request("configurable-agents-live-" + place, { ifAvailable: true },
      (lock) => lock ? new Promise((giveBack) => got(giveBack)) : got(locked(place + 1))).catch(() => got(null));
  });
  const voted = () => new Promise((got) => {
    if (!channel) return got(() => {});
    others.clear();
    since = Date.now();
    channel.postMessage({ say: "hold", at: since, id: me });
    setTimeout(() => got(since && !crowded() ? () => {} : null), 200);
  });
  let asked = 0, giveBack = null;

  function start() {
    stop();
    if (paused || doc.hidden || refused) return;
    if (!window.EventSource) return poll();
    const mine = asked;
    (navigator.locks ? locked() : voted()).then((place) => {
      // Stopped, or started anew, while it was asked for.
      if (mine !== asked) return place?.();
      giveBack = place;
      if (place) open(); else poll();
    });
  }
  function open() {
    stream = new EventSource(new URL(up + "events", location.href));
    // A proxy that collects, or too many connections: no word within 5 s.
    helloTimer = setTimeout(poll, 5000);
    stream.addEventListener("hello", (event) => {
      const data = told(event);
      clearTimeout(helloTimer);
      mode = "stream";
      back = 15000;
      if (data.build !== body.dataset.build) $("#newer").hidden = false;
      if (String(data.v) !== body.dataset.v) refresh();
      draw();
    });
    stream.addEventListener("tick", (event) => {
      const data = told(event), keys = data.keys || [];
      const sum = $("#sum"), shown = (key) => doc.getElementById("r-" + key) || decodeURIComponent(location.pathname).endsWith("/endpoints/" + key);
      const counts = sum && [...sum.querySelectorAll("a[data-count]")].slice(1).some((chip) => {
        const word = chip.textContent.trim().split(" ").pop();
        return data.counts && String(data.counts[word]) !== chip.dataset.count;
      });
      if (!keys.length || counts || !sum || keys.some(shown)) later();
      draw();
    });
    stream.addEventListener("beat", (event) => { told(event); draw(); });
    stream.onerror = () => {
      const closed = stream?.readyState === 2;
      mode = "off";
      draw();
      // An event source hides status and body: one plain request finds out.
      if (closed) poll(); else refresh();
    };
  }
  let stuck = false;
  function told(event) {
    hear();
    const data = JSON.parse(event.data);
    setClock(data.now);
    // The page's own banner says it; the stream only notices that it is due or over.
    if (!!data.stuck_since !== stuck) { stuck = !!data.stuck_since; later(); }
    return data;
  }
  function poll() {
    close();
    mode = "poll";
    refresh();
    clearInterval(pollTimer);
    pollTimer = setInterval(refresh, POLL);
    clearTimeout(retryTimer);
    back = Math.min(back * 2, 120000);
    retryTimer = setTimeout(start, back);
  }
  function close() {
    clearTimeout(helloTimer);
    const place = giveBack;
    giveBack = null;
    since = 0;
    if (stream) stream.close();
    place?.();
    if (stream) channel?.postMessage({ say: "free" });
    stream = null;
  }
  function stop() {
    asked++;
    since = 0;
    clearInterval(pollTimer);
    clearTimeout(retryTimer);
    clearTimeout(laterTimer);
    close();
  }

  // ---- buttons and keys
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume updates" : "Pause updates";
    if (paused) stop(); else { mode = "off"; refresh(); start(); }
    draw();
  });
  $("#reload").addEventListener("click", () => location.reload());
  async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = doc.createElement("textarea");
    area.value = text;
    body.append(area);
    area.select();
    const done = doc.execCommand("copy");
    area.remove();
    if (!done) throw new Error();
  }
  function copyButtons(root) {
    root.querySelectorAll("[data-copy]").forEach((code) => {
      if (code.nextElementSibling) return;
      const button = doc.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy: " + code.textContent);
      button.addEventListener("click", async () => {
        try { await copy(code.textContent); button.textContent = "Copied"; announce("Copied."); } catch { button.textContent = "Not copied"; }
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      code.after(button);
    });
  }
  function wire(root) {
    copyButtons(root);
    root.querySelector("#more button")?.addEventListener("click", () => { if (pending) whole(pending); $("#rows")?.closest("table").querySelector("a")?.focus({ preventScroll: true }); });
  }
  wire(doc);
  const setting = (value) => { try { if (value !== undefined) localStorage.setItem("slash", value); return localStorage.getItem("slash"); } catch { return null; } };
  const slash = $("#slash");
  if (slash) {
    $("#keys").hidden = false;
    slash.checked = setting() !== "off";
    slash.addEventListener("change", () => setting(slash.checked ? "on" : "off"));
  }
  doc.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || setting() === "off") return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || !$("#q")) return;
    event.preventDefault();
    $("#q").focus();
  });
  doc.addEventListener("visibilitychange", () => { if (doc.hidden) stop(); else if (!paused) { refresh(); start(); } });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) { refresh(); start(); } });

  setInterval(draw, 1000);
  start();
  draw();
})();
