"use strict";
(() => {
  const { Chart, make } = lottery;
  const LOOK = 2000; // milliseconds between looks
  const SELDOM = 10000; // where nothing happens, or nobody sees the page
  const MOST_MARKS = 12; // in a cell; of more replicates a bar
  const PROBLEM = "The watcher does not answer. If it was ended, `lottery watch` starts it again; this page goes on by itself then.";

  const $ = (id) => document.getElementById(id);
  const path = decoded(location.pathname);
  const runId = path.startsWith("/run/") ? path.slice(5) : null;
  const known = {}; // part → its version
  const values = {}; // part → what it says

  // no run has a name that cannot be read; that there is none is then said
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  }

  // ---- asking

  async function look() {
    const api = runId === null ? "/api/runs" : `/api/run/${encodeURIComponent(runId)}`;
    let told;
    try {
      const answer = await fetch(`${api}?${new URLSearchParams(known)}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(await answer.text());
      told = await answer.json();
    } catch (error) {
      problem(PROBLEM);
      return SELDOM / 2;
    }
    // a problem has no other parts; what was seen before it stays
    if (told.problem) {
      problem(told.problem.value);
      return LOOK;
    }
    problem(null);
    const fresh = new Set(Object.keys(told));
    for (const name of fresh) {
      known[name] = told[name].version;
      values[name] = told[name].value;
    }
    show(fresh);
    return isResting() ? SELDOM : LOOK;
  }

  function isResting() {
    return document.hidden || isFinal();
  }

  // of all cells: what is shown may still be of those that were there a while ago
  function isFinal() {
    const { now, figures } = values;
    return Boolean(now && now.is_complete && figures && figures.num_finished === now.num_cells);
  }

  let timer = null;
  async function follow() {
    clearTimeout(timer);
    timer = null;
    let wait = SELDOM;
    try {
      wait = await look();
    } finally {
      clearTimeout(timer);
      timer = setTimeout(follow, wait);
    }
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && timer !== null) follow();
  });

  function problem(text) {
    if (text === null) {
      $("problem").hidden = true;
    } else if ($("problem").hidden || $("problem").textContent !== text) {
      $("problem").textContent = text;
      $("problem").hidden = false;
    }
    for (const section of [$("run"), $("list")]) section.classList.toggle("stale", text !== null);
  }

  // ---- showing

  function show(fresh) {
    if (values.runs && fresh.has("runs")) showRuns(values.runs);
    if (!values.now) return;
    $("run").hidden = false;
    if (fresh.has("now")) showNow(values.now);
    if (fresh.has("grid")) buildGrid(values.grid);
    if (fresh.has("grid") || fresh.has("cells")) fillGrid(values.cells);
    if (["verdict", "figures", "now"].some((name) => fresh.has(name))) showVerdict(values);
    if (fresh.has("figures")) showFigures(values.figures.charts);
    setText($("figures-title"), isFinal() ? "Figures" : "Figures so far");
  }

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function setBar(bar, done, all) {
    bar.firstElementChild.style.width = `${(100 * done) / Math.max(1, all)}%`;
  }

  function showRuns({ location: where, runs, more }) {
    $("list").hidden = false;
    setText($("location"), where);
    document.title = "lottery watch";
    $("runs").replaceChildren();
    const rows = runs.map((run) => ({ ...run, tags: run.tags.join(", ") }));
    const told = ["name", "differs", "tags"].filter((key) => rows.some((run) => run[key]));
    for (const head of document.querySelectorAll("#list th[data-key]")) head.hidden = !told.includes(head.dataset.key);
    for (const run of rows) {
      const row = make("tr", run.notes ? { title: run.notes } : {}, $("runs"));
      make("a", { href: `/run/${encodeURIComponent(run.id)}` }, make("td", { class: "left said" }, row), run.title);
      for (const key of told) make("td", { class: "left said" }, row, run[key]);
      make("td", { class: "left" }, row, run.created);
      make("td", {}, row, `${run.num_finished} of ${run.num_cells}`);
      const bar = make("div", { class: "bar", "aria-hidden": "true" }, make("td", { class: "left" }, row));
      make("i", {}, bar);
      setBar(bar, run.num_finished, run.num_cells);
    }
    setText($("more-runs"), runs.length ? (more ? `and ${more} more: lottery list` : "") : "No runs yet. What is started in this store appears here.");
  }

  function stateOf(now) {
    if (now.is_complete) return "Finished";
    if (now.num_failed && !now.num_working) return "Failed";
    if (now.is_stopped && !now.num_working) return "Stopped";
    const share = Math.floor((100 * now.num_finished) / Math.max(1, now.num_cells));
    return now.left === null ? `${share} % done` : `${share} % done, about ${now.left} left`;
  }

  function showNow(now) {
    const state = stateOf(now);
    setText($("title"), now.name ? `${now.name} · ${now.title}` : now.title);
    setText($("headline"), state);
    document.title = `${state} · ${now.name || now.id}`;
    $("tags").hidden = !now.tags.length;
    setText($("tags"), `Tags: ${now.tags.join(", ")}`);
    $("notes").hidden = !now.notes;
    setText($("notes"), now.notes);
    const words = now.words.filter((said) => now.left === null || !said.includes(now.left)).join(", "); // it stands above
    setText($("words"), words);
    // read out when a cell is finished, not at every look
    setText($("said"), `${now.num_finished} of ${now.num_cells} cells done${now.num_failed ? `, ${now.num_failed} failed` : ""}`);
    $("bar").setAttribute("aria-valuenow", now.num_finished);
    $("bar").setAttribute("aria-valuemax", now.num_cells);
    $("bar").setAttribute("aria-valuetext", $("said").textContent);
    setBar($("bar"), now.num_finished, now.num_cells);
    $("run").classList.toggle("failing", now.num_failed > 0);
    $("links").hidden = !now.is_complete;
    $("report").href = `/report/${encodeURIComponent(now.id)}`;
    setText($("report-command"), `lottery report ${now.id}`);
    showMakers(now);
    showFailures(now);
  }

  function showMakers({ makers, more_makers: more }) {
    $("makers").hidden = !makers.length;
    $("maker-rows").replaceChildren();
    for (const maker of makers) {
      const row = make("tr", maker.silent === null ? {} : { class: "silent" }, $("maker-rows"));
      const since = maker.silent === null ? maker.since : `silent for ${maker.silent}: lost, it seems`;
      for (const text of [maker.title, maker.who, maker.device, since]) make("td", { class: "left" }, row, text);
      const far = make("td", { class: "left how-far" }, row);
      if (maker.share === null) continue;
      const bar = make("div", { class: "bar", "aria-hidden": "true" }, far);
      make("i", {}, bar);
      setBar(bar, maker.share, 1);
      make("span", {}, far, `${Math.floor(100 * maker.share)} %`).title = maker.at;
    }
    setText($("more-makers"), more ? `and ${more} more` : "");
  }

  function showFailures({ failures, more_failures: more }) {
    $("failures").hidden = !failures.length;
    const told = JSON.stringify(failures);
    if ($("failed").dataset.told !== told) {
      $("failed").dataset.told = told;
      $("failed").replaceChildren();
      for (const [title, message] of failures) {
        const item = make("li", {}, $("failed"));
        make("b", {}, item, title);
        item.append(`: ${message}`);
      }
    }
    setText($("more-failures"), more ? `and ${more} more: lottery status` : "");
  }

  function showVerdict({ verdict, figures, now }) {
    $("verdict").hidden = !verdict || !verdict.sentence;
    if ($("verdict").hidden) return;
    $("verdict").className = verdict.tone;
    const cells = `${figures ? figures.num_finished : now.num_finished} of ${now.num_cells} cells`;
    setText($("verdict-state"), isFinal() ? "Verdict" : `Verdict so far: provisional, from ${cells}`);
    setText($("verdict-title"), verdict.title);
    $("verdict-title").hidden = !verdict.title;
    setText($("verdict-sentence"), verdict.sentence);
  }

  // ---- the grid: a cell for each arm and level, a mark in it for each replicate

  const KINDS = { done: "finished", busy: "in progress", waiting: "waiting", failed: "failed", silent: "its maker is silent" };
  let cells = []; // {button, rows, arm, level}
  let pressed = null;

  function percent(value) {
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(value)));
    return value > 0 ? String(Number(value.toFixed(Math.min(decimals, 12)))) : "0";
  }

  function buildGrid({ arms, levels, rows }) {
    const table = $("grid");
    const before = pressed;
    table.replaceChildren();
    cells = [];
    pressed = null;
    const head = make("tr", {}, make("thead", {}, table));
    make("th", { scope: "col" }, head).append(make("span", { class: "unseen" }, null, "arm, and weights kept in %"));
    for (const { level, percent: kept } of levels) make("th", { scope: "col", title: `level ${level}` }, head, `${percent(kept)} %`);
    const body = make("tbody", {}, table);
    const places = new Map();
    rows.forEach(([arm, level], i) => {
      const key = arm * levels.length + level;
      places.has(key) ? places.get(key).push(i) : places.set(key, [i]);
    });
    arms.forEach((name, arm) => {
      const row = make("tr", {}, body);
      make("th", { scope: "row" }, row, name);
      levels.forEach((level, at) => {
        const own = places.get(arm * levels.length + at);
        const place = make("td", { role: "gridcell" }, row);
        if (!own) return;
        const button = make("button", { type: "button", class: "cell", tabindex: "-1", "aria-pressed": "false" }, place);
        const cell = { button, rows: own, arm, level: at, told: null, place: `${name} ${level.level}` };
        make("span", { class: "value" }, button);
        const marks = make("span", { class: own.length > MOST_MARKS ? "marks many" : "marks", "aria-hidden": "true" }, button);
        cell.marks = own.length > MOST_MARKS ? ["done", "busy", "failed"].map((kind) => make("i", { class: kind }, marks)) : own.map(() => make("i", { class: "mark" }, marks));
        button.addEventListener("click", () => press(cell));
        cells.push(cell);
      });
    });
    if (cells.length) cells[0].button.tabIndex = 0;
    const again = before && cells.find(({ place }) => place === before.place);
    if (again) press(again); // a search's grid grows
    $("keys").replaceChildren();
    for (const [kind, words] of Object.entries(KINDS)) {
      const item = make("li", {}, $("keys"));
      make("i", { class: `mark ${kind}` }, item).style.setProperty("--share", "60%");
      item.append(words);
    }
  }

  $("grid").addEventListener("keydown", (event) => {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const from = cells.find(({ button }) => button === document.activeElement);
    if (!from || !(event.key in steps)) return;
    event.preventDefault();
    const [down, right] = steps[event.key];
    let to = from;
    do {
      to = cells.find(({ arm, level }) => arm === to.arm + down && level === to.level + right) || (down ? nextArm(to, down) : null);
    } while (to && to.button.disabled);
    if (!to) return;
    from.button.tabIndex = -1;
    to.button.tabIndex = 0;
    to.button.focus();
  });

  // an arm that has no such level is passed over
  function nextArm(from, down) {
    const column = cells.filter(({ level, arm }) => level === from.level && (arm - from.arm) * down > 0);
    return column.sort((a, b) => (a.arm - b.arm) * down)[0] || null;
  }

  function press(cell) {
    const before = pressed;
    pressed = pressed === cell ? null : cell;
    for (const one of [before, cell]) if (one) one.button.setAttribute("aria-pressed", String(one === pressed));
    for (const one of cells) one.button.tabIndex = one === cell ? 0 : -1;
    tell();
  }

  function kindOf(state) {
    if (state === null) return "waiting";
    if ("v" in state) return "done";
    if ("p" in state) return "busy";
    return "f" in state ? "failed" : "silent";
  }

  function valueText(value) {
    const { unit } = values.cells.measure;
    return value === null ? "no number" : unit ? value.toFixed(2) : String(Number(value.toPrecision(4)));
  }

  function fillGrid({ states }) {
    for (const cell of cells) {
      const own = cell.rows.map((row) => states[row]);
      const told = JSON.stringify(own);
      if (told === cell.told) continue;
      cell.told = told;
      fillCell(cell, own);
    }
    tell();
  }

  function fillCell(cell, own) {
    const { button, marks } = cell;
    const counts = {};
    for (const state of own) counts[kindOf(state)] = (counts[kindOf(state)] || 0) + 1;
    const found = own.filter((state) => state && "v" in state && state.v !== null).map((state) => state.v);
    const mean = found.reduce((sum, value) => sum + value, 0) / found.length;
    const unit = values.cells.measure.unit;
    setText(button.firstElementChild, found.length ? (unit ? mean.toFixed(1) : String(Number(mean.toPrecision(3)))) : "");
    button.classList.toggle("done", counts.done === own.length);
    button.classList.toggle("failed", Boolean(counts.failed));
    if (own.length > MOST_MARKS) {
      for (const mark of marks) mark.style.width = `${(100 * (counts[mark.className] || 0)) / own.length}%`;
    } else {
      own.forEach((state, i) => {
        const kind = kindOf(state);
        if (marks[i].className !== `mark ${kind}`) marks[i].className = `mark ${kind}`;
        if (kind === "busy") marks[i].style.setProperty("--share", `${100 * state.p}%`);
      });
    }
    const parts = Object.keys(KINDS).filter((kind) => counts[kind]).map((kind) => `${counts[kind]} ${KINDS[kind]}`);
    const mid = found.length ? `, mean ${values.cells.measure.label} ${valueText(mean)}${unit ? ` ${unit}` : ""}` : "";
    button.setAttribute("aria-label", `${placeText(cell)}: ${parts.join(", ")}${mid}`);
    button.title = `${placeText(cell)}: ${parts.join(", ")}`;
  }

  function placeText({ arm, level }) {
    const { arms, levels } = values.grid;
    return `${arms[arm]}, level ${levels[level].level}, ${percent(levels[level].percent)} % of the weights`;
  }

  // what the pressed cell holds, replicate by replicate
  function tell() {
    const hint = "Press a cell to read its replicates.";
    if (!pressed) return setText($("cell"), hint);
    const { label, unit } = values.cells.measure;
    const lines = pressed.rows.map((row) => {
      const [, , replicate, draw] = values.grid.rows[row];
      const state = values.cells.states[row];
      const kind = kindOf(state);
      const more = {
        done: () => `${label} ${valueText(state.v)}${unit && state.v !== null ? ` ${unit}` : ""}`,
        busy: () => `in progress, ${Math.floor(100 * state.p)} %`,
        failed: () => `failed: ${state.f}`,
        silent: () => `nothing was heard of its maker for ${Math.round(state.s)} s`,
        waiting: () => "waiting",
      };
      return `replicate ${replicate}${draw ? `, draw ${draw}` : ""}: ${more[kind]()}`;
    });
    setText($("cell"), [`${placeText(pressed)}`, ...lines].join("\n"));
  }

  // ---- figures, drawn as in a report

  const charts = new Map(); // name → its Chart
  const run = {
    off: new Set(),
    toggle(name) {
      this.off.has(name) ? this.off.delete(name) : this.off.add(name);
      for (const chart of charts.values()) chart.draw();
    },
  };

  function showFigures(specs) {
    $("figures").hidden = !specs.length;
    const names = new Set(specs.map((spec) => spec.name));
    for (const [name, chart] of charts) {
      if (names.has(name)) continue;
      chart.figure.parentElement.remove();
      charts.delete(name);
    }
    specs.forEach((spec, i) => {
      let chart = charts.get(spec.name);
      if (chart) chart.update(spec);
      else charts.set(spec.name, (chart = new Chart(addFigure(spec), spec, run)));
      const box = chart.figure.parentElement;
      setText(box.querySelector("h3"), spec.heading);
      setText(box.querySelector("figcaption"), spec.caption);
      if ($("charts").children[i] !== box) $("charts").insertBefore(box, $("charts").children[i] || null);
    });
  }

  function addFigure(spec) {
    const box = make("div", {}, $("charts"));
    make("h3", {}, box, spec.heading);
    const figure = make("figure", { id: `figure-${spec.name}` }, box);
    make("div", { class: "legend", role: "group", "aria-label": "Lines: press to switch on or off" }, figure);
    const label = `${spec.heading}. ${spec.summary} Left and right arrows read the values.`;
    make("div", { class: "frame", tabindex: "0", role: "group", "aria-label": label }, figure);
    make("figcaption", {}, figure, spec.caption);
    return figure;
  }

  if (runId === null) $("all-runs").hidden = true;
  follow();
})();
