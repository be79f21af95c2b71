"use strict";
// Shows the rows of the page on demand: filtered, sorted, one at a time in detail. Texts only ever become text nodes.
(() => {
  const data = JSON.parse(document.getElementById("rows").textContent);
  const place = document.getElementById("browser");
  if (!place || !data.count) return;
  document.documentElement.classList.add("js");

  const columns = data.columns;
  const column = Object.fromEntries(columns.map((one) => [one.name, one]));
  const textOf = (one, row) => one.texts[one.rows[row]];
  const chosen = {}; // column -> text, where a filter is set
  let wanted = ""; // what is searched for
  let sorted = null; // {column, down}
  let order = new Uint32Array(0); // rows that are shown
  let selected = -1; // place in `order`

  function make(tag, properties, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties || {})) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  // --- which rows, in which order -------------------------------------------------------------------------------

  const parts = (one, text) => (one.several ? text.split(", ") : [text]);

  function select() {
    const tests = [];
    for (const [name, value] of Object.entries(chosen)) {
      const one = column[name];
      tests.push([[one.rows, one.texts.map((text) => parts(one, text).includes(value))]]);
    }
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    for (const word of words) {
      tests.push(columns.map((one) => [one.rows, one.texts.map((text) => text.toLowerCase().includes(word))]));
    }
    const found = [];
    for (let row = 0; row < data.count; row++) {
      if (tests.every((any) => any.some(([numbers, fits]) => fits[numbers[row]]))) found.push(row);
    }
    if (sorted) {
      const rank = ranks(sorted.column);
      const numbers = sorted.column.rows;
      const sign = sorted.down ? -1 : 1;
      found.sort((a, b) => sign * (rank[numbers[a]] - rank[numbers[b]]) || a - b);
    }
    order = Uint32Array.from(found);
  }

  function ranks(one) {
    if (one.numbers) return one.numbers;
    const places = one.texts.map((_, index) => index);
    places.sort((a, b) => (one.texts[a] < one.texts[b] ? -1 : one.texts[a] > one.texts[b] ? 1 : 0));
    const rank = new Uint32Array(places.length);
    places.forEach((index, position) => (rank[index] = position));
    return rank;
  }

  // --- the list: only the rows in sight are in the document -----------------------------------------------------

  const listed = columns.filter((one) => one.listed);
  const above = make("tr", { ariaHidden: "true" });
  const below = make("tr", { ariaHidden: "true" });
  const body = make("tbody", {}, above, below);
  const heads = listed.map((one) => {
    const button = make("button", { type: "button", onclick: () => sortBy(one) }, one.title);
    return make("th", { scope: "col", className: `c-${one.name}` }, button);
  });
  const table = make("table", { className: "list" }, make("thead", {}, make("tr", {}, ...heads)), body);
  table.setAttribute("role", "grid");
  const list = make("div", { className: "scroll", tabIndex: 0 }, table);
  const detail = make("section", { className: "detail", tabIndex: -1 });
  detail.setAttribute("aria-label", "Details");
  const count = make("p", { className: "found" });
  count.setAttribute("role", "status");

  let drawnFrom = -1;
  let drawnTo = -1;
  let height = 0; // of a row

  function draw(anew) {
    if (!height) {
      body.replaceChildren(line(0, 0));
      height = body.firstChild.getBoundingClientRect().height || 32;
      anew = true;
    }
    const first = Math.max(0, Math.floor(list.scrollTop / height) - 10);
    const last = Math.min(order.length, first + Math.ceil(list.clientHeight / height) + 20);
    if (!anew && first === drawnFrom && last === drawnTo) return;
    drawnFrom = first;
    drawnTo = last;
    above.style.height = `${first * height}px`;
    below.style.height = `${(order.length - last) * height}px`;
    const lines = [];
    for (let at = first; at < last; at++) lines.push(line(order[at], at));
    body.replaceChildren(above, ...lines, below);
  }

  function line(row, at) {
    const made = make("tr", { id: `row-${at}`, className: rowClass(row), onclick: () => pick(at) });
    made.setAttribute("aria-rowindex", at + 2);
    made.setAttribute("aria-selected", at === selected);
    for (const one of listed) {
      const text = textOf(one, row);
      const cell = make("td", { className: `c-${one.name}`, title: text });
      if (one.name === "path") cell.append(pathOf(text));
      else cell.textContent = text;
      made.append(cell);
    }
    return made;
  }

  function rowClass(row) {
    const colour = data.colours[textOf(column[data.coloured], row)];
    const follows = column.follows && textOf(column.follows, row) ? " follows" : "";
    return `${colour ? `k-${colour}` : ""}${follows}`;
  }

  function pathOf(text) {
    const end = text.lastIndexOf("/") + 1;
    const folder = end ? make("span", { className: "folder" }, text.slice(0, end)) : "";
    return make("span", { className: "split" }, folder, make("span", { className: "name" }, text.slice(end)));
  }

  function sortBy(one) {
    sorted = sorted && sorted.column === one ? (sorted.down ? null : { column: one, down: true }) : { column: one };
    listed.forEach((each, index) => {
      const state = sorted && sorted.column === each ? (sorted.down ? "descending" : "ascending") : "none";
      heads[index].setAttribute("aria-sort", state);
    });
    update();
  }

  function update() {
    select();
    selected = -1;
    list.scrollTop = 0;
    table.setAttribute("aria-rowcount", order.length + 1);
    list.removeAttribute("aria-activedescendant");
    const all = data.count.toLocaleString("en");
    const shown = order.length.toLocaleString("en");
    count.textContent = order.length === data.count ? `${all} ${data.noun}` : `${shown} of ${all} ${data.noun}`;
    reset.hidden = order.length === data.count && !wanted && !Object.keys(chosen).length;
    detail.replaceChildren(make("p", { className: "note" }, "Nothing fits."));
    draw(true);
    pick(0);
  }

  // --- one row in detail ----------------------------------------------------------------------------------------

  function pick(at) {
    if (!order.length) return;
    selected = Math.max(0, Math.min(order.length - 1, at));
    const top = selected * height;
    const head = table.tHead.getBoundingClientRect().height;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + height + head > list.scrollTop + list.clientHeight) list.scrollTop = top + height + head - list.clientHeight;
    draw(true);
    list.setAttribute("aria-activedescendant", `row-${selected}`);
    show(order[selected]);
  }

  function show(row) {
    const facts = make("dl", { className: "facts" });
    for (const one of columns) {
      const text = textOf(one, row);
      if (text === "" || one.name === "path") continue;
      const value = make("dd", {}, text);
      const explained = one.name === data.coloured && data.explanations[text];
      if (explained) value.replaceChildren(make("b", {}, explained.title), ` ${text}`, make("br"), explained.remedy);
      facts.append(make("div", {}, make("dt", {}, one.title), value));
    }
    const heading = make("h3", { className: "path" }, textOf(column.path, row));
    const view = data.views[row];
    detail.replaceChildren(heading, facts, ...(view ? [closer(view)] : []));
    detail.scrollTop = 0;
  }

  function closer(view) {
    if (view.kind === "fields") {
      const lines = view.lines.map((text) => text.split("\t"));
      const rows = lines.map((cells) => {
        const differs = cells[1] !== cells[2] ? "differs" : "";
        return make("tr", { className: differs }, ...cells.map((text) => make("td", {}, text)));
      });
      const names = ["field", ...data.names].map((name) => make("th", { scope: "col" }, name));
      const head = make("thead", {}, make("tr", {}, ...names));
      return make("table", { className: "fields" }, head, make("tbody", {}, ...rows));
    }
    const marks = { "-": "del", "+": "ins", "@": "at" };
    const lines = view.lines.map((text) => make("span", { className: `line ${marks[text[0]] || ""}` }, `${text}\n`));
    const code = make("pre", { className: view.kind, tabIndex: 0 }, ...lines);
    code.setAttribute("aria-label", view.kind === "hex" ? "Bytes" : "Lines");
    return code;
  }

  // --- what is asked for ----------------------------------------------------------------------------------------

  const search = make("input", { type: "search", placeholder: "Search paths and values", spellcheck: false });
  search.setAttribute("aria-label", "Search paths and values");
  let waiting = 0;
  search.oninput = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      wanted = search.value;
      update();
    }, 120);
  };

  const menus = {};
  for (const one of columns) {
    if (!one.filter) continue;
    const counts = new Map();
    const tally = new Uint32Array(one.texts.length);
    for (const number of one.rows) tally[number]++;
    one.texts.forEach((text, number) => {
      for (const part of parts(one, text)) counts.set(part, (counts.get(part) || 0) + tally[number]);
    });
    if (counts.size < 2) continue;
    const options = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    const menu = make("select", {}, make("option", { value: "" }, `${one.title}: all`));
    options.forEach(([text, number], index) => {
      const shown = `${text || one.empty || "none"} (${number.toLocaleString("en")})`;
      menu.append(make("option", { value: String(index + 1) }, shown));
    });
    menu.setAttribute("aria-label", one.title);
    menu.onchange = () => {
      if (menu.value) chosen[one.name] = options[menu.value - 1][0];
      else delete chosen[one.name];
      update();
    };
    menus[one.name] = { menu, options };
  }

  const reset = make("button", { type: "button", className: "reset", onclick: clear }, "Show all");

  function clear() {
    for (const name of Object.keys(chosen)) delete chosen[name];
    for (const { menu } of Object.values(menus)) menu.value = "";
    wanted = search.value = "";
    update();
  }

  function filterBy(name, value) {
    clear();
    if (!menus[name]) return;
    const index = menus[name].options.findIndex(([text]) => text === value);
    if (index < 0) return;
    chosen[name] = value;
    menus[name].menu.value = String(index + 1);
    update();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-filter]");
    if (link) filterBy(link.dataset.filter, link.dataset.value);
    const box = event.target.closest("svg.map [data-path]");
    if (box) {
      filterBy("layer", box.dataset.layer);
      wanted = search.value = box.dataset.path;
      update();
    }
    if (link || box) document.getElementById(data.section).scrollIntoView();
  });

  list.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)), { passive: true });
  new ResizeObserver(() => {
    height = 0;
    draw(true);
  }).observe(list);

  list.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(list.clientHeight / height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps && event.target === list) {
      event.preventDefault();
      pick(selected < 0 ? 0 : selected + steps[event.key]);
    } else if (event.key === "Enter" && event.target === list && selected >= 0) {
      detail.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && place.contains(event.target)) {
      (detail.contains(event.target) ? list : search).focus();
      if (event.target === search) clear();
    }
  });

  const controls = make("div", { className: "controls" }, search, ...Object.values(menus).map((one) => one.menu), reset);
  place.append(controls, count, make("div", { className: "pair" }, list, detail));
  update();
})();
