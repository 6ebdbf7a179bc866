
"use strict";
// SPDX-License-Identifier: MPL-2.0
// The dashboard of riposte-broker. What it shows comes from the broker as JSON; texts become text nodes only, so that
// no name of a peer is ever read as HTML. Everything that is kept is bounded: the last minute of each service that
// is there, 500 events, one service that is open.
(function () {

const PERIOD_MS = 1000;      // between two samples of a history
const POLL_MS = 500;         // between two answers, where there is no stream
const PATIENCE_MS = 3000;    // for an answer
const MINUTE = 60;           // samples of a history
const EVENTS_MAX = 500;
const STREAM_MAX = 8 << 20;  // characters of one message of /events
const JOBS_SHOWN = 50;       // of a list
const BODY_SHOWN = 2000;     // bytes
const TOKEN = "riposte-token";

const id = name => document.getElementById(name);

// ---- Elements -----------------------------------------------------------------------------------

// Makes an element; members of what are attributes, and children texts or elements.
function make(name, what, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(what || {}))
    if (value !== null && value !== undefined && value !== false)
      one.setAttribute(key, value === true ? "" : value);
  one.append(...children.filter(child => child !== null && child !== undefined));
  return one;
}

function draw(name, what, ...children) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(what || {}))
    one.setAttribute(key, value);
  one.append(...children);
  return one;
}

function set(node, text) {
  if (node.textContent !== text)
    node.textContent = text;
}

function setData(node, name, value) {
  if (node.dataset[name] !== String(value))
    node.dataset[name] = value;
}

function button(text, act, what) {
  const one = make("button", {type: "button", ...what}, text);
  one.addEventListener("click", act);
  return one;
}

// ---- Numbers, as the broker writes them (common/base/units) --------------------------------------

function tenths(value, unit, name) {
  const rounded = Math.round(value / unit * 10);
  if (rounded >= 1000)
    return Math.round(value / unit) + " " + name;
  return (rounded % 10 ? (rounded / 10).toFixed(1) : String(rounded / 10)) + " " + name;
}

function time(us) {
  if (!(us > 0))
    return "0 µs";
  if (us < 1000)
    return tenths(us, 1, "µs");
  if (us < 999500)
    return tenths(us, 1000, "ms");
  if (us < 59950000)
    return tenths(us, 1000000, "s");
  const seconds = Math.round(us / 1000000);
  const hours = seconds >= 3600;
  const large = Math.floor(seconds / (hours ? 3600 : 60));
  const small = hours ? Math.floor(seconds % 3600 / 60) : seconds % 60;
  return large + (hours ? " h" : " m") + (small ? " " + small + (hours ? " m" : " s") : "");
}

const count = value => String(Math.round(value || 0)).replace(/\B(?=(\d{3})+$)/g, ",");

function rate(value) {
  const rounded = Math.round((value || 0) * 10);
  return (rounded < 100 && rounded % 10 ? (rounded / 10).toFixed(1) : count(value)) + "/s";
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1000 && at + 1 < units.length) {
    value /= 1024;
    at++;
  }
  return tenths(value, 1, units[at]);
}

const orDash = us => us ? time(us) : "–";

// ---- What is known ------------------------------------------------------------------------------

const state = {
  overview: null,
  seen: 0,            // when the last answer came, ms
  lost: null,         // since when there is none, ms
  sort: "worst",
  falling: true,
  view: "services",
  open: null,         // the name of the service that is open
  histories: new Map(),
  whole: null,        // the history of all services
  sampled: 0,
  streams: true,      // /events may be there
};

// The last minute of some numbers. A ring: nothing grows.
function History() {
  this.at = 0;
  this.length = 0;
  this.values = {rate: new Float64Array(MINUTE), waiting: new Float64Array(MINUTE), failed: new Float64Array(MINUTE)};
  this.requests = -1;
  this.time = 0;
}

History.prototype.add = function (requests, waiting, failed, now) {
  const passed = (now - this.time) / 1000;
  const known = this.requests >= 0 && passed > 0 && requests >= this.requests;
  this.values.rate[this.at] = known ? (requests - this.requests) / passed : 0;
  this.values.waiting[this.at] = waiting;
  this.values.failed[this.at] = failed;
  this.requests = requests;
  this.time = now;
  this.at = (this.at + 1) % MINUTE;
  this.length = Math.min(this.length + 1, MINUTE);
};

// The value so many samples ago, 0 being the latest.
History.prototype.ago = function (name, samples) {
  return this.values[name][(this.at - 1 - samples + 2 * MINUTE) % MINUTE];
};

History.prototype.failedLately = function () {
  return this.length ? this.ago("failed", 0) - this.ago("failed", this.length - 1) : 0;
};

// The curve and the area below it, in a box of 60 by 16.
History.prototype.paths = function (name) {
  let most = 1e-9;
  for (let index = 0; index < this.length; index++)
    most = Math.max(most, this.ago(name, index));
  let line = "";
  for (let index = this.length - 1; index >= 0; index--)
    line += (line ? "L" : "M") + (59.5 - index) + " " + (15.2 - 14 * this.ago(name, index) / most).toFixed(1);
  return most > 1e-9 ? [line, line + "L59.5 16L" + (60.5 - this.length) + " 16Z"] : ["", ""];
};

function spark(kind) {
  return draw("svg", {"class": "spark " + kind, viewBox: "0 0 60 16", preserveAspectRatio: "none", "aria-hidden": "true"},
    draw("path", {"class": "area"}), draw("path", {}));
}

function setSpark(svg, history, name) {
  const [line, area] = history.paths(name);
  svg.firstChild.setAttribute("d", area);
  svg.lastChild.setAttribute("d", line);
}

function sample(overview, now) {
  if (now - state.sampled < PERIOD_MS * 0.8)
    return;
  state.sampled = now;
  const there = new Set();
  let requests = 0, failed = 0;
  for (const service of overview.services) {
    there.add(service.name);
    if (!state.histories.has(service.name))
      state.histories.set(service.name, new History());
    state.histories.get(service.name).add(service.requests, service.waiting, service.failed, now);
    requests += service.requests;
    failed += service.failed;
  }
  for (const name of state.histories.keys())
    if (!there.has(name))
      state.histories.delete(name);
  state.whole.add(requests, overview.waiting, failed, now);
}

// ---- Asking -------------------------------------------------------------------------------------

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? {...more, Authorization: "Bearer " + token} : {...more};
}

// Asks for an object. Throws if the broker does not answer. {status, data}: data is null, and text the reason, if
// the status is not 200. change: an object, sent with POST, by which something is changed.
async function ask(path, change) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  const more = change ? {method: "POST", headers: headers({"Content-Type": "application/json"}), body: JSON.stringify(change)}
    : {headers: headers()};
  try {
    const answer = await fetch(path, {...more, signal: stop.signal, cache: "no-store", redirect: "error"});
    if (answer.ok)
      return {status: 200, data: await answer.json(), text: ""};
    return {status: answer.status, data: null, text: await answer.text()};
  } finally {
    clearTimeout(timer);
  }
}

