"use strict";
// Makes the tables of a report sortable, searchable and paged, and unpacks the list of changes. Whatever was written by
// others reaches the page through textContent alone.

const PAGE = 50;

function element(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

// Foreign text; what stands for a character that cannot be seen is marked.
function say(into, text) {
  text.split(/(\[U\+[0-9A-F]{4,6}\])/).forEach((part, number) => {
    if (part) into.append(number % 2 ? element("mark", {}, part) : part);
  });
  return into;
}

const count = (number) => number.toLocaleString("en-US");

function time(seconds) {
  if (seconds < 99.5) return `${seconds < 9.95 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// A table over items {values, text, row()}: `values` by column, `text` in small letters, `row` makes the line.
class List {
  constructor(table, items, wanted = () => true) {
    Object.assign(this, { table, items, wanted, page: 0, column: -1, up: true, words: [], size: PAGE });
    this.body = table.tBodies[0];
    this.heads = [...table.tHead.rows[0].cells];
    this.heads.forEach((head, column) => this.sortable(head, column));
    this.said = element("span", { role: "status" });
    this.search = element("input", { type: "search", autocomplete: "off" });
    this.search.addEventListener("input", () => this.find(this.search.value));
    this.back = this.button("Previous", () => this.turn(-1));
    this.next = this.button("Next", () => this.turn(1));
    const frame = table.parentElement, name = frame.getAttribute("aria-label");
    this.tools = element("div", { class: "tools" }, element("label", {}, `Search in: ${name} `, this.search));
    this.pager = element("div", { class: "pager" }, this.back, this.next, this.said);
    this.tools.hidden = items.length <= 10;
    frame.before(this.tools);
    frame.after(this.pager);
    this.show();
  }

  button(text, act) {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", act);
    return made;
  }

  sortable(head, column) {
    if (!head.textContent.trim() || head.querySelector(".hidden")) return;
    const made = element("button", { type: "button" }, ...head.childNodes);
    head.append(made);
    made.addEventListener("click", () => {
      const first = head.dataset.kind !== "number"; // of numbers the largest come first
      this.up = this.column === column ? !this.up : first;
      this.column = column;
      this.heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", this.up ? "ascending" : "descending");
      this.page = 0;
      this.show();
    });
  }

  find(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.page = 0;
    this.show();
  }

  turn(by) {
    this.page += by;
    this.show();
    this.table.parentElement.scrollIntoView({ block: "nearest" });
  }

  found() {
    const hits = this.items.filter((one) => this.wanted(one) && this.words.every((word) => one.text.includes(word)));
    if (this.column < 0) return hits;
    const order = this.up ? 1 : -1, at = this.column;
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    return hits.sort((a, b) => order * compare(a.values[at], b.values[at]));
  }

  show() {
    const hits = this.found(), pages = Math.max(1, Math.ceil(hits.length / this.size));
    this.page = Math.min(Math.max(0, this.page), pages - 1);
    const start = this.page * this.size, some = hits.slice(start, start + this.size);
    this.body.replaceChildren(...some.map((one) => one.row()));
    const whole = this.items.length, of = hits.length < whole ? `${count(hits.length)} of ${count(whole)}` : count(whole);
    const part = pages > 1 ? `, ${count(start + 1)} to ${count(start + some.length)} shown` : "";
    this.said.textContent = hits.length ? `${of} rows${part}` : "No row has all of these words.";
    this.back.disabled = !this.page;
    this.next.disabled = this.page >= pages - 1;
    this.back.hidden = this.next.hidden = pages < 2;
    this.pager.hidden = whole <= 10;
  }

  all(wanted) {
    this.size = wanted ? Infinity : PAGE;
    this.show();
  }
}

// A table that stands in the page already.
function standing(table) {
  const kinds = [...table.tHead.rows[0].cells].map((head) => head.dataset.kind);
  const items = [...table.tBodies[0].rows].map((row) => {
    const texts = [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent.trim());
    const values = texts.map((text, at) => (kinds[at] === "number" ? Number(text.replace(/[^\d.eE+-]/g, "")) || 0 : text));
    return { values, text: row.textContent.toLowerCase(), row: () => row };
  });
  return new List(table, items);
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const pieces = document.getElementsByClassName("details"), unpacked = new Map();

async function detail([piece, at]) {
  if (!unpacked.has(piece)) unpacked.set(piece, unpack(pieces[piece].textContent));
  return (await unpacked.get(piece))[at];
}

function diff(file) {
  const table = element("table");
  let old = 0, now = 0;
  for (const line of file.lines) {
    const kind = { "@": "hunk", "+": "add", "-": "del" }[line[0]] ?? "same";
    const start = kind === "hunk" && /^@@ -(\d+),\d+ \+(\d+)/.exec(line);
    if (start) [old, now] = [Number(start[1]), Number(start[2])];
    const numbers = [kind === "del" || kind === "same" ? old++ : "", kind === "add" || kind === "same" ? now++ : ""];
    const text = element("td");
    say(text, kind === "hunk" ? line : (kind === "del" ? "−" : line[0]) + line.slice(1));
    table.append(element("tr", { class: kind }, ...numbers.map((one) => element("td", { class: "n" }, String(one))), text));
  }
  const frame = element("div", { class: "diff", tabindex: "0", role: "region", "aria-label": `Diff of ${file.path}` }, table);
  const more = file.left_out ? [element("p", { class: "dim" }, `${count(file.left_out)} more lines of this file are left out.`)] : [];
  return [say(element("h4"), file.path), frame, ...more];
}

function findings(tried, status) {
  const made = [];
  tried.forEach((found, number) => {
    for (const [judge, place, message] of found) {
      const what = say(element("span"), `${judge}${place ? ` (${place})` : ""}:`);
      made.push(element("li", {}, `attempt ${number + 1}, `, what, say(element("pre"), message)));
    }
  });
  const title = status === "rejected" ? "Findings" : "Findings overcome";
  return made.length ? [element("h4", {}, title), element("ul", {}, ...made)] : [];
}

function texts(title, found) {
  return found.length ? [element("h4", {}, title), element("ul", {}, ...found.map((one) => say(element("li"), one)))] : [];
}

function inside(item, own) {
  const made = [];
  const facts = [`key ${item.key}`, item.owner && `owner ${item.owner}`, own.branch && `branch ${own.branch}`, own.done && `done ${own.done} UTC`];
  made.push(say(element("p", { class: "dim" }), facts.filter(Boolean).join(", ")));
  const place = item.url.startsWith("file:") ? item.url.split("/").slice(-2).join("/") : item.url;
  if (place) made.push(element("p", {}, "Merge request: ", element("a", { href: item.url, rel: "noreferrer" }, place)));
  if (own.why) made.push(element("p", {}, item.dropped ? "Left out of its merge request: " : "Why: "), say(element("pre"), own.why));
  made.push(...findings(own.tried, item.status), ...texts("Proof", own.proof), ...texts("Notes", own.notes));
  if (own.full) made.push(element("p", { class: "dim" }, `Its diff is left out to keep this file small: umbau show ${item.key}`));
  else if (!own.files) made.push(element("p", { class: "dim" }, "The repository is not where this report was made, so there is no diff."));
  else made.push(...own.files.flatMap(diff));
  if (item.status === "rejected" && own.files?.length) made.push(element("p", { class: "dim" }, "This was the last attempt. It was rejected, and nothing of it was proposed."));
  return element("div", { class: "inside" }, ...made);
}

function line(item, columns) {
  const open = say(element("button", { type: "button", class: "open-row", "aria-expanded": "false" }), item.shard);
  const state = item.url ? element("a", { href: item.url, rel: "noreferrer" }, item.state) : item.state;
  const lines = item.added || item.deleted ? `+${count(item.added)} −${count(item.deleted)}` : "";
  const numbers = [item.attempts || "", lines, item.tokens ? count(item.tokens) : "", item.seconds ? time(item.seconds) : "", item.cost.toFixed(4)];
  const row = element("tr", {},
    say(element("td"), item.repo), element("td", {}, open),
    element("td", {}, element("span", { class: `badge ${item.status}` }, item.status), item.dropped ? " left out" : ""),
    element("td", {}, state), say(element("td"), item.owner),
    ...numbers.slice(0, columns - 5).map((one) => element("td", { class: "number" }, String(one))));
  open.addEventListener("click", async () => {
    if (row.nextSibling?.classList.contains("more")) row.nextSibling.remove();
    else row.after(element("tr", { class: "more" }, element("td", { colspan: columns }, inside(item, await detail(item.place)))));
    open.setAttribute("aria-expanded", row.nextSibling?.classList.contains("more") ? "true" : "false");
  });
  return row;
}

async function changes(table) {
  const columns = table.tHead.rows[0].cells.length;
  const read = await Promise.all([...document.getElementsByClassName("rows")].map((one) => unpack(one.textContent)));
  const items = read.flat().map((one) => ({
    ...one,
    values: [one.repo, one.shard, one.status, one.state, one.owner, one.attempts, one.added + one.deleted, one.tokens, one.seconds, one.cost],
    text: [one.repo, one.shard, one.key, one.status, one.state, one.owner, one.why].join(" ").toLowerCase(),
    row() { return line(this, columns); },
  }));
  const status = document.getElementById("status"), repo = document.getElementById("repo"), every = document.getElementById("all-shapes");
  let shape = -1;
  const of = (one) => !status.value || one.status === status.value || (status.value === "overcome" && one.status === "accepted" && one.attempts > 1);
  const list = new List(table, items, (one) => of(one) && (!repo.value || one.repo === repo.value) && (shape < 0 || one.shapes.includes(shape)));
  const again = () => { list.page = 0; list.show(); };
  status.addEventListener("change", again);
  repo.addEventListener("change", again);
  every.addEventListener("click", () => only(-1));
  function only(number) {
    shape = number;
    every.hidden = number < 0;
    again();
    document.getElementById("h-changes").focus();
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-shape]");
    if (button) only(Number(button.dataset.shape));
  });
  for (const button of document.querySelectorAll("[data-shape]")) button.hidden = false;
  const filters = document.getElementById("filters");
  list.tools.append(...filters.childNodes);
  filters.remove();
}

function start() {
  const lists = [...document.querySelectorAll("table.live")].map(standing);
  addEventListener("beforeprint", () => lists.forEach((one) => one.all(true)));
  addEventListener("afterprint", () => lists.forEach((one) => one.all(false)));
  const table = document.getElementById("list");
  if (!table) return;
  if (typeof DecompressionStream === "undefined") document.getElementById("too-old").hidden = false;
  else changes(table);
}

start();