const pause = ms => new Promise(done => setTimeout(done, ms));

let wake = null; // ends a pause that waits for a person

function waitForPerson() {
  return new Promise(done => { wake = done; });
}

function goOn() {
  if (wake)
    wake();
  wake = null;
}

async function hear() {
  const answer = await ask("/api/overview");
  if (answer.status === 401 || answer.status === 403) {
    await askForToken(answer);
    return;
  }
  if (!answer.data)
    throw new Error(answer.text);
  take(answer.data);
}

// Reads /events until it ends, or nobody looks at the page. False if this broker has none.
async function listen() {
  const stop = new AbortController();
  let heard = Date.now(), asking = false;
  const watch = setInterval(async () => {
    if (asking || Date.now() - heard < 2 * PERIOD_MS)
      return;
    asking = true;
    try { // it says nothing while nothing changes: is it there?
      await hear();
    } catch (reason) {
      stop.abort();
    }
    asking = false;
  }, PERIOD_MS);
  const leave = () => document.hidden && stop.abort();
  document.addEventListener("visibilitychange", leave);
  try {
    const answer = await fetch("/events", {headers: headers({Accept: "text/event-stream"}), signal: stop.signal,
      cache: "no-store", redirect: "error"});
    const type = answer.headers.get("Content-Type") || "";
    if (!answer.ok || !type.startsWith("text/event-stream")) {
      stop.abort();
      return answer.status === 401 || answer.status === 403;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const {done, value} = await reader.read();
      if (done)
        throw new Error("the stream has ended");
      heard = Date.now();
      text += value;
      if (text.length > STREAM_MAX)
        throw new Error("a message is too long");
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        hearMessage(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  } catch (reason) {
    if (document.hidden)
      return true;
    throw reason;
  } finally {
    clearInterval(watch);
    document.removeEventListener("visibilitychange", leave);
  }
}

function hearMessage(block) {
  let kind = "", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event:"))
      kind = line.slice(6).trim();
    else if (line.startsWith("data:"))
      data += line.slice(5);
  }
  if (kind === "overview")
    take(JSON.parse(data));
}

async function run() {
  for (;;) {
    try {
      await hear();
      if (state.streams && state.overview && !document.hidden && await listen() === false)
        state.streams = false;
      await pause(POLL_MS);
    } catch (reason) {
      lose();
      await pause(PERIOD_MS);
    }
    if (document.hidden)
      await waitForPerson();
  }
}

function take(overview) {
  const before = state.overview;
  if (!before || before.instance !== overview.instance) { // another broker, or this one was started again
    state.histories.clear();
    state.whole = new History();
    state.sampled = 0;
    state.streams = true;
    events.clear();
    opened.clear();
    settings.asked = false;
  }
  state.overview = overview;
  state.seen = Date.now();
  state.lost = null;
  sample(overview, state.seen);
  show();
  refresh();
}

function lose() {
  if (!state.lost)
    state.lost = Date.now();
  showLink();
  showSentence();
}

// ---- Token --------------------------------------------------------------------------------------

async function askForToken(answer) {
  state.overview = null;
  state.lost = null;
  document.body.classList.add("closed");
  id("door").hidden = false;
  id("tabs").hidden = id("sums").hidden = true;
  for (const view of VIEWS)
    id("view-" + view).hidden = true;
  id("found").hidden = true;
  set(id("broker"), "");
  setData(id("sentence"), "state", "");
  set(id("sentence"), "A token is wanted to see this broker.");
  const tried = sessionStorage.getItem(TOKEN);
  set(id("door-why"), tried ? (answer.status === 403 ? "The principal of this token may not observe." : "This token is not known here.") : "");
  showLink();
  await waitForPerson();
}

function openDoor(event) {
  event.preventDefault();
  const token = id("token").value.trim();
  id("token").value = "";
  if (!/^[\x21-\x7e]+$/.test(token)) {
    set(id("door-why"), "A token is 64 hexadecimal digits.");
    return;
  }
  sessionStorage.setItem(TOKEN, token);
  goOn();
}

function forget() {
  sessionStorage.removeItem(TOKEN);
  location.reload();
}

// ---- The top ------------------------------------------------------------------------------------

function showLink() {
  const link = id("link");
  link.hidden = false;
  id("forget").hidden = !sessionStorage.getItem(TOKEN);
  document.body.classList.toggle("lost", !!state.lost);
  setData(link, "state", state.lost ? "lost" : state.overview ? "live" : "");
  set(link, state.lost ? "not connected" : state.overview ? "live" : "closed");
}

function showSentence() {
  const sentence = id("sentence");
  if (state.lost) {
    setData(sentence, "state", "bad");
    const seen = state.seen ? " Last seen " + time((Date.now() - state.seen) * 1000) + " ago." : "";
    set(sentence, "Not connected: the broker at " + location.host + " does not answer." + seen);
    say("Not connected");
  } else if (state.overview) {
    setData(sentence, "state", state.overview.state);
    set(sentence, state.overview.text);
    const worst = state.overview.services[0];
    say(state.overview.state === "ok" ? "All is well" : worst && worst.state !== "ok" ? worst.name + " does not do well" : "The broker drains");
  }
  document.title = (state.lost ? "Not connected" : state.overview ? state.overview.text : "Closed") + " – Riposte";
}

// For those who listen to the page: only what changed in kind, not each number.
function say(text) {
  set(id("said"), text);
}

const SUMS = [
  ["Requests", all => [rate(all.rate_per_s)], "rate"],
  ["Waiting", all => [count(all.waiting)], "waiting"],
  ["Running", all => [count(all.running)]],
  ["p50, p99", all => [orDash(all.p50_us), orDash(all.p99_us)]],
  ["Workers", all => [count(all.workers)]],
  ["Clients", all => [count(all.clients), all.conversations ? count(all.conversations) + " conversations" : ""]],
  ["Memory", all => [bytes(all.open_bytes + all.backlog_bytes), "of " + bytes(all.memory_limit_bytes)]],
];

function showSums() {
  const list = id("sums");
  if (!list.firstChild)
    for (const [title, , curve] of SUMS)
      list.append(make("div", {}, make("dt", {}, title), make("dd", {}, make("span"), " ", make("small")),
        curve ? make("dd", {"aria-hidden": "true"}, spark(curve)) : null));
  list.hidden = false;
  SUMS.forEach(([, values, curve], index) => {
    const part = list.children[index];
    const [value, more] = values(state.overview);
    set(part.querySelector("span"), value);
    set(part.querySelector("small"), more || "");
    if (curve)
      setSpark(part.querySelector("svg"), state.whole, curve);
  });
}

function showBroker() {
  const all = state.overview;
  const parts = [all.version, all.endpoints[0], "up " + time(all.uptime_us), all.security ? "secured" : ""];
  set(id("broker"), parts.filter(part => part).join(" · "));
}

// ---- Services -----------------------------------------------------------------------------------

const rows = new Map(); // by name
let detail = null;      // the row below the one that is open

function cell(kind, label) {
  return make("td", {"class": kind, "data-label": label, role: "cell"});
}

function Row(name) {
  this.name = name;
  this.toggle = button("", () => openService(state.open === name ? null : name),
    {"aria-expanded": "false", "aria-controls": "detail"});
  this.toggle.append(make("bdi", {}, name));
  this.causes = make("span", {"class": "causes"});
  this.cells = {};
  this.texts = {};
  this.tr = make("tr", {role: "row", "data-name": name},
    make("th", {scope: "row", role: "rowheader", "class": "name"}, make("span", {"class": "dot"}), this.toggle, this.causes));
  for (const [key, label] of [["rate", "Rate"], ["p50_us", "p50"], ["p99_us", "p99"], ["waiting", "Waiting"], ["oldest_us", "Oldest"],
    ["running", "Running"], ["workers", "Workers"], ["failed", "Failed"]]) {
    const one = cell(key, label);
    this.texts[key] = make("span");
    this.cells[key] = one;
    one.append(this.texts[key]);
    this.tr.append(one);
  }
  this.rateSpark = spark("rate");
  this.cells.rate.prepend(this.rateSpark);
  this.waitingSpark = spark("waiting");
  this.cells.waiting.prepend(this.waitingSpark);
  this.crew = draw("svg", {"class": "crew", viewBox: "0 0 64 8", preserveAspectRatio: "none", "aria-hidden": "true"});
  for (const kind of CREW)
    this.crew.append(draw("rect", {"class": kind, height: "8", rx: "1"}));
  this.cells.workers.prepend(this.crew);
  this.more = make("small");
  this.crewText = make("span", {"class": "unseen"});
  this.cells.workers.append(this.crewText, this.more);
  this.lately = make("span", {"class": "lately"});
  this.cells.failed.append(this.lately);
  this.tr.addEventListener("click", event => {
    if (!event.target.closest("button, a") && !getSelection().toString())
      this.toggle.click();
  });
}

const CREW = ["busy", "idle", "draining", "closed"];

Row.prototype.set = function (service) {
  const history = state.histories.get(this.name);
  const value = (key, number, text) => {
    setData(this.cells[key], "value", number);
    set(this.texts[key], text);
  };
  setData(this.tr, "state", service.state);
  value("rate", service.rate_per_s, rate(service.rate_per_s));
  value("p50_us", service.p50_us, orDash(service.p50_us));
  value("p99_us", service.p99_us, orDash(service.p99_us));
  value("waiting", service.waiting, count(service.waiting));
  value("oldest_us", service.oldest_us, orDash(service.oldest_us));
  value("running", service.running, count(service.running));
  value("workers", service.workers, count(service.workers));
  value("failed", service.failed, count(service.failed));
  set(this.crewText, crewText(service, ["idle", "busy"]));
  set(this.more, crewText(service, ["draining", "closed"]));
  this.cells.workers.title = crewText(service, CREW);
  this.setCrew(service);
  const lately = history ? history.failedLately() : 0;
  set(this.lately, lately > 0 ? "+" + count(lately) : "");
  setData(this.cells.failed, "lately", lately > 0 ? "yes" : "no");
  if (lately > 0)
    this.cells.failed.title = count(lately) + " in the last minute";
  if (history) {
    setSpark(this.rateSpark, history, "rate");
    setSpark(this.waitingSpark, history, "waiting");
  }
  this.setCauses(service.causes.filter(cause => cause.state !== "ok"));
};

const CREW_WORDS = {busy: "busy", idle: "idle", draining: "leaving", closed: "unready"};

// "1 idle, 3 busy", of these kinds those that there are.
const crewText = (service, kinds) => kinds.filter(kind => service[kind]).map(kind => count(service[kind]) + " " + CREW_WORDS[kind]).join(", ");

Row.prototype.setCrew = function (service) {
  let at = 0;
  CREW.forEach((kind, index) => {
    const width = service.workers ? 64 * service[kind] / service.workers : 0;
    this.crew.children[index].setAttribute("x", at.toFixed(1));
    this.crew.children[index].setAttribute("width", width > 0 ? Math.max(width - 1, 1).toFixed(1) : "0");
    at += width;
  });
};

Row.prototype.setCauses = function (causes) {
  while (this.causes.children.length > causes.length)
    this.causes.lastChild.remove();
  causes.forEach((cause, index) => {
    if (!this.causes.children[index])
      this.causes.append(make("span", {"class": "cause"}));
    setData(this.causes.children[index], "state", cause.state);
    set(this.causes.children[index], cause.text);
  });
};

function sorted() {
  const services = state.overview.services.slice();
  if (state.sort === "worst")
    return services; // in the broker's order
  const sign = state.falling ? -1 : 1;
  return services.sort((one, other) => {
    const left = one[state.sort], right = other[state.sort];
    return left === right ? (one.name < other.name ? -1 : 1) : left < right ? -sign : sign;
  });
}

function showServices() {
  const list = sorted();
  const body = id("rows");
  const there = new Set(list.map(service => service.name));
  for (const [name, row] of rows)
    if (!there.has(name)) {
      row.tr.remove();
      rows.delete(name);
    }
  for (const stray of [...body.children])
    if (!stray.dataset.name && stray !== detail)
      stray.remove(); // what was read without JavaScript
  if (detail && !there.has(state.open)) {
    detail.remove();
    detail = null;
  }
  if (!detail && there.has(state.open)) {
    detail = makeDetail(state.open);
    opened.clear();
  }
  const focused = document.activeElement; // a row that moves loses it
  let next = body.firstChild;
  for (const service of list) {
    let row = rows.get(service.name);
    if (!row)
      rows.set(service.name, row = new Row(service.name));
    row.set(service);
    if (row.tr !== next)
      body.insertBefore(row.tr, next);
    else
      next = next.nextSibling;
    const open = service.name === state.open;
    row.tr.classList.toggle("open", open);
    row.toggle.setAttribute("aria-expanded", String(open));
    if (open && detail) {
      if (detail !== next)
        body.insertBefore(detail, next);
      else
        next = next.nextSibling;
    }
  }
  if (focused !== document.activeElement && body.contains(focused))
    focused.focus({preventScroll: true});
  const note = id("services-note");
  const left = state.overview.services_left_out;
  note.hidden = list.length > 0 && !left;
  set(note, left ? "… and " + count(left) + " more, which do better." : "No worker has come yet. Try:  riposte-worker upper -- tr a-z A-Z");
}

function sortBy(key) {
  const names = key === "name";
  if (state.sort !== key) {
    state.sort = key;
    state.falling = !names;
  } else if (state.falling !== names)
    state.falling = !state.falling;
  else
    state.sort = "worst";
  showSort();
  if (state.overview)
    showServices();
}

function showSort() {
  for (const head of document.querySelectorAll("#services > thead th")) {
    if (head.dataset.key === state.sort)
      head.setAttribute("aria-sort", state.falling ? "descending" : "ascending");
    else
      head.removeAttribute("aria-sort");
  }
}

// ---- One service --------------------------------------------------------------------------------

const opened = {
  bars: [],      // the last minute of its histogram: {at, bars}
  whole: false,  // since the start, not the last minute
  asked: 0,
  last: null,    // the latest answer
  clear() {
    this.bars = [];
    this.asked = 0;
    this.last = null;
  },
};

function openService(name) {
  location.hash = name === null ? "#services" : "#service/" + encodeURIComponent(name);
}

function setOpen(name) {
  if (state.open === name)
    return;
  state.open = name;
  opened.clear();
  if (detail)
    detail.remove();
  detail = null;
  if (state.overview) {
    showServices();
    refresh();
  }
}

function makeDetail(name) {
  const part = (kind, title, more) => make("section", {"class": kind, "aria-label": title},
    make("h3", {}, title, more), make("div", {"class": "body"}));
  const choice = make("span", {"class": "choice"});
  for (const [text, whole] of [["last minute", false], ["since the start", true]])
    choice.append(button(text, () => {
      opened.whole = whole;
      showChart();
    }, {"data-whole": String(whole)}));
  return make("tr", {"class": "detail", id: "detail", role: "row"},
    make("td", {colspan: "9", role: "cell"}, make("div", {"class": "parts", role: "region", "aria-label": "Service " + name},
      part("chart-part", "Time in the queue, time at the worker", choice),
      part("workers-part", "Workers"),
      part("failed-part all", "Recent failures"),
      part("slow-part all", "Slowest of late"))));
}

const inDetail = kind => detail.querySelector("." + kind + " .body");

async function refreshService() {
  const now = Date.now();
  if (!detail || now - opened.asked < PERIOD_MS * 0.8)
    return;
  const first = !opened.asked;
  opened.asked = now;
  const name = state.open;
  const query = encodeURIComponent(name);
  const answer = await ask("/api/service?name=" + query);
  if (!detail || state.open !== name)
    return;
  if (answer.data)
    showService(answer.data);
  if (!first && Math.floor(now / 3000) === Math.floor((now - PERIOD_MS) / 3000))
    return;
  const failed = await ask("/api/slow?failed=true&most=5&service=" + query);
  const slow = await ask("/api/slow?most=5&service=" + query);
  if (!detail || state.open !== name)
    return;
  showTraces(inDetail("failed-part"), failed, "None.");
  showTraces(inDetail("slow-part"), slow, "None has been kept.");
}

function showService(service) {
  opened.last = service;
  opened.bars.push({bars: service.bars});
  if (opened.bars.length > MINUTE)
    opened.bars.shift();
  showChart();
  showWorkers(service);
}

// What the bars have more than a minute ago.
function lately() {
  const before = new Map(opened.bars[0].bars.map(([at, queue, work]) => [at, [queue, work]]));
  return opened.last.bars.map(([at, queue, work]) => {
    const [less, least] = before.get(at) || [0, 0];
    return [at, queue - less, work - least];
  });
}

function trim(bars) {
  const some = bars.map(([, queue, work]) => queue + work > 0);
  return bars.slice(Math.max(some.indexOf(true), 0), some.lastIndexOf(true) + 1);
}

// Two histograms over one axis of time, which is logarithmic: the queue above, the worker below, each as tall as it
// may be.
function showChart() {
  const service = opened.last;
  if (!service)
    return;
  const body = inDetail("chart-part");
  const bars = opened.whole ? trim(service.bars) : trim(lately());
  for (const one of detail.querySelectorAll(".choice button"))
    one.setAttribute("aria-pressed", String((one.dataset.whole === "true") === opened.whole));
  if (!bars.length) {
    body.replaceChildren(make("p", {"class": "faint"}, opened.whole || !service.bars.length ? "No request has ended yet." : "No request has ended while this was open."));
    return;
  }
  const width = Math.max(body.clientWidth, 260), height = 168, middle = 84;
  const most = {queue: Math.max(...bars.map(bar => bar[1])), work: Math.max(...bars.map(bar => bar[2]))};
  const ticks = [];
  const decades = Math.log10((bars[bars.length - 1][0] + 1) / (bars[0][0] + 1));
  for (let unit = 10; unit < 1e9; unit *= 10)
    ticks.push(...(decades < 2 ? [unit, 2 * unit, 5 * unit] : [unit]));
  const step = Math.min((width - 8) / bars.length, 24);
  const from = (width - step * bars.length) / 2;
  const chart = draw("svg", {"class": "chart", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Requests by time: in the queue p50 ${time(service.queue_p50_us)}, p99 ${time(service.queue_p99_us)}; at the worker p50 ${time(service.work_p50_us)}, p99 ${time(service.work_p99_us)}`});
  bars.forEach(([at, queue, work], index) => {
    const x = from + index * step;
    const next = index + 1 < bars.length ? bars[index + 1][0] : at * 1.2;
    for (const unit of ticks)
      if (at <= unit && unit < next) {
        const tick = x + step * (unit - at) / Math.max(next - at, 1);
        chart.append(draw("line", {x1: tick, x2: tick, y1: 0, y2: height}));
        const right = tick > width - 44;
        chart.append(draw("text", {x: tick + (right ? -3 : 3), y: height - 3, "text-anchor": right ? "end" : "start"}, time(unit)));
      }
    for (const [kind, value, label] of [["queue", queue, "waited"], ["work", work, "worked on for"]]) {
      if (!value)
        continue;
      const tall = Math.max(1.5, (middle - 16) * value / most[kind]);
      const bar = draw("rect", {"class": kind, x: (x + step * 0.08).toFixed(2), width: (step * 0.84).toFixed(2),
        y: (kind === "queue" ? middle - 0.5 - tall : middle + 0.5).toFixed(2), height: tall.toFixed(2), rx: 1});
      bar.append(draw("title", {}, `${count(value)} ${label} ${time(at)} to ${time(next)}`));
      chart.append(bar);
    }
  });
  chart.append(draw("line", {"class": "axis", x1: 0, x2: width, y1: middle, y2: middle}));
  const key = (kind, text, p50, p99) => make("span", {"class": kind}, make("i"), text + " p50 ", make("b", {}, time(p50)), ", p99 ", make("b", {}, time(p99)));
  body.replaceChildren(chart, make("p", {"class": "key"},
    key("queue", "in the queue", service.queue_p50_us, service.queue_p99_us),
    key("work", "at the worker", service.work_p50_us, service.work_p99_us)));
}

function showWorkers(service) {
  const heads = ["Worker", "State", "Running", "Oldest", "Replies", "Silent", "Address"];
  const table = make("table", {"class": "inner"}, make("thead", {}, make("tr", {},
    ...heads.map((text, index) => make("th", {scope: "col", "class": index < 2 || index === 6 ? "left" : ""}, text)))));
  const body = make("tbody");
  for (const worker of service.worker_list)
    body.append(make("tr", {"data-worker": worker.name},
      make("td", {"class": "left", title: "principal " + worker.principal}, make("bdi", {}, worker.name)),
      make("td", {"class": "left"}, worker.state),
      make("td", {}, count(worker.running) + "/" + count(worker.window)),
      make("td", {}, orDash(worker.oldest_us)), make("td", {}, count(worker.replies)),
      make("td", {}, time(worker.silent_us)), make("td", {"class": "left faint"}, worker.address)));
  table.append(body);
  const box = inDetail("workers-part");
  if (!service.worker_list.length) {
    box.replaceChildren(make("p", {"class": "faint"}, "No worker is there."));
    return;
  }
  if (!box.querySelector(".scroll")) // it stays, with its focus and place
    box.replaceChildren(make("div", {"class": "scroll", tabindex: "0", role: "group", "aria-label": "List of workers"}),
      make("p", {"class": "faint"}));
  box.firstChild.replaceChildren(table);
  set(box.lastChild, service.workers_left_out ? "… and " + count(service.workers_left_out) + " more: riposte workers" : "");
}

// ---- Requests -----------------------------------------------------------------------------------

// A word for a shell.
const quoted = text => /^[\w.:/@%+=,-]+$/.test(text) && !text.startsWith("-") ? text : "'" + text.replaceAll("'", "'\\''") + "'";

// The command that asks the same service; null if its name is not to be written.
function callOf(service) {
  if (service.includes("\\"))
    return null;
  const tcp = (state.overview ? state.overview.endpoints : []).find(one => one.startsWith("tcp://")) || "";
  const server = tcp.replace(/^tcp:\/\/(0\.0\.0\.0|\[::\]|\*)/, "tcp://" + location.hostname);
  return "riposte call " + (server ? "-s " + quoted(server) + " " : "") + (service.startsWith("-") ? "-- " : "") + quoted(service);
}

function copy(text) {
  const one = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
      set(one, "Copied");
    } catch (reason) { // only pages of this machine or of https may: leave it selected
      getSelection().selectAllChildren(one.previousElementSibling);
      set(one, "Selected");
    }
    setTimeout(() => set(one, "Copy"), 1500);
  }, {"class": "quiet", "aria-label": "Copy: " + text});
  return one;
}

// What finds a trace again: the number of a delivery, if there was one.
const idOf = trace => trace.id > 0 ? trace.id : trace.request_id || trace.trace_id || trace.client + "/" + trace.client_request;

const traceLink = (wanted, text) => make("a", {href: "#trace/" + encodeURIComponent(wanted)}, text);

const good = trace => trace.open || trace.status === "OK" || trace.status === "APP_ERROR";

function status(trace) {
  return make("span", {"class": "status", "data-state": trace.open ? "" : good(trace) ? "ok" : "bad"}, trace.open ? "open" : trace.status || "?");
}

// True while a person is at something in a box, which must not be replaced then.
function isInUse(box) {
  const selection = getSelection();
  return box.contains(document.activeElement) || (!selection.isCollapsed && box.contains(selection.anchorNode));
}

// Lists traces; what an answer says instead, if it has none.
function showTraces(box, answer, none) {
  if (isInUse(box))
    return;
  if (!answer.data) {
    box.replaceChildren(make("p", {"class": "faint"}, answer.status === 404 ? "This broker does not tell them over HTTP." : answer.text));
    return;
  }
  const traces = answer.data.traces;
  if (!traces.length) {
    box.replaceChildren(make("p", {"class": "faint"}, none));
    return;
  }
  box.replaceChildren(make("ul", {"class": "items"}, ...traces.map(traceItem)));
}

function traceItem(trace) {
  const acts = make("div", {"class": "acts"});
  const call = callOf(trace.service);
  if (call && !good(trace))
    acts.append(make("code", {}, call), copy(call));
  const ended = trace.open ? "open for " + time(trace.accepted_us_ago) : time(trace.ended_us_ago) + " ago";
  return make("li", {},
    make("div", {}, status(trace), " ", time(trace.total_us), make("small", {}, " · " + ended + " · "), traceLink(idOf(trace), idOf(trace)),
      make("small", {"class": "cause"}, trace.text)), acts);
}

function timeline(trace) {
  const total = Math.max(trace.total_us, 1);
  const queue = Math.min(trace.queue_us || 0, total);
  const work = Math.min(trace.work_us || 0, total - queue);
  const svg = draw("svg", {"class": "span", viewBox: "0 0 1000 10", preserveAspectRatio: "none", role: "img",
    "aria-label": `${time(queue)} in the queue, ${time(work)} at the worker, of ${time(total)}`});
  svg.append(draw("rect", {"class": "none", width: 1000, height: 10}),
    draw("rect", {"class": "queue", width: (1000 * queue / total).toFixed(1), height: 10}),
    draw("rect", {"class": "work", x: (1000 * queue / total).toFixed(1), width: (1000 * work / total).toFixed(1), height: 10}));
  return svg;
}

function traceView(trace) {
  const facts = [trace.client && "client " + trace.client, trace.principal && "principal " + trace.principal,
    trace.request_id && "request-id " + trace.request_id, trace.trace_id && "trace " + trace.trace_id,
    trace.worker && "worker " + trace.worker, trace.attempt && "attempt " + trace.attempt + (trace.attempts ? " of " + trace.attempts : "")];
  const steps = make("ol", {"class": "steps"});
  for (const event of trace.events || [])
    steps.append(make("li", {}, make("span", {}, "+" + time(event.at_us || 0)), make("span", {}, event.text || event.kind)));
  return make("article", {"class": "trace"},
    make("p", {}, make("strong", {}, make("bdi", {}, trace.service)), " ", status(trace), " ", make("span", {}, time(trace.total_us)),
      make("small", {}, " · " + (trace.open ? "open" : "ended " + time(trace.ended_us_ago) + " ago"))),
    make("p", {"class": "facts"}, facts.filter(fact => fact).join(" · "), trace.job ? " · job " : "", trace.job ? jobLink(trace.job) : ""),
    timeline(trace), make("p", {"class": "key"},
      make("span", {"class": "queue"}, make("i"), "in the queue ", make("b", {}, time(trace.queue_us || 0))),
      make("span", {"class": "work"}, make("i"), "at the worker ", make("b", {}, time(trace.work_us || 0)))),
    steps.childElementCount ? steps : make("p", {}, trace.text || ""));
}

// Shows the part above the tabs. view: to which one goes back.
function openFound(title, view) {
  id("found").hidden = false;
  id("found-close").setAttribute("href", "#" + view);
  set(id("found-title"), title);
}

async function findTrace(wanted) {
  const body = id("found-body");
  openFound("Request " + wanted, state.view);
  if (id("wanted").value !== wanted)
    id("wanted").value = wanted;
  let answer;
  try {
    answer = await ask("/api/trace/" + encodeURIComponent(wanted));
  } catch (reason) {
    answer = {status: 0, data: null, text: "The broker does not answer."};
  }
  if (!location.hash.startsWith("#trace/"))
    return;
  if (answer.data && answer.data.traces.length)
    body.replaceChildren(...answer.data.traces.map(traceView));
  else
    body.replaceChildren(make("p", {"class": "note"}, answer.data ? "No request with this id is known here: it never came, or was forgotten since."
      : answer.status === 404 ? "This broker does not tell of requests over HTTP." : answer.text));
  id("found").focus();
}

// ---- Slow requests ------------------------------------------------------------------------------

const slow = {
  made: false,
  asked: 0,
  make() {
    this.made = true;
    this.service = make("select", {"aria-label": "Service"}, make("option", {value: ""}, "all services"));
    this.failed = make("input", {type: "checkbox"});
    this.box = make("div");
    for (const one of [this.service, this.failed])
      one.addEventListener("change", () => {
        this.asked = 0;
        refresh();
      });
    id("view-slow").append(make("div", {"class": "bar"}, make("label", {}, "Service", this.service),
      make("label", {}, this.failed, "only those that failed")), this.box);
  },
  async refresh() {
    if (!this.made)
      this.make();
    this.offer();
    if (Date.now() - this.asked < 2 * PERIOD_MS || isInUse(this.box))
      return;
    this.asked = Date.now();
    const query = "?most=50" + (this.service.value ? "&service=" + encodeURIComponent(this.service.value) : "") + (this.failed.checked ? "&failed=true" : "");
    this.show(await ask("/api/slow" + query));
  },
  offer() {
    const names = state.overview.services.map(service => service.name).sort();
    const there = [...this.service.options].slice(1).map(option => option.value);
    if (names.join("\n") === there.join("\n"))
      return;
    const chosen = this.service.value;
    this.service.replaceChildren(this.service.options[0], ...names.map(name => make("option", {value: name}, name)));
    this.service.value = names.includes(chosen) ? chosen : "";
  },
  show(answer) {
    if (!answer.data || !answer.data.traces.length) {
      this.box.replaceChildren(make("p", {"class": "note"}, answer.data ? "None has been kept." : answer.status === 404 ? "This broker does not tell them over HTTP." : answer.text));
      return;
    }
    this.box.replaceChildren(textTable(["Service", "Status", "Total", "Queue", "Worker", "When", "Request", "What happened"], answer.data.traces.map(trace => [
      make("bdi", {}, trace.service), status(trace), time(trace.total_us), time(trace.queue_us), time(trace.work_us),
      trace.open ? "open" : time(trace.ended_us_ago) + " ago", traceLink(idOf(trace), idOf(trace)), trace.text || ""]), 7));
  },
};

// A table of texts and elements; wide: the column that takes what room is left.
function textTable(heads, lines, wide) {
  return make("table", {"class": "texts"}, make("thead", {}, make("tr", {}, ...heads.map(text => make("th", {scope: "col"}, text)))),
    make("tbody", {}, ...lines.map(line => make("tr", {}, ...line.map((value, index) =>
      make("td", {"data-label": heads[index], "class": index === wide ? "wide" : ""}, value))))));
}

// ---- Jobs ---------------------------------------------------------------------------------------

// An instant, as how long ago it was or will come.
function instant(us) {
  if (!us)
    return "";
  const away = us - Date.now() * 1000;
  const at = new Date(us / 1000);
  return make("time", {datetime: at.toISOString(), title: at.toISOString()}, away > 0 ? "in " + time(away) : time(-away) + " ago");
}

const jobLink = name => make("a", {href: "#job/" + encodeURIComponent(name)}, name);

function jobState(job) {
  return make("span", {"class": "status", "data-state": job.state === "dead" ? "bad" : job.status === "OK" ? "ok" : ""}, job.state);
}

const jobs = {
  made: false,
  asked: 0,
  from: null, // behind which job the list begins
  next: null,
  make() {
    this.made = true;
    const choice = (name, texts) => make("select", {"aria-label": name}, ...texts.map(([value, text]) => make("option", {value}, text)));
    this.sums = make("p", {"class": "bar"});
    this.services = make("div");
    this.service = choice("Service", [["", "all services"]]);
    this.state = choice("State", [["", "in any state"], ...["waiting", "running", "done", "dead"].map(word => [word, word])]);
    for (const one of [this.service, this.state])
      one.addEventListener("change", () => this.turn(null));
    this.box = make("div");
    this.first = button("First", () => this.turn(null));
    this.more = button("Next", () => this.turn(this.next));
    id("view-jobs").replaceChildren(this.sums, this.services, make("div", {"class": "bar filter"}, make("label", {}, "Jobs", this.state),
      make("label", {}, "of", this.service)), this.box, make("p", {"class": "bar pages"}, this.first, this.more));
  },
  turn(from) {
    this.from = from;
    this.asked = 0;
    this.turned = true;
    refresh();
  },
  choose(service, word) {
    this.offer(service);
    this.service.value = service;
    this.state.value = word;
    this.turn(null);
  },
  // Has a service among those to choose from.
  offer(name) {
    if (![...this.service.options].some(option => option.value === name))
      this.service.append(make("option", {value: name}, name));
  },
  async refresh() {
    const kept = state.overview.jobs;
    if (!kept) {
      this.made = false;
      id("view-jobs").replaceChildren(make("p", {"class": "note"}, "This broker keeps no jobs: it has no store. A request that is to outlive it needs one:  ",
        make("code", {}, "riposte-broker --store jobs.db")));
      return;
    }
    if (!this.made)
      this.make();
    this.showSums(kept);
    if (Date.now() - this.asked < 2 * PERIOD_MS)
      return;
    this.asked = Date.now();
    this.showServices(await ask("/api/job_services"));
    if (isInUse(this.box) && !this.turned)
      return;
    this.turned = false;
    const query = [["most", JOBS_SHOWN], ["service", this.service.value], ["state", this.state.value], ["id", this.from]];
    this.show(await ask("/api/jobs?" + query.filter(([, value]) => value).map(([key, value]) => key + "=" + encodeURIComponent(value)).join("&")));
  },
  showSums(kept) {
    const parts = [count(kept.open - kept.running) + " waiting", count(kept.running) + " running", "since the start " + count(kept.accepted) + " accepted",
      count(kept.done) + " done", count(kept.dead) + " dead", kept.refused ? count(kept.refused) + " refused" : "", bytes(kept.file_bytes) + " in the store",
      kept.full ? "the store is full: new jobs are refused" : ""];
    set(this.sums, parts.filter(part => part).join(" · "));
    this.sums.classList.toggle("bad", kept.full);
  },
  showServices(answer) {
    if (!answer.data || isInUse(this.services))
      return;
    const list = answer.data.services;
    for (const service of list)
      this.offer(service.name);
    const pick = (service, word, value) => value ? button(count(value), () => this.choose(service.name, word), {"class": "plain", "aria-label": `${count(value)} ${word} of ${service.name}`}) : "0";
    const why = service => make("span", {"class": "cause", "data-state": service.state}, service.causes.length ? service.text : "");
    this.services.replaceChildren(list.length ? textTable(["Service", "Waiting", "Running", "Died in the last hour", "Workers", "Why"], list.map(service => [
      make("bdi", {}, service.name), pick(service, "waiting", service.waiting), pick(service, "running", service.running), pick(service, "dead", service.died),
      count(service.workers), why(service)]), 5) : make("p", {"class": "note"}, "No job waits or runs."));
    if (answer.data.services_left_out)
      this.services.append(make("p", {"class": "note"}, "… and " + count(answer.data.services_left_out) + " more services."));
  },
  show(answer) {
    this.first.hidden = !this.from;
    this.next = answer.data && answer.data.more ? answer.data.next : null;
    this.more.hidden = !this.next;
    if (!answer.data) {
      this.box.replaceChildren(make("p", {"class": "note"}, answer.text));
      return;
    }
    const list = answer.data.jobs;
    const word = this.state.value || "such";
    this.box.replaceChildren(list.length ? textTable(["Job", "Service", "State", "Attempt", "Accepted", "Due or ended", "What became of it"], list.map(job => [
      jobLink(job.id), make("bdi", {}, job.service || ""), jobState(job), job.attempt + " of " + job.attempts, instant(job.accepted_us),
      instant(job.ended_us || (job.state === "waiting" && job.due_us)), [job.status, job.text].filter(part => part).join(": ")]), 6)
      : make("p", {"class": "note"}, this.next ? "None among these; there are more." : "There is no " + word + " job."));
  },
};

// Asks for a job, with the beginning of its body if the token may see that.
async function askForJob(wanted) {
  const path = "/api/jobs/" + encodeURIComponent(wanted);
  const whole = await ask(path + "?body=" + BODY_SHOWN);
  if (whole.status !== 401 && whole.status !== 403)
    return whole;
  const answer = await ask(path);
  if (answer.data)
    answer.data.hidden = whole.text.trim();
  return answer;
}

async function findJob(wanted) {
  const body = id("found-body");
  openFound("Job " + wanted, "jobs");
  let answer;
  try {
    answer = await askForJob(wanted);
  } catch (reason) {
    answer = {status: 0, data: null, text: "The broker does not answer."};
  }
  if (location.hash !== "#job/" + encodeURIComponent(wanted))
    return;
  body.replaceChildren(answer.data ? jobView(answer.data) : make("p", {"class": "note"}, answer.text));
  id("found").focus();
}

function jobView(job) {
  const steps = make("ol", {"class": "steps"});
  for (const event of job.events || [])
    steps.append(make("li", {}, make("span", {}, "+" + time(event.at_us || 0)), make("span", {}, event.text)));
  const facts = [job.principal && "of " + job.principal, job.key && "key " + job.key, "attempt " + job.attempt + " of " + job.attempts, bytes(job.body_bytes),
    job.reply_bytes !== undefined && "reply " + bytes(job.reply_bytes), job.deadline_us && "deadline " + new Date(job.deadline_us / 1000).toISOString()];
  const line = make("p", {"class": "facts"}, facts.filter(fact => fact).join(" · "));
  if (job.parent)
    line.append(" · a new life of job ", jobLink(job.parent));
  if (job.child)
    line.append(" · retried as job ", jobLink(job.child));
  return make("article", {"class": "trace job"},
    make("p", {}, make("strong", {}, make("bdi", {}, job.service || "")), " ", jobState(job), " ", job.status || "",
      make("small", {}, " · accepted ", instant(job.accepted_us), job.ended_us ? " · ended " : "", instant(job.ended_us))),
    line, steps, make("h3", {}, "Body"), bodyView(job), job.state === "dead" ? jobActs(job) : null);
}

function bodyView(job) {
  if (job.hidden)
    return make("p", {"class": "faint"}, "It is not shown: " + job.hidden);
  if (!job.body_bytes)
    return make("p", {"class": "faint"}, "It is empty.");
  const rest = job.body_bytes - BODY_SHOWN;
  return make("div", {}, make("pre", {tabindex: "0", role: "group", "aria-label": "Body"}, job.body || ""), rest > 0 ? make("p", {"class": "faint"}, "… and " + bytes(rest) + " more.") : null);
}

// What may be done with a dead job. Both want a token whose principal may administer, where there are keys.
function jobActs(job) {
  const said = make("p", {"class": "said", role: "alert"});
  const acts = make("div", {"class": "acts"});
  let sure = false;
  const act = async (what, done) => {
    let answer;
    try {
      answer = await ask("/api/dead/" + what, {id: job.id});
    } catch (reason) {
      answer = {status: 0, data: null, text: "The broker does not answer: look whether it was done, before you try again."};
    }
    jobs.asked = 0;
    if (answer.data)
      done(answer.data);
    else
      said.replaceChildren(answer.text.trim(), " ", answer.status === 401 || answer.status === 403 ? otherToken(() => act(what, done)) : "");
  };
  acts.append(button("Retry", () => act("retry", data => { location.hash = "#job/" + encodeURIComponent(data.id); })));
  const purge = button("Purge", () => {
    if (sure)
      act("purge", () => {
        acts.remove();
        set(said, "It is purged.");
      });
    else
      set(purge, "Purge for good?");
    sure = true;
  }, {"class": "quiet"});
  acts.append(purge);
  return make("div", {"class": "job-acts"}, acts, said);
}

// A field for the token of somebody else, which is the tab's from then on.
function otherToken(then) {
  if (!state.overview || !state.overview.security)
    return "";
  const field = make("input", {type: "password", autocomplete: "off", spellcheck: "false", maxlength: "256", "aria-label": "Another token"});
  const form = make("form", {"class": "other"}, field, " ", make("button", {type: "submit"}, "Use this token"));
  form.addEventListener("submit", event => {
    event.preventDefault();
    const token = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token))
      return;
    sessionStorage.setItem(TOKEN, token);
    then();
  });
  return form;
}

// ---- Events -------------------------------------------------------------------------------------

const events = {
  last: 0,
  lines: null,
  note: null,
  clear() {
    this.last = 0;
    if (this.lines)
      this.lines.replaceChildren();
  },
  make() {
    const table = textTable(["Time", "Level", "Topic", "Service", "Peer", "What happened"], [], 5);
    this.lines = table.tBodies[0];
    this.note = make("p", {"class": "note"});
    id("view-events").append(table, this.note);
  },
  add(list) {
    if (!this.lines)
      this.make();
    for (const one of list) {
      if (one.number <= this.last)
        continue;
      this.last = one.number;
      const at = new Date(one.time);
      const clock = isNaN(at) ? String(one.time) : at.toLocaleTimeString(undefined, {hour12: false});
      const texts = [make("time", {datetime: one.time, title: one.time}, clock), one.level || "", one.topic || "", make("bdi", {}, one.service || ""),
        [one.peer, one.principal].filter(part => part).join(" · "), one.text || ""];
      this.lines.prepend(make("tr", {"class": "level-" + (one.level || "")}, ...texts.map((value, index) =>
        make("td", {"class": index === 5 ? "wide" : ""}, value))));
    }
    while (this.lines.children.length > EVENTS_MAX)
      this.lines.lastChild.remove();
    set(this.note, this.lines.children.length ? "" : "Nothing has happened yet.");
    this.note.hidden = this.lines.children.length > 0;
  },
  async refresh() {
    const answer = await ask("/api/events?most=100&since=" + this.last);
    if (answer.data) {
      if (answer.data.last < this.last)
        this.clear();
      this.add(answer.data.events);
      return;
    }
    if (!this.lines)
      this.make();
    this.note.hidden = false;
    set(this.note, answer.status === 404 ? "This broker does not tell its events over HTTP." : answer.text);
  },
};

// ---- Sessions, configuration ---------------------------------------------------------------------

function showSessions() {
  const all = state.overview;
  const table = textTable(["Principal", "Sessions", "Workers", "Open requests", "Open bytes", "Denied", "Over quota"], all.principals.map(one => [
    make("bdi", {}, one.name), count(one.sessions), count(one.workers), count(one.open), bytes(one.open_bytes), count(one.denied), count(one.over_quota)]));
  const parts = [count(all.clients) + " clients", count(all.workers) + " workers", count(all.conversations) + " conversations",
    all.security ? "" : "security is off: everybody is anonymous"];
  id("view-sessions").replaceChildren(make("p", {"class": "bar"}, parts.filter(part => part).join(" · ")), table);
  if (all.principals_left_out)
    id("view-sessions").append(make("p", {"class": "note"}, "… and " + count(all.principals_left_out) + " more."));
}

const settings = {
  asked: false,
  diff: false,
  list: [],
  async refresh() {
    if (this.asked)
      return;
    this.asked = true;
    const answer = await ask("/api/config");
    const view = id("view-settings");
    if (!answer.data) {
      view.replaceChildren(make("p", {"class": "note"}, answer.status === 404
        ? "This broker does not tell its configuration over HTTP. Beside it: riposte-broker --print-config" : answer.text));
      return;
    }
    this.list = answer.data.settings;
    const only = make("input", {type: "checkbox"});
    only.checked = this.diff;
    only.addEventListener("change", () => {
      this.diff = only.checked;
      this.show();
    });
    this.box = make("div");
    view.replaceChildren(make("div", {"class": "bar"}, make("label", {}, only, "only what differs from the default")), this.box);
    this.show();
  },
  show() {
    const list = this.list.filter(one => !this.diff || String(one.value) !== String(one.default));
    const text = value => value === null || value === undefined ? "none" : String(value);
    this.box.replaceChildren(list.length ? textTable(["Setting", "Value", "Source", "Default", "Reload"], list.map(one => [
      make("code", {}, one.name), make("strong", {}, text(one.value)), text(one.source), text(one.default), one.reloadable ? "yes" : "needs a restart"]))
      : make("p", {"class": "note"}, "Everything is as by default."));
  },
};

// ---- Views --------------------------------------------------------------------------------------

const VIEWS = ["services", "slow", "jobs", "events", "sessions", "settings"];

function show() {
  document.body.classList.remove("closed");
  id("door").hidden = true;
  id("tabs").hidden = false;
  id("search").hidden = false;
  id("view-services").setAttribute("role", "tabpanel");
  id("view-services").setAttribute("aria-labelledby", "tab-services");
  for (const view of VIEWS) {
    id("view-" + view).hidden = view !== state.view;
    id("tab-" + view).setAttribute("aria-selected", String(view === state.view));
    id("tab-" + view).tabIndex = view === state.view ? 0 : -1;
  }
  showLink();
  showSentence();
  showSums();
  showBroker();
  if (state.view === "services")
    showServices();
  if (state.view === "sessions")
    showSessions();
}

let refreshing = false;

// Asks what the view needs beyond the overview; one at a time.
async function refresh() {
  if (refreshing || !state.overview)
    return;
  refreshing = true;
  try {
    if (state.view === "services")
      await refreshService();
    else if (state.view === "slow")
      await slow.refresh();
    else if (state.view === "jobs")
      await jobs.refresh();
    else if (state.view === "events")
      await events.refresh();
    else if (state.view === "settings")
      await settings.refresh();
  } catch (reason) {
    opened.asked = slow.asked = jobs.asked = 0; // the overview's own turn tells whether the broker is there
    settings.asked = false;
  } finally {
    refreshing = false;
  }
}

// What the address says behind #: a view, service/NAME, trace/ID, job/ID.
function route() {
  let kind = location.hash.slice(1), name = null;
  const slash = kind.indexOf("/");
  if (slash >= 0) {
    try {
      name = decodeURIComponent(kind.slice(slash + 1));
    } catch (reason) {
      name = "";
    }
    kind = kind.slice(0, slash);
  }
  if (kind === "trace" && name) {
    findTrace(name);
    return;
  }
  if (kind === "job" && name) {
    state.view = "jobs";
    if (state.overview)
      show();
    findJob(name);
    return;
  }
  id("found").hidden = true;
  id("found-body").replaceChildren();
  if (VIEWS.includes(kind) || kind === "service" || kind === "") {
    state.view = kind === "service" || kind === "" ? "services" : kind;
    if (state.view === "settings")
      settings.asked = false;
    if (state.overview)
      show();
    setOpen(kind === "service" && name ? name : null);
  }
  if (state.overview)
    refresh();
}

function onTabKey(event) {
  const at = VIEWS.indexOf(state.view);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: VIEWS.length - 1}[event.key];
  if (to === undefined)
    return;
  event.preventDefault();
  const view = VIEWS[(to + VIEWS.length) % VIEWS.length];
  location.hash = "#" + view;
  id("tab-" + view).focus();
}

// Up and down go from service to service.
function onRowKey(event) {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  const here = event.target.closest("tr[data-name]");
  if (!step || !here)
    return;
  const all = [...document.querySelectorAll("#rows tr[data-name]")];
  const next = all[all.indexOf(here) + step];
  if (next) {
    event.preventDefault();
    next.querySelector("button").focus();
  }
}

function onKey(event) {
  const typing = event.target.closest && event.target.closest("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !id("search").hidden) {
    event.preventDefault();
    id("wanted").focus();
    id("wanted").select();
  } else if (event.key === "Escape" && (state.open !== null || !id("found").hidden)) {
    const row = rows.get(state.open);
    location.hash = "#" + state.view;
    if (row)
      row.toggle.focus();
  }
}

function begin() {
  state.whole = new History();
  for (const head of document.querySelectorAll("#services > thead th")) {
    const text = head.textContent;
    head.replaceChildren(button(text, () => sortBy(head.dataset.key)));
  }
  for (const view of VIEWS) {
    id("tab-" + view).addEventListener("click", () => { location.hash = "#" + view; });
    id("view-" + view).tabIndex = -1;
  }
  id("tabs").addEventListener("keydown", onTabKey);
  id("rows").addEventListener("keydown", onRowKey);
  id("door").addEventListener("submit", openDoor);
  id("forget").addEventListener("click", forget);
  id("search").addEventListener("submit", event => {
    event.preventDefault();
    const wanted = id("wanted").value.trim();
    const hash = "#trace/" + encodeURIComponent(wanted);
    if (!wanted)
      location.hash = "#" + state.view;
    else if (location.hash === hash)
      route();
    else
      location.hash = hash;
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && id("door").hidden)
      goOn();
  });
  window.addEventListener("hashchange", route);
  route();
  run();
}

begin();
})();
